"""Runs of equal rows in sorted columns: how groups, pairs and champions are told apart."""

import numpy as np


def starts_run(*columns: np.ndarray) -> np.ndarray:
    """True where a row differs from the one before in any of the sorted columns; bool [n], the first row starts one."""
    starts = np.ones(columns[0].size, bool)
    starts[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return starts
