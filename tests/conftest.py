"""Shared test settings. Tests never assert on time, so hypothesis has no deadline and its examples are fixed."""

import os
import tempfile
from pathlib import Path

from hypothesis import settings

settings.register_profile("loopmix", deadline=None, derandomize=True, max_examples=60, database=None)
settings.load_profile("loopmix")

# What tests remember of tokenizers is theirs, and gone with them.
_CACHE = tempfile.TemporaryDirectory(prefix="loopmix-tests-")
os.environ["LOOPMIX_CACHE"] = str(Path(_CACHE.name))
