"""What a document is like: measured features, the rules that fire on them, secrets and personal data."""
