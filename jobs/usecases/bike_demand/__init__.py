"""Which share of the largest demand each hour of a day will have: see README.md."""
