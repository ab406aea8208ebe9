"""The operator's page over the landed days: what there is, what it cost, what a click would do.

`states` says what a day and an account of it are, `bill` holds ledger and receipts against each other,
`price` tells what a clear costs, `runs` asks Airflow's own database. `span` puts that together day by
day, `views` for each page; `site` serves it, behind Airflow's own rights.
"""
