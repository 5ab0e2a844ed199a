"""What enters: tokens, exact budgets, packed sequences, the ledger."""
