"""Delta tables as types: what each holds, where it is, and how it is written.

Belongs here: schemas, keys, partitions, paths, the staged write. Does not: any rule about
what a row means.
"""
