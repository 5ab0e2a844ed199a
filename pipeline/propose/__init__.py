"""Better shares of the groups of a mixture, searched with many small trainings and claimed only where new ones agree.

    propose(RUN, out=DIR, options=ProposeOptions(...), executor=...)    the whole search; resumes

pieces.py, groups.py    the run as columns of numbers; the groups, their limits and the target
shares.py, frame.py     random mixtures around the natural one; everything that is fixed before training
stream.py, held_out.py  a packed run of each mixture; documents that none of them reads
training.py             one training, from shares to held-out scores
surface.py, optimum.py  regressions from shares to scores; the shares with the lowest prediction
analysis.py, search.py  what is recommended and what may be claimed; the order of it all

Read `search.py` first.
"""

from pipeline.propose.frame import ProposeOptions
from pipeline.propose.search import propose
from pipeline.results import MixtureTraining

__all__ = ["MixtureTraining", "ProposeOptions", "propose"]
