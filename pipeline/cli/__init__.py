"""The command `loopmix`: parse arguments, call one function, print."""
