"""Bytes <-> header, tiles and chunks; knows nothing of images, models or symbols."""
