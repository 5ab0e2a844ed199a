"""Questions to a finished run: texts, one document's fate, every promise recounted."""
