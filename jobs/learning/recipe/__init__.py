"""Features as a matrix: a use case's transforms, learned on the training part and kept as data.

Each step of `jobs.transforms` has what it learns and what it does in one module here, by the kind
of columns that it reads; `work` lists them. Training and scoring both go through `Recipe.matrix`,
so they cannot differ. What a step learns is JSON, with arrays where that would be too large.
"""
