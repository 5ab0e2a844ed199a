"""Secrets and personal data: where they stand, of which kind, and what stands in their place. No value leaves here."""
