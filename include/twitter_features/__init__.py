"""Features beyond the three stages: each folder can be deleted with its DAG file and its docs page."""
