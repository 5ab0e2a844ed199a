"""How documents are written as tokens: fill-in-the-middle."""
