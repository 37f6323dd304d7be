"""Who may come in: limits that are checked first, and places that are bounded."""
