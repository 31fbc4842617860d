"""Programs that use the library: command line, folders, corpora, service."""
