"""Take documents back out of a finished run: find, refill, rewrite little, prove that they are gone."""
