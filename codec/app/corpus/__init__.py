"""Corpora: folders of any file system of fsspec's, converted by the workers of a Ray
cluster, or by Ray on this machine alone.

A worker converts a batch of files, writes what they become, and last the rows of the
batch as one Parquet file in TARGET/_manifest/COMMAND/. So a row stands for what is
there, and another run goes on: files that have a row without an error, made of the same
version of the source, stay as they are. What a lost worker had begun is done again.

`planning` finds what is left to do, `worker` does a batch of it, `cluster` has Ray run
the workers, `manifest` has the rows, `storage` the files.
"""
