"""The service: a request must be answered, with a status from 200 to 499 or 503,
whatever it is, and must neither show nor change what is outside of the folder.
"""

import asyncio
import io
import json
import pickle
import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from target import Target

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden" / "v2"

MAX_BYTES = 4096  # of a mutated request
MAX_PIXELS = 2**17
UPLOAD_BYTES = 3000
SHOWN, SECRET = "65x33-q50.aec", "1x1-q1.aec"
NAME = "passport.aec"  # which no request says
UPLOAD = b"P5 8 8 255\n" + bytes(range(64))
# As HTTP writes them, with lines that end in LF alone.
REQUESTS = (
    b"GET / HTTP/1.1\nHost: x\n\n",
    b"GET /sub HTTP/1.1\n\n",
    b"GET /health HTTP/1.1\n\n",
    b"GET /photo.aec?format=jpeg&w=20 HTTP/1.1\nIf-None-Match: *\n\n",
    b"GET /photo.aec?region=1,2,30,20&format=webp HTTP/1.1\n\n",
    b'HEAD /sub/photo.aec?format=aec HTTP/1.1\nIf-None-Match: "a,b", W/"c"\n\n',
    b"PUT /new/up.aec?quality=20&tune=psnr HTTP/1.1\nContent-Length: 75\n\n" + UPLOAD,
)
PARTS = (
    *(b"..", b"/", b"//", b"./", b"%2e%2e", b"%2f", b"%5c", b"%00", b"%ff", b"%"),
    *(b"photo.aec", b"link.aec", b"outside/", b"inside/", b"circle", b"secret.aec"),
    *(b"private/", b"new/", b".aec", b"?", b"&", b"=", b"format=aec", b"w=", b"w=9"),
    *(b"region=", b"0,0,9,9", b",", b"-1", b"99999999999", b"1e9", b"nan", b"\xb2"),
    *(b"quality=", b"tune=visual", b"GET ", b"PUT ", b"HEAD ", b"POST ", b"OPTIONS "),
    *(b"\n", b"If-None-Match: ", b"Content-Length: ", b"Range: bytes=0-9", b'W/"'),
    *(b'"', b"*", b"Host: ", b"Accept: ", b"Expect: 100-continue", UPLOAD),
)


def mutated(data: bytes, seed: int) -> bytes:
    """A request with up to four parts put in, taken out or changed."""
    chosen = random.Random(seed)
    for _ in range(chosen.randint(1, 4)):
        at = chosen.randrange(len(data) + 1)
        length = chosen.choice((0, 0, 1, 1, 4, 16))
        data = data[:at] + chosen.choice(PARTS) + data[at + length :]
    return data[:MAX_BYTES]


@contextmanager
def folder() -> Iterator[Path]:
    """A folder with pictures, links and, beside it, what is private."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place, "root")
        (root / "sub").mkdir(parents=True)
        (root.parent / "private").mkdir()
        shown, secret = ((GOLDEN / name).read_bytes() for name in (SHOWN, SECRET))
        for name in ("photo.aec", "sub/photo.aec"):
            (root / name).write_bytes(shown)
        for name in ("secret.aec", f"private/{NAME}"):
            (root.parent / name).write_bytes(secret)
        (root / "link.aec").symlink_to(root.parent / "secret.aec")
        (root / "outside").symlink_to(root.parent / "private")
        (root / "inside").symlink_to("sub")
        (root / "circle").symlink_to("circle")
        yield root


def files(place: Path) -> dict[Path, bytes]:
    found = sorted(place.rglob("*"))
    return {path: path.read_bytes() for path in found if path.is_file()}


class Service:
    """The application for a folder, without processes and sockets."""

    def __init__(self, root: Path) -> None:
        from codec.app.service.answers import Answer, do
        from codec.app.service.limits import Limits
        from codec.app.service.routes import application
        from codec.app.service.work import Work

        async def in_process(work: Work, task: bytes) -> Answer:
            replies = io.BytesIO()
            do(pickle.loads(task), replies, debug=True)
            head, _, body = replies.getvalue().partition(b"\n")
            _, status, headers = json.loads(head)
            return Answer(body, status, headers)

        Work.in_process = in_process  # type: ignore[method-assign]
        limits = Limits(
            max_pixels=MAX_PIXELS, upload_bytes=UPLOAD_BYTES, jobs=1, timeout_s=60
        )
        self.application = application(root, True, limits)
        self.root = root
        self.before = files(root.parent)
        self.secret = (GOLDEN / SECRET).read_bytes()

    def outcome(self, data: bytes) -> int:
        """Status of the answer to a request. AssertionError if it is no good one."""
        status, body = asyncio.run(self.answer(data))
        assert 200 <= status < 500 or status == 503, status
        assert self.secret not in body
        assert NAME.encode() not in body
        assert b'href="outside' not in body
        self.check_files()
        return status

    def check_files(self) -> None:
        """What has been uploaded is removed."""
        after = files(self.root.parent)
        assert {path: after.get(path) for path in self.before} == self.before
        for path in after.keys() - self.before.keys():
            assert path.resolve().is_relative_to(self.root)
            path.unlink()

    async def answer(self, data: bytes) -> tuple[int, bytes]:
        """Status and body."""
        scope, body = request_in(data)
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        sent = []

        async def receive() -> dict[str, object]:
            if messages:
                return messages.pop()
            await asyncio.Event().wait()  # the client stays
            raise AssertionError

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        await self.application(scope, receive, send)
        start, *rest = sent
        assert start["type"] == "http.response.start"
        assert [m.get("more_body", False) for m in rest] == [True] * (len(rest) - 1) + [
            False
        ]
        return start["status"], b"".join(bytes(m.get("body", b"")) for m in rest)


def request_in(data: bytes) -> tuple[dict[str, object], bytes]:
    """The ASGI scope, as servers make it of what they take for HTTP, and the body."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    method, _, target = first.partition(b" ")
    path, _, query = target.rpartition(b" HTTP/")[0].partition(b"?")
    headers = [line.partition(b":")[::2] for line in lines]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method.decode("latin-1").upper(),
        "scheme": "http",
        "path": unquote(path.decode("ascii", "ignore")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower().strip(), value.strip()) for name, value in headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    return scope, body


OPEN = ExitStack()  # the folder of the service below, until the program ends


@cache
def service() -> Service:
    return Service(OPEN.enter_context(folder()))


TARGET = Target(
    lambda: REQUESTS,
    lambda data: str(service().outcome(data)),
    mutated=mutated,
    max_bytes=MAX_BYTES,
)
