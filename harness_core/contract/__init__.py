"""The contract: its forms, its frozen text, and the ledger, the one writer of what passes."""
