"""The Daybreak platform: everything that works without a scheduler.

Nothing here imports airflow, and nothing here runs at import: no folder is made, no
connection opened, no environment read.
"""
