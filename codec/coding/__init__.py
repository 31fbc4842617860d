"""The data path: picture -> file by `encoder`, file -> picture by `decoder`.

Both count by `tiles` and meet in `symbols`; `extras` is all that a file
holds besides the tiles.
"""
