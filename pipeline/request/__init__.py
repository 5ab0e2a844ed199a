"""What the user asks for: a mixture file read, every name in it checked, and what cannot be met said before any work.

load.py      a mixture file -> Mixture, names resolved, paths absolute
names.py     every name that has a known set, and the nearest ones to a wrong one
contradictions.py   what no input can meet
without_effect.py   what is asked and will not happen
lint.py, lint_inputs.py, heads.py   what reads well and goes wrong; with a bounded look at the inputs
choices.py   prefixes that fit nothing, splits that nobody chose
faults.py    why a source cannot be read: the key at fault, and what to write
missing.py, unmapped.py   columns that files lack, and columns that nobody maps
inputs.py    what the listed input files cannot meet
"""
