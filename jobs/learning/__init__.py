"""From gold to a champion: train, tune, calibrate, evaluate, promote, register.

Belongs here: everything that is fitted on data and everything that judges a fit. Does not: what a
feature means, or what is done with a night's scores.
"""
