"""The application on a socket, whatever clients do or leave undone."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from codec.app.service.limits import Limits
from codec.app.service.routes import application
from codec.errors import UsageError, reason

try:
    import resource
except ImportError:  # Windows, where sockets are no files
    resource = None  # type: ignore[assignment]

LOOPBACK = ("127.0.0.1", "::1", "[::1]", "localhost")
BACKLOG = 1024  # connections that are not accepted yet
HEADER_SECONDS = 10  # for the next request of a connection to begin and be whole
STALL_SECONDS = 30.0  # for a client to take a piece of an answer
SHUTDOWN_SECONDS = 2  # for what is worked on; then it is ended


class Protocol(H11Protocol):
    """HTTP/1.1 where connections that wait for their client are closed after a time:
    Uvicorn limits only what comes between two requests, until its first byte.
    """

    stalled: asyncio.TimerHandle

    def connection_made(  # type: ignore[override]
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # every byte not taken pauses writing
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def data_received(self, data: bytes) -> None:
        """As Uvicorn's, but bytes alone do not end the time limit: requests do."""
        self.conn.receive_data(data)
        self.handle_events()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.stalled = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.stalled.cancel()


def serve(
    folder: Path,
    host: str,
    port: int,
    uploads: bool,
    playground: bool,
    limits: Limits,
    ready: Callable[[str], None],
) -> None:
    """Answer until a signal comes; `ready` is told the URL. UsageError if `host` and
    `port` cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    app: ASGIApp = application(folder, uploads, limits, playground)
    if host in LOOPBACK:  # so that no page of another site reads it by its own name
        app = TrustedHostMiddleware(app, LOOPBACK)
    allow_connections()
    # It warns where the exit code of a process is lost, which nobody reads here.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:  # its text says the address again
        raise UsageError(reason(error).partition(" (")[0]) from None
    with listener:
        name = f"[{host}]" if ":" in host else host
        ready(f"http://{name}:{listener.getsockname()[1]}/")
        uvicorn.Server(configuration(app)).run(sockets=[listener])


def configuration(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        log_level="critical",  # the application reports its errors itself
        timeout_keep_alive=HEADER_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        backlog=BACKLOG,
        server_header=False,
    )


def allow_connections() -> None:
    """As many as the system permits: each takes a file descriptor."""
    if resource is not None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(ValueError, OSError):  # macOS permits fewer than most
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
