"""From the champion to the reader: scoring, publishing, rollback and lookup.

Belongs here: what touches the warehouse's predictions. Does not: how a model was made.
"""
