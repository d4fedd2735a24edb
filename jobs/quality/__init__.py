"""Gates: what is expected of a table, and whether staged rows live up to it.

Belongs here: suites derived from a use case, and their validation with Great Expectations. Does
not: mending data (that is `jobs.conform`), or deciding when a gate runs (that is a step).
"""
