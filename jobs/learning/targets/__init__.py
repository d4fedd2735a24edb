"""What differs between the types of labels, a module for each, behind one interface.

Belongs here: how labels of a type are read, learned, scored, measured and shown. Does not: what a
use case may declare of them (`jobs.label_types`). Nobody else asks for a label's type.
"""
