"""Pages in a headless browser: PyQt6-WebEngine, or Chromium if that is installed. Tests
use them, too.
"""

import http.server
import importlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu")
QT_SCRIPT = """
import sys
from PyQt6.QtCore import QUrl
from PyQt6.QtWebEngineWidgets import QWebEngineView
from PyQt6.QtWidgets import QApplication
application = QApplication(sys.argv[:1])
view = QWebEngineView()  # pages that are not shown observe nothing
view.resize(800, 600)
view.load(QUrl(sys.argv[1]))
view.show()
application.exec()
"""
PAGE = """<!doctype html><meta charset="utf-8"><title>test</title>
<body><script type="module" src="/test.js"></script>"""
# `told` sends what a test wants to know; errors that nothing catches are told, too.
START = """
const told = (value) =>
  fetch("/told", { method: "POST", body: JSON.stringify(value) });
addEventListener("error", (event) => told({ fault: event.message }));
addEventListener("unhandledrejection", (event) =>
  told({ fault: String(event.reason?.stack ?? event.reason) }));
"""


class NoBrowserError(Exception):
    """There is none here; the text says which there may be."""


def browser_call(url: str, folder: str) -> list[str]:
    """The command that shows a page; NoBrowserError if there is no browser."""
    try:
        importlib.import_module("PyQt6.QtWebEngineCore")
        return [sys.executable, "-c", QT_SCRIPT, url]
    except ImportError:  # or a library of the system is missing
        pass
    for name in CHROMIUM:
        if path := shutil.which(name):
            options = ["--headless=new", f"--user-data-dir={folder}"]
            return [path, *FLAGS, *options, url]
    raise NoBrowserError(
        "needs `pip install aecodec[browser]` and its system libraries, or Chromium"
    )


class Pages:
    """A web server with files by path, and what pages that it serves have told."""

    def __init__(self, files: Mapping[str, tuple[bytes, str]], policy: str) -> None:
        """`files` are (content, media type); `policy` is sent with all of them."""
        self.files, self.policy = dict(files), policy
        self.requests: Counter[str] = Counter()
        self.told: queue.Queue[bytes] = queue.Queue()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def handler(pages) -> type[http.server.BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0].lstrip("/")
                pages.requests[path] += 1
                found = pages.files.get(path)
                self.send_response(200 if found else 404)
                data, kind = found or (b"", "text/plain")
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Cache-Control", "no-store")
                if pages.policy:
                    self.send_header("Content-Security-Policy", pages.policy)
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                pages.told.put(self.rfile.read(length))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler

    def run(self, script: str, timeout_s: float = 120) -> Any:
        """The value that `told` is called with by a module script in a page.

        RuntimeError for an error in the page, or if it tells nothing in time.
        """
        self.files[""] = PAGE.encode(), "text/html; charset=utf-8"
        self.files["test.js"] = (START + script).encode(), "text/javascript"
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            call = browser_call(self.url, folder)
            environment = dict(os.environ)
            environment["QT_QPA_PLATFORM"] = "offscreen"
            environment["QTWEBENGINE_CHROMIUM_FLAGS"] = " ".join(FLAGS)
            log = Path(folder, "log")
            with log.open("wb") as out:
                process = subprocess.Popen(
                    call, env=environment, stdout=out, stderr=out
                )
            try:
                value = json.loads(self.told.get(timeout=timeout_s))
            except queue.Empty:
                text = log.read_text(errors="replace")
                raise RuntimeError(f"the page tells nothing:\n{text}") from None
            finally:
                process.kill()
                process.wait()
        if isinstance(value, dict) and "fault" in value:
            raise RuntimeError(value["fault"])
        return value

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
