"""How work is done and remembered: stages, files, exchanges, executors, the run folder."""
