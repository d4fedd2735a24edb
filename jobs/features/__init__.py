"""What keeps the future out of features: rows known at a cutoff, windows over many cutoffs at once.

Belongs here: what any use case's features are made with. Does not: a feature of one use case.
"""
