"""What a document is: marks told by its path, its first comments and the shape of its lines. Begin at `marks.py`."""
