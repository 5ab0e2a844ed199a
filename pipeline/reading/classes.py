"""Classes of what is equal, from pairs: plain array code, which shares nothing with the stage that it checks."""

import numpy as np


def classes_of(n: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The smallest member of each node's class, int64 [n], where left[e] and right[e] (int64) are in one class.

    Each round both ends of a pair, and the members that stand for them, take the smaller of what stands for the two;
    then everybody asks who stands for that one, until nothing moves. Chains shorten by more than half in a round.
    """
    stands = np.arange(n)
    while True:
        low = np.minimum(stands[left], stands[right])
        before = stands.copy()
        for ends in (before[left], before[right], left, right):
            np.minimum.at(stands, ends, low)
        while not np.array_equal(further := stands[stands], stands):
            stands = further
        if np.array_equal(stands, before):
            return stands
