"""What files themselves say of a use case, without Spark: the first draft, and the check.

Belongs here: looking at some rows of landed files, and what follows from them for a declaration.
Does not: what a night or a training does with the rows.
"""
