"""A decoder for browsers, as static files: what pages say is in README.md, the modules
are in `files`, and `site` puts them together with the models.
"""
