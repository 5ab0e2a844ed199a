"""Which language a file is in: linguist's rules as data, guesslang's network as arrays, and why they decided.

Start reading at `decide.py`. Everything here is pure but the stage, `languages.py`.
"""
