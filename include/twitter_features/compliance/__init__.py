"""X's batch compliance: X checks the ids of all landed posts at once and reports the deleted ones.

`job` takes a job from its creation to its result, `storage` transfers files, `responses` parses them.
"""
