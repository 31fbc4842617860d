"""Pillow <-> arrays; nothing of models or .aec files."""
