"""Which of tomorrow's flights from New York will arrive 30 minutes late or more?"""
