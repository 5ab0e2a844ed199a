"""Who repeats whom: equal bytes, near duplicates, earlier runs and benchmarks."""
