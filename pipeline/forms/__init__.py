"""How documents are written as tokens: fill-in-the-middle, and files of a repository beside each other."""
