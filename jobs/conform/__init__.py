"""From bronze to silver: types, rules, versions, and what goes to quarantine instead.

Belongs here: pure functions of bronze rows and one source's declaration. Does not: files
(`jobs.ingest`) and expectations of a whole table (`jobs.quality`).
"""
