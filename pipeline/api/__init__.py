"""What `import pipeline` offers: a mixture from plain values, the run that is made of it, and a finished run to ask.

mixtures.py    a mixture from a file, a dict or keywords, checked like any other
making.py      make a run: what `loopmix curate` does, with a function that hears what happens
asked.py       what a call asks for, refused where it cannot be
opened.py      a finished run: facts, tables, sequences, questions
tables.py      one of its tables, read shard by shard; lent.py lends it to polars, pandas and duckdb
"""
