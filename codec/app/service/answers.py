"""What is answered, whichever process makes it."""

import json
from dataclasses import dataclass, field
from typing import IO, Any

from codec.app.reporting import explained, say
from codec.errors import CodecError, UsageError, reason

HEADERS = {
    "Cache-Control": "no-cache",  # to be kept, and asked for again by its ETag
    "X-Content-Type-Options": "nosniff",
}
# Of pages: no scripts but those of the service, which compile WebAssembly; "blob:" is
# what a page has in its own memory.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
    "connect-src 'self' blob:; img-src 'self' blob:; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
STATUSES = {  # of errors; the first that fits
    UsageError: 400,
    FileNotFoundError: 404,  # removed meanwhile
    FileExistsError: 409,
    CodecError: 500,
    OSError: 500,
    MemoryError: 503,
}


@dataclass(frozen=True)
class Answer:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def line(text: str, status: int) -> Answer:
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    return Answer(f"{text}\n".encode(errors="replace"), status, headers)


def refusal(error: Exception, debug: bool) -> Answer:
    """What clients are told of an error; of a bug nothing, that is said here."""
    for kind, status in STATUSES.items():
        if isinstance(error, kind):
            return line(reason(error), status)
    say(f"aecodec: {explained(error, debug)}")
    return line("internal error", 500)


def do(task: Any, replies: IO[bytes], debug: bool) -> None:
    """What a process does with a task, a function that makes an answer and what that is
    called with: a line of JSON, and the body.
    """
    function, arguments = task
    try:
        answer = function(*arguments)
    except Exception as error:
        answer = refusal(error, debug)
    head = [len(answer.body), answer.status, answer.headers]
    replies.write(json.dumps(head).encode() + b"\n" + answer.body)
