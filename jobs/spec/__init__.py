"""A use case's file: reading it, saying what is wrong with it and in which line, and its reference.

The types are those of `jobs.usecase`, and nothing of what they mean is here.
"""
