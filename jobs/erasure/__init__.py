"""Taking one entity out of everything that the platform holds, for good.

Belongs here: finding and removing rows of an entity, and the receipt. Does not: keeping it from
coming back, which `jobs.lake.tombstones` does wherever files are read.
"""
