"""Importing this makes Pillow read and write .aec files."""

from codec.pillow_plugin import register

register()
