"""The data path: picture -> file, file -> picture.

`encoder` and `decoder` go the two ways. Both count by `tiles` and code by `symbols`;
`extras` are what a file holds besides the tiles. `targets` searches for a quality,
`salvage` decodes what is damaged, `info` decodes nothing.
"""
