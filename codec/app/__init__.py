"""Programs on top of the library: the command line, folders, corpora, the service."""
