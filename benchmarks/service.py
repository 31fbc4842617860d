"""The subcommand `service`: many requests at once of `aecodec serve`."""

import contextlib
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import click
import numpy as np

import codec
from benchmarks.environment import write_versions
from benchmarks.measurement import image_paths, load_rgb
from benchmarks.options import folder_argument, output_option
from benchmarks.results import write_rows
from benchmarks.scaling import peak_mib

REQUESTS = {  # by name: what is asked of a picture
    "thumbnail": "?w=256&format=jpeg",
    "region": "?region=128,128,256,256&format=jpeg",
    "picture": "?format=jpeg",
    "file": "?format=aec",
}
EACH = 3  # of every client at once
ALONE = 50  # of one alone


@dataclass(frozen=True)
class Load:
    """`clients` at once, each with several requests one after another; `errors` are
    answers other than 200. The peak is of the resident memory of the server and its
    processes so far.
    """

    request: str
    clients: int
    requests: int
    errors: int
    seconds: float
    requests_s: float
    p50_s: float
    p99_s: float
    peak_mib: float


def load(port: int, server: int, names: Sequence[str], kind: str, clients: int) -> Load:
    """After one request that does not count."""
    times: list[float] = []
    errors: list[str] = []
    together = threading.Barrier(clients)

    def ask(chosen: random.Random) -> None:
        start = time.perf_counter()
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=300)
            connection.request("GET", f"/{chosen.choice(names)}{REQUESTS[kind]}")
            answer = connection.getresponse()
            if answer.status != 200 or not answer.read():
                errors.append(str(answer.status))
            connection.close()
        except OSError as error:
            errors.append(str(error))
        times.append(time.perf_counter() - start)

    def client(number: int) -> None:
        chosen = random.Random(number)
        together.wait()
        for _ in range(ALONE if clients == 1 else EACH):
            ask(chosen)

    ask(random.Random(clients))
    del times[:], errors[:]
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    seconds = time.perf_counter() - start
    p50, p99 = np.percentile(times, [50, 99]).tolist()
    return Load(
        kind,
        clients,
        len(times),
        len(errors),
        seconds,
        len(times) / seconds,
        p50,
        p99,
        peak_mib_of(server),
    )


def peak_mib_of(server: int) -> float:
    """Of a process of Linux and those that it has started."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    return sum(peak_mib(process) for process in (str(server), *children))


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[int, int, list[str]]]:
    """Port and process of a server of the images in a folder, and their names there."""
    with tempfile.TemporaryDirectory() as place:
        paths = image_paths(folder)
        names = [f"{path.stem}.aec" for path in paths]
        for path, name in zip(paths, names, strict=True):
            Path(place, name).write_bytes(codec.encode(load_rgb(path)))
        command = [sys.executable, "-m", "codec", "serve", place, "--port", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            try:
                url = process.stderr.readline().split()[-1]
                port = int(url.rstrip("/").rpartition(":")[2])
                yield port, process.pid, names
            finally:
                process.terminate()


@click.command()
@folder_argument
@output_option
@click.option("--clients", type=click.IntRange(min=1), default=200, show_default=True)
def service(folder: Path, output: Path, clients: int) -> None:
    """Ask `aecodec serve` for the images in FOLDER, by many clients at once."""
    rows = []
    with served(folder) as (port, process, names):
        for kind in REQUESTS:
            for count in (1, clients):
                row = load(port, process, names, kind, count)
                rows.append(row)
                click.echo(row)
    write_rows(output / "service.csv", Load, rows)
    write_versions(
        output / "service_versions.json",
        {"requests of a client": EACH, "of one alone": ALONE},
    )
