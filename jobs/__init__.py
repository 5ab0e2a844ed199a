"""Thin launchers: what `ray job submit` and `make demo` start. Nothing imports this package."""
