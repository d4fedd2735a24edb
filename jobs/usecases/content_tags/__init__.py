"""Which tag a machine-learning project has, by its words: see README.md."""
