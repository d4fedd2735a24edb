"""The candidates of a training, from the simplest to the least simple.

Each module fits one kind with Spark and keeps it as data: JSON parameters and, for XGBoost, a
UBJSON file. Does not belong here: calibration, thresholds, or who wins.
"""
