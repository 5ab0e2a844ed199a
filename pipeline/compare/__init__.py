"""Two finished runs beside each other: which settings, documents, shares and promises differ, and why.

found.py    what is found, as data
settings.py, files.py    keys of both mixtures; files of both runs, and whether they are the same bytes
rows.py, meet.py, tally.py    documents as rows of numbers; how both runs' rows meet; tables of what was summed
cases.py, causes.py    documents to look at, with what each run says of them, and what made the difference
compare.py    all of it in order
tables.py, terminal.py, page.py    how it is shown
"""
