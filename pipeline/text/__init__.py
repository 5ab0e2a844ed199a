"""Pure functions on bytes, str and numpy arrays: no files, no Arrow tables, no Ray."""
