"""The subcommand `crowd`: `aecodec serve` among clients that idle, trickle and ask."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

from benchmarks.environment import write_versions
from benchmarks.options import folder_argument, output_option
from benchmarks.results import write_rows
from benchmarks.service import REQUESTS, peak_mib_of, served

PAUSE_S = 1.0  # between two bytes of a slow client, and two probes
FILES = 4096  # descriptors, one for each connection


@dataclass(frozen=True)
class Crowd:
    """What became of `clients` of a kind at once: connections that they opened,
    answers with status 200, with 503, and other ends of requests, with the seconds to
    the answers with 200. The peak is of the server and its processes.
    """

    kind: str
    clients: int
    seconds: float
    connections: int
    answered: int
    refused: int
    errors: int
    p50_s: float
    p99_s: float
    peak_mib: float


@dataclass
class Seen:
    connections: int = 0
    refused: int = 0
    errors: int = 0
    times: list[float] = field(default_factory=list)


Client = Callable[[int, Seen], Coroutine[None, None, None]]  # (port, what it sees)


@contextlib.asynccontextmanager
async def connection(
    port: int, seen: Seen
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    seen.connections += 1
    try:
        yield reader, writer
    finally:
        writer.close()


async def idle(port: int, seen: Seen) -> None:
    async with connection(port, seen) as (reader, _):
        await reader.read()  # until it is closed


async def slow(port: int, seen: Seen) -> None:
    async with connection(port, seen) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: ")
        while not reader.at_eof():
            writer.write(b"x")
            await asyncio.sleep(PAUSE_S)


async def ask(port: int, seen: Seen, path: str) -> None:
    start = time.perf_counter()
    async with connection(port, seen) as (reader, writer):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n".encode())
        writer.write(b"Connection: close\r\n\r\n")
        answer = await reader.read()
    status = answer[9:12]
    if status == b"200":
        seen.times.append(time.perf_counter() - start)
    elif status == b"503":
        seen.refused += 1
        await asyncio.sleep(PAUSE_S)  # too soon for a place
    else:
        seen.errors += 1


def clients_of(names: Sequence[str]) -> dict[str, tuple[int, Client]]:
    """How many there are of each kind, and what one does again and again."""

    def path(query: str) -> str:
        return f"/{random.choice(names)}{query}"

    async def busy(port: int, seen: Seen) -> None:
        await ask(port, seen, path(random.choice(list(REQUESTS.values()))))

    async def thumbnail(port: int, seen: Seen) -> None:
        await ask(port, seen, path(REQUESTS["thumbnail"]))

    async def health(port: int, seen: Seen) -> None:
        await ask(port, seen, "/health")
        await asyncio.sleep(PAUSE_S)

    return {
        "idle": (1000, idle),
        "slow": (1000, slow),
        "busy": (200, busy),
        "thumbnail": (5, thumbnail),
        "health": (1, health),
    }


async def together(
    port: int, clients: dict[str, tuple[int, Client]], seconds: float
) -> dict[str, Seen]:
    """What clients of each kind see in a time."""
    seen = {kind: Seen() for kind in clients}

    async def again(kind: str, client: Client) -> None:
        while True:
            try:
                await client(port, seen[kind])
            except OSError:
                seen[kind].errors += 1

    tasks = [
        asyncio.create_task(again(kind, client))
        for kind, (count, client) in clients.items()
        for _ in range(count)
    ]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return seen


@click.command()
@folder_argument
@output_option
@click.option("--seconds", type=click.FloatRange(min=1), default=60, show_default=True)
def crowd(folder: Path, output: Path, seconds: float) -> None:
    """Ask `aecodec serve` for the images in FOLDER, among clients that only seem to."""
    import resource  # not on Windows

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, most), most))
    with served(folder) as (port, process, names):
        clients = clients_of(names)
        seen = asyncio.run(together(port, clients, seconds))
        peak_mib = peak_mib_of(process)
    rows = []
    for kind, (count, _) in clients.items():
        of = seen[kind]
        p50, p99 = np.percentile(of.times or [np.nan], [50, 99]).tolist()
        row = Crowd(
            kind,
            count,
            seconds,
            of.connections,
            len(of.times),
            of.refused,
            of.errors,
            p50,
            p99,
            peak_mib,
        )
        rows.append(row)
        click.echo(row)
    write_rows(output / "crowd.csv", Crowd, rows)
    write_versions(output / "crowd_versions.json", {})
