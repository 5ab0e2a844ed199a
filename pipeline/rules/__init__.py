"""Rules: sets of them as data, what a mixture makes of them, and how they are put to documents."""
