"""The fire drill: a good night in a sandbox, faults in its files, and which gate saw them.

Belongs here: the sandbox, the faults, the report. Does not: any check of its own; what catches a
fault is what guards every night.
"""
