"""Code that travels with an export: read by the transformers library, never by Loopmix itself."""
