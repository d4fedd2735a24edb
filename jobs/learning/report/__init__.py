"""The evaluation as a page: what else is found on the holdout, how it is drawn, and its template.

Each finding is a pure function of arrays and has a module of its own; `details.py` has their types.
Does not belong here: what a decision rests on, which is in `jobs.learning.evaluation`.
"""
