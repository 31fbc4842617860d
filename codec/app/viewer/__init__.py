"""A window to look at pictures."""
