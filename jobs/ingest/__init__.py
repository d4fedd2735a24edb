"""From landing files to bronze: list, read, refuse, and take in exactly once.

Belongs here: what a file is, whether it can be read, and whether it was taken before. Does not:
whether a row's values make sense (`jobs.conform`).
"""
