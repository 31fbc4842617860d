"""Pictures in folders, found by what they look like."""
