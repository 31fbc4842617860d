"""Bytes <-> header, tiles and chunks; nothing of images, models or symbols."""
