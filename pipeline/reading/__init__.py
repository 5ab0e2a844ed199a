"""Questions to a finished run: texts, what became of one document, every promise recounted."""
