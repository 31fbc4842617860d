"""The commands of `aecodec`, one module each."""
