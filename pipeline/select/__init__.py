"""Who stays: the keepers among documents that no rule drops, and every reason of the others."""
