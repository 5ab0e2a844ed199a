"""Shared test settings. Tests never assert on time, so hypothesis has no deadline and its examples are fixed."""

from hypothesis import settings

settings.register_profile("loopmix", deadline=None, derandomize=True, max_examples=60, database=None)
settings.load_profile("loopmix")
