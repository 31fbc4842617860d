"""A model: its bundle, its networks, and what they make of arrays."""
