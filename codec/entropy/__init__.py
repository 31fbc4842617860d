"""Integers <-> payload bytes: frequency tables and the ANS coder."""
