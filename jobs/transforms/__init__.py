"""The steps that a use case may declare between `gold.features` and the model's matrix.

Here is what the owner writes, and what can be said of it without data: which columns a step takes,
which it makes. What a step learns and does is in `jobs.learning.recipe`. Only pydantic is imported,
because every DAG file parses these types.
"""
