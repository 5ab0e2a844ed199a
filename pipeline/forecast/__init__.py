"""What a run will give, told from a run over a sample: tokens, the mixture, disk, CPU time, each with its interval.

sampled.py   what the sample says of each of its documents, and what the whole input is known to be
draws.py     possible totals of each group: the sample's rates on the input's sizes, many times
mixing.py    what the balance would make of each of these
costs.py     bytes and seconds of the whole run
forecast.py  all of it as data
"""
