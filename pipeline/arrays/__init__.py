"""Columns, keys and kernels that every room shares: Arrow as numpy, keyed hashes, runs, compiled functions."""
