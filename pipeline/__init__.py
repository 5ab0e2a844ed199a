"""Loopmix: from raw code and text to a balanced, packed, proven pretraining mixture. Start reading at `recipe.py`."""

__version__ = "0.1.0"
