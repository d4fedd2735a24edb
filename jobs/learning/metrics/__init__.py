"""Metrics as pure functions of tallies, a module for each type of label.

A tally holds what a metric needs of some rows, for many weights of them at once. Does not belong
here: what is drawn (`jobs.learning.intervals`), or which metric decides.
"""
