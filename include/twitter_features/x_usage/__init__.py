"""Compares the posts that X has counted in a month with the ledger, and alerts if they differ."""
