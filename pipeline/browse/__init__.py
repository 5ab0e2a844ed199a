"""A finished run in a browser, from this machine alone: search its documents, open one, see its text, tokens and fate.

search.py, opened.py    a page of what is asked for, shard by shard; one document with all that is known of it
pages.py                both as HTML, without a script
app.py, serve.py        who may ask, and the server
"""
