"""Executes the notebooks of this folder and stores their outputs in them:
python benchmarks/notebooks/execute.py
"""

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
TIMEOUT_S = 600  # of a cell
ENVIRONMENT = {  # the kernel's; logs of TensorFlow would end up in the outputs
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONPATH": str(FOLDER.parents[1]),
}


def execute(notebook: nbformat.NotebookNode) -> None:
    """Runs all cells, in a kernel of their own, and puts the outputs into `notebook`.

    Raises nbclient's CellExecutionError if a cell fails.
    """
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT_S,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": FOLDER}},
    )
    client.execute(env=os.environ | ENVIRONMENT)


if __name__ == "__main__":
    for file in NOTEBOOKS:
        notebook = nbformat.read(file, as_version=4)
        execute(notebook)
        nbformat.write(notebook, file)
