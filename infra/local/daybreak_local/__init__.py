"""The embedded services: everything `daybreak up` starts on one machine, and how it is watched.

`stack` starts and stops them, `probes` asks each how it is, `doctor` says what the machine
lacks. This package is for a laptop or one small server; nothing in `jobs` imports it but the
command line, and a deployment with services of its own never loads it.
"""
