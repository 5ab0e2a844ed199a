"""Who repeats whom: equal bytes, near duplicates, runs and benchmarks that are known already."""
