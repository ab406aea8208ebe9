"""X's batch compliance: X checks the ids of all landed posts at once and reports which were deleted.

`job` creates a job at X and uploads the ids, `storage` transfers the files, `responses` parses what X sends.
To remove it, delete this folder, dags/twitter_compliance_dag.py, tests/features/compliance and
tests/stages/test_compliance.py.
"""
