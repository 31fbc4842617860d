"""Integers <-> payload bytes: frequency tables and the ANS coder; integers only, no
images.
"""
