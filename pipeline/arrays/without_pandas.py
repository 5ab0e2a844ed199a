"""Importing this leaves pandas out, for the server that processes are forked from: it imports, and calls nothing."""

from pipeline.arrays.pandas_unasked import leave_pandas_out

leave_pandas_out()
