"""Pillow <-> arrays; knows nothing of models or files of ours."""
