"""The page "Days" in Airflow's UI: landed days, their cost, and the price of clearing a stage."""
