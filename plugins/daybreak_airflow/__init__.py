"""The only code that knows Airflow: operators, and what the DAGs have in common.

Belongs here: how a run's dates are found, how a step's errors become retries, which form a person
sees. Does not: anything a step does, which lives in `jobs` and never imports Airflow.
"""
