"""Snapshots: the metrics of landed posts at equal ages, and the posts that X no longer shows.

`fetch` requests the posts, `post_status` parses the responses, `contract` has the columns.
"""
