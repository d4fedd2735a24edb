"""How the nights are going: drift, performance once labels matured, freshness, when to retrain.

Belongs here: measuring and recording. Does not: judging a model before it scores (that is
`jobs.learning`), or telling people (that is Airflow's plugin).
"""
