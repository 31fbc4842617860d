"""The service: pictures, pages, uploads, and what it refuses."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures import picture, psnr
from PIL import Image

import codec

pytest.importorskip("starlette")
import uvicorn
from starlette.testclient import TestClient

from codec.app import processes
from codec.app.search import index
from codec.app.service import pictures, routes, search, server
from codec.app.service.limits import Limits
from codec.app.service.pictures import SIDE_MAX_PX, show
from codec.app.service.routes import application
from codec.app.service.server import configuration

POLICY = "content-security-policy"
LIMITS = Limits(
    max_pixels=2**20,
    upload_bytes=100_000,
    jobs=2,
    timeout_s=60,
    upload_seconds=0.5,
)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """Of this module alone, for the processes too."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
            patch.setenv(name, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("service") / "served"


@pytest.fixture
def served(root, small_file):
    """A folder with photo.aec, sub/café #1.aec and, beside it, secret.aec."""
    shutil.rmtree(root, ignore_errors=True)
    (root / "sub").mkdir(parents=True)
    (root / "photo.aec").write_bytes(small_file)
    (root / "sub" / "café #1.aec").write_bytes(small_file)
    (root / "notes.txt").write_text("not for everyone")
    (root.parent / "secret.aec").write_bytes(small_file)
    return root


@pytest.fixture(scope="module")
def client(root):
    """Of an application that serves whatever is in `served`."""
    with TestClient(application(root, True, LIMITS)) as client:
        yield client


def image_of(answer):
    assert answer.status_code == 200, answer.text
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    return image


def png(array, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG", **options)
    return file.getvalue()


def test_a_picture_is_what_the_file_decodes_to(client, served, small_file):
    answer = client.get("/photo.aec")
    assert answer.headers["content-type"] == "image/png"
    assert np.array_equal(image_of(answer), codec.decode(small_file))


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_the_format_is_as_asked_for(client, served, kind):
    answer = client.get(f"/photo.aec?format={kind}")
    assert answer.headers["content-type"] == f"image/{kind}"
    assert image_of(answer).format == kind.upper()


def test_the_file_itself_can_be_had(client, served, small_file):
    answer = client.get("/photo.aec?format=aec")
    assert answer.content == small_file
    assert answer.headers["content-type"] == "image/x-aec"


def test_browsers_get_their_decoder(client, served):
    page = client.get("/")
    assert "script-src 'self' 'wasm-unsafe-eval'" in page.headers[POLICY]
    module = client.get("/.web/aec.js")
    assert module.headers["content-type"].startswith("text/javascript")
    assert module.headers["cache-control"] == "no-cache"
    tag = module.headers["etag"]
    again = client.get("/.web/aec.js", headers={"If-None-Match": tag})
    assert again.status_code == 304
    models = client.get("/.web/models/models.json").json()
    for model in models.values():
        facts = model["files"]["config.json"]
        url = f"/.web/models/{model['name']}/config.json?sha256={facts['sha256']}"
        answer = client.get(url)
        assert len(answer.content) == facts["bytes"]
        assert "immutable" in answer.headers["cache-control"]
        older = client.get(url[:-1])
        assert older.headers["cache-control"] == "no-cache"
    assert client.get("/.web/kernels.c").status_code == 404
    assert client.put("/.web/a.aec", content=b"").status_code == 400


def test_a_region_is_that_of_the_whole_picture(client, served, small_file):
    part = image_of(client.get("/photo.aec?region=10,20,50,40"))
    whole = np.asarray(codec.decode(small_file))
    assert np.array_equal(part, whole[20:60, 10:60])


@pytest.mark.parametrize(("width", "size"), [(60, (60, 45)), (7, (7, 5))])
def test_a_width_reduces_the_picture(client, served, small_file, width, size):
    small = image_of(client.get(f"/photo.aec?w={width}"))
    reduced = codec.decode(small_file).resize(size, Image.Resampling.LANCZOS)
    assert small.size == size
    assert psnr(np.asarray(small), np.asarray(reduced)) > 30


def test_jpeg_is_on_white(client, served):
    array = np.dstack([picture(40, 40), np.zeros((40, 40), np.uint8)])
    (served / "clear.aec").write_bytes(codec.encode(Image.fromarray(array)))
    assert np.all(np.asarray(image_of(client.get("/clear.aec?format=jpeg"))) > 250)


@pytest.mark.parametrize("shape", [(2, 16_384, 3), (16_384, 2, 3)])
def test_a_picture_is_no_longer_than_webp_can_be(client, served, shape):
    (served / "long.aec").write_bytes(codec.encode(np.full(shape, 9, np.uint8)))
    sizes = {
        image_of(client.get(f"/long.aec?format=webp{q}")).size for q in ("", "&w=256")
    }
    assert max(map(max, sizes)) == SIDE_MAX_PX


def test_no_picture_is_enlarged(client, served):
    assert image_of(client.get("/photo.aec?w=5000")).size == (120, 90)


def test_pictures_come_upright_without_exif_but_with_their_profile(client, served):
    image = Image.fromarray(picture(64, 100))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.info |= {"exif": exif.tobytes(), "icc_profile": srgb_profile()}
    (served / "turned.aec").write_bytes(codec.encode(image))
    found = image_of(client.get("/turned.aec?w=32"))
    assert found.size == (32, 50)
    assert not found.getexif()
    assert found.info["icc_profile"] == image.info["icc_profile"]


def srgb_profile():
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize(
    "known",
    ["{}", '"other", {}', '{},"other"', '"with, comma", {}', 'W/"a", W/"b" , {}', "*"],
)
@pytest.mark.parametrize("strong", [False, True])
def test_a_client_that_has_the_picture_gets_it_no_second_time(
    client, served, known, strong
):
    tag = client.get("/photo.aec?w=60").headers["etag"]
    again = {"If-None-Match": known.format(tag.removeprefix("W/") if strong else tag)}
    answer = client.get("/photo.aec?w=60", headers=again)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == tag


@pytest.mark.parametrize("known", ["", '"other"', '"*"', '"{0},{0}"', '"{0}', "{0}"])
def test_a_client_that_has_another_picture_gets_this_one(client, served, known):
    tag = client.get("/photo.aec?w=60").headers["etag"].strip('W/"')
    again = {"If-None-Match": known.format(tag)}
    assert client.get("/photo.aec?w=60", headers=again).status_code == 200


def test_tags_may_come_in_several_headers(client, served):
    tag = client.get("/photo.aec?w=60").headers["etag"]
    again = [("If-None-Match", '"other"'), ("If-None-Match", tag)]
    assert client.get("/photo.aec?w=60", headers=again).status_code == 304


def test_a_picture_that_has_changed_is_sent_again(client, served):
    again = {"If-None-Match": client.get("/photo.aec?w=60").headers["etag"]}
    assert client.get("/photo.aec?w=61", headers=again).status_code == 200
    (served / "photo.aec").write_bytes(codec.encode(picture(90, 120, seed=1)))
    assert client.get("/photo.aec?w=60", headers=again).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "w=0",
        "w=-1",
        "w=1e3",
        "w=²",
        "region=1,2,3",
        "region=0,0,999,9",
        "format=gif",
        "width=60",
        "region=0,0,0,0",
    ],
)
def test_a_wrong_query_is_told_why(client, served, query):
    answer = client.get(f"/photo.aec?{query}")
    assert answer.status_code == 400
    assert len(answer.text.splitlines()) == 1


@pytest.mark.parametrize(
    "path",
    f"none.aec notes.txt sub/../../secret.aec %2e%2e/secret.aec ..%2fsecret.aec "
    f"/etc/passwd a%00.aec {'x' * 300}.aec photo.aec/x.aec ..%5csecret.aec link.aec "
    "elsewhere/secret.aec".split(),
)
def test_nothing_else_is_shown(client, served, path):
    (served / "link.aec").symlink_to(served.parent / "secret.aec")
    (served / "elsewhere").symlink_to(served.parent)
    assert client.get(f"/{path}").status_code == 404


def test_pages_list_folders_and_pictures_alone(client, served):
    top = client.get("/")
    assert 'href="sub/"' in top.text
    assert 'href="photo.aec"' in top.text
    assert "notes" not in top.text
    below = client.get("/sub")  # redirected
    assert below.url.path == "/sub/"
    assert 'href="caf%C3%A9%20%231.aec"' in below.text
    assert image_of(client.get("/sub/caf%C3%A9%20%231.aec")).size == (120, 90)


def test_a_folder_behind_a_link_is_found_by_its_own_name(client, served):
    (served / "linked").symlink_to("sub")
    assert client.get("/linked").url.path == "/linked/"


def test_what_is_not_shown_is_not_listed_either(client, served, small_file):
    """Names of links that lead outside, or nowhere, are nobody's business."""
    (served.parent / "private").mkdir(exist_ok=True)
    (served.parent / "private" / "passport.aec").write_bytes(small_file)
    (served / "passport.aec").symlink_to(served.parent / "private" / "passport.aec")
    (served / "album").symlink_to(served.parent / "private")
    (served / "twice").symlink_to("album")
    (served / "circle").symlink_to("circle")
    (served / "dangling.aec").symlink_to("nothing")
    (served / "folder.aec").mkdir()
    os.mkfifo(served / "pipe.aec")
    (served / "inside.aec").symlink_to("sub/café #1.aec")
    (served / "linked").symlink_to("sub")
    listed = set(
        re.findall(r'<li[^>]*>\s*<a[^>]* href="([^"]*)"', client.get("/").text)
    )
    assert listed == {"folder.aec/", "linked/", "sub/", "inside.aec", "photo.aec"}
    assert {client.get(f"/{name}").status_code for name in listed} == {200}


def test_odd_names_do_not_hide_the_others(client, served, small_file):
    with open(os.fsencode(served) + b"/\xff.aec", "wb") as file:
        file.write(small_file)
    assert 'href="photo.aec"' in client.get("/").text


def test_names_are_no_markup(client, served, small_file):
    (served / '<img src="x">.aec').write_bytes(small_file)
    assert '<img src="x">' not in client.get("/").text


def test_a_damaged_file_is_told_of(client, served, small_file):
    (served / "photo.aec").write_bytes(small_file[:-40])
    answer = client.get("/photo.aec")
    assert answer.status_code == 500
    assert len(answer.text.splitlines()) == 1


def test_an_upload_becomes_a_file(client, served):
    array = picture(64, 96)
    answer = client.put("/new/up.aec?quality=80&tune=psnr", content=png(array))
    assert answer.status_code == 201
    data = (served / "new" / "up.aec").read_bytes()
    assert data == codec.encode(array, quality=80, tune="psnr")
    assert image_of(client.get("/new/up.aec")).size == (96, 64)


def test_an_upload_may_be_lossless_or_of_a_content(client, served):
    array = picture(30, 40)
    assert client.put("/a.aec?lossless=1", content=png(array)).status_code == 201
    assert np.array_equal(image_of(client.get("/a.aec")), array)
    assert client.put("/b.aec?content=graphics", content=png(array)).status_code == 201
    data = (served / "b.aec").read_bytes()
    assert data == codec.encode(array, content="graphics")


@pytest.mark.parametrize("length", [1, 5, 18, 40, 500])
@pytest.mark.parametrize(
    "start", [b"", b"BM", b"II*\0", b"\x89PNG\r\n\x1a\n", b"GIF89a"]
)
def test_junk_is_answered_by_a_line_that_tells_no_internals(
    client, served, start, length
):
    junk = start + bytes(7 * n % 251 + 1 for n in range(length))
    answer = client.put("/junk.aec", content=junk)
    assert answer.status_code == 400
    assert len(answer.text.splitlines()) == 1
    assert not re.search(r"unpack|buffer|0x|BytesIO|Error|b'", answer.text)


def files_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("photo.aec", 409),
        ("up.png", 400),
        ("photo.aec/x.aec", 409),
        ("sub/", 400),
        ("sub/..%2f..%2fup.aec", 404),
        ("%2e%2e/up.aec", 404),
        ("elsewhere/up.aec", 404),
        ("up.aec?quality=0", 400),
        ("up.aec?quality=x", 400),
        ("up.aec?tune=x", 400),
        ("up.aec?effort=9", 400),
        ("up.aec?content=x", 400),
        ("up.aec?lossless=yes", 400),
        ("up.aec?lossless=1&quality=9", 400),
    ],
)
def test_an_upload_to_elsewhere_or_with_wrong_options_leaves_no_trace(
    client, served, path, status
):
    (served / "elsewhere").symlink_to(served.parent)
    before = files_in(served.parent)
    answer = client.put(f"/{path}", content=png(picture(40, 40)))
    assert answer.status_code == status
    assert files_in(served.parent) == before


def chunks(count):
    for _ in range(count):
        yield bytes(30_000)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        pytest.param(b"", 400, id="empty"),
        pytest.param(b"no picture", 400, id="no picture"),
        pytest.param(bytes(100_001), 413, id="too large"),
        pytest.param(chunks(4), 413, id="too large, in chunks"),
        pytest.param(png(np.zeros((1100, 1100), np.uint8)), 400, id="too many pixels"),
    ],
)
def test_an_upload_that_is_no_picture_or_too_large_leaves_no_trace(
    client, served, content, status
):
    before = files_in(served)
    assert client.put("/up.aec", content=content).status_code == status
    assert files_in(served) == before


def test_nothing_is_uploaded_unless_it_is_allowed(served):
    client = TestClient(application(served, False, LIMITS))
    answer = client.put("/up.aec", content=png(picture(40, 40)))
    assert answer.status_code == 405
    assert not (served / "up.aec").exists()


def odd_show(file, *arguments):
    """As `show`, for pictures whose names say what happens; see `odd`."""
    (file.parent / f"{os.getpid()}.began").touch()
    if file.stem == "slow":
        time.sleep(600)
    if file.stem == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if file.stem == "bug":
        raise ZeroDivisionError
    return show(file, *arguments)


def odd_store(body, target, options):
    return odd_show(target)


@pytest.fixture
def odd(served, small_file, monkeypatch):
    """`served`, with pictures at which processes sleep, die or find a bug."""
    for name in ("slow", "die", "bug"):
        (served / f"{name}.aec").write_bytes(small_file)
    monkeypatch.setattr(pictures, "show", odd_show)
    return served


@contextlib.contextmanager
def serving(folder, **limits):
    """Host and port of a server of its own."""
    app = application(folder, True, replace(LIMITS, **limits))
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        service = uvicorn.Server(configuration(app))
        thread = threading.Thread(target=service.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            service.should_exit = True
            thread.join()


@pytest.fixture
def address(served):
    with serving(served) as address:
        yield address


def asked(address, path, method="GET", body=b""):
    """A connection that has sent a request."""
    peer = socket.create_connection(address, timeout=30)
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
    peer.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return peer


def until(fact):
    """What `fact()` gives, as soon as it is something."""
    for _ in range(3000):
        if found := fact():
            return found
        time.sleep(0.01)
    raise AssertionError("in vain")


def begun(folder):
    """Ids of the processes that work or have worked on a picture."""
    return {int(path.stem) for path in folder.glob("*.began")}


def gone(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def get(address, path, host="localhost"):
    with socket.create_connection(address, timeout=20) as peer:
        peer.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        return b"".join(iter(lambda: peer.recv(65536), b""))


def test_slow_clients_are_in_nobodys_way(address, served):
    peers = [socket.create_connection(address, timeout=20) for _ in range(30)]
    try:
        for number, peer in enumerate(peers):
            if number % 3 == 0:  # a body that never ends
                peer.sendall(b"PUT /slow.aec HTTP/1.1\r\nHost: x\r\n")
                peer.sendall(b"Content-Length: 1000\r\n\r\nsome")
            elif number % 3 == 1:  # headers that never end
                peer.sendall(b"GET /photo.aec HTTP/1.1\r\nHost:")
            else:  # an answer that is never read
                peer.sendall(b"GET /photo.aec HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in get(address, "/photo.aec")
        assert b"408" in peers[0].recv(1000)
        assert not (served / "slow.aec").exists()
    finally:
        for peer in peers:
            peer.close()


def test_the_command_serves_on_loopback_until_it_is_stopped(served):
    command = [sys.executable, "-m", "codec", "serve", str(served), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        url = process.stderr.readline().split()[-1]
        assert url.startswith("http://127.0.0.1:")
        port = int(url.rstrip("/").rpartition(":")[2])
        assert b"200 OK" in get(("127.0.0.1", port), "/photo.aec?w=20")
        assert b"400 Bad" in get(("127.0.0.1", port), "/photo.aec", "evil.example")
        taken = [*command[:-1], str(port)]
        other = subprocess.run(taken, capture_output=True, text=True, check=False)
        assert other.returncode == 1
        assert other.stderr == f"aecodec: 127.0.0.1:{port}: Address already in use\n"
    finally:
        ended_cleanly(process)


def ended_cleanly(process):
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert said == "aecodec: stopped by SIGTERM\n"
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("exit_code_is_known", [True, False])
def test_a_signal_ends_what_is_worked_on(odd, exit_code_is_known):
    script = (
        "import os, sys; sys.path[:0] = sys.argv[2:]\n"
        "wait = os.waitpid\n"
        "def lost(*process): wait(*process); raise ChildProcessError\n"
        f"if not {exit_code_is_known}: os.waitpid = lost\n"
        "from test_service import odd_show, pictures\n"
        "pictures.show = odd_show\n"
        "from codec.app.cli import main\n"
        "main(['serve', sys.argv[1], '--port', '0'])\n"
    )
    command = [sys.executable, "-c", script, str(odd), str(Path(__file__).parent)]
    with contextlib.ExitStack() as stack:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        stack.callback(process.kill)
        url = process.stderr.readline().split()[-1]
        address = ("127.0.0.1", int(url.rstrip("/").rpartition(":")[2]))
        for _ in range(5):
            stack.enter_context(asked(address, "/slow.aec"))
        worker = until(lambda: begun(odd)).pop()
        ended_cleanly(process)
    assert until(lambda: gone(worker))


def test_many_requests_at_once_are_all_answered(address):
    sizes = []

    def ask():
        sizes.append(len(get(address, "/photo.aec?w=40&format=jpeg")))

    threads = [threading.Thread(target=ask) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sizes) == 60
    assert len(set(sizes)) == 1
    assert sizes[0] > 500


def test_work_ends_when_its_client_leaves(odd):
    with serving(odd, jobs=1) as address:
        peers = [asked(address, "/slow.aec") for _ in range(40)]
        (worker,) = until(lambda: begun(odd))
        for peer in peers:
            peer.close()
        assert b"200 OK" in get(address, "/photo.aec")
        assert until(lambda: gone(worker))


def test_an_upload_ends_when_its_client_leaves(odd, monkeypatch):
    monkeypatch.setattr(routes, "store", odd_store)
    with serving(odd, jobs=1) as address:
        with asked(address, "/sub/slow.aec", "PUT", png(picture(40, 40))):
            (worker,) = until(lambda: begun(odd / "sub"))
        assert until(lambda: gone(worker))


def test_a_process_that_dies_costs_one_request_and_a_bug_is_not_told(odd, capfd):
    with serving(odd, jobs=1) as address:
        died = get(address, "/die.aec")
        assert b"500 Internal" in died
        assert processes.DIED.encode() in died
        assert b"200 OK" in get(address, "/photo.aec")
        assert get(address, "/bug.aec").endswith(b"\r\n\r\ninternal error\n")
        assert capfd.readouterr().err == "aecodec: ZeroDivisionError\n"


def test_work_that_takes_too_long_is_ended(odd):
    with serving(odd, jobs=1, timeout_s=0.5) as address:
        answer = get(address, "/slow.aec")
    assert b"503 Service Unavailable" in answer
    assert answer.endswith(b"takes more than 0.5 s")


def test_whom_there_is_no_place_for_is_told_to_come_again(odd):
    with serving(odd, jobs=1, waiting=3) as address, contextlib.ExitStack() as peers:
        peers.enter_context(asked(address, "/slow.aec"))
        until(lambda: begun(odd))
        for _ in range(3):
            peers.enter_context(asked(address, "/slow.aec"))
        others = [asked(address, "/photo.aec") for _ in range(10)]
        for peer in others:
            peers.enter_context(peer)
        answers = [peer.recv(1000) for peer in others]
        assert all(b"503 Service Unavailable" in answer for answer in answers)
        assert all(b"retry-after: " in answer for answer in answers)
        assert b"200 OK" in get(address, "/health")


def test_nobody_waits_for_ever(odd):
    with serving(odd, jobs=1, waiting_seconds=0.5) as address:
        until(lambda: b"200 OK" in get(address, "/photo.aec"))  # its process is there
        with asked(address, "/slow.aec"):
            assert b"503 Service Unavailable" in get(address, "/photo.aec")


def test_thumbnails_do_not_wait_for_large_pictures(odd):
    with serving(odd) as address, contextlib.ExitStack() as peers:
        for _ in range(20):
            peers.enter_context(asked(address, "/slow.aec"))
        until(lambda: begun(odd))
        assert b"200 OK" in get(address, "/photo.aec?w=256")
        assert b"200 OK" in get(address, "/")


def test_uploads_at_once_are_limited(served):
    limits = {"uploads": 1, "upload_seconds": 60}
    with serving(served, **limits) as address:
        head = "PUT /1.aec HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
        with socket.create_connection(address) as peer:
            peer.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
            assert b"100 Continue" in peer.recv(1000)  # its place is taken
            with asked(address, "/2.aec", "PUT", png(picture(40, 40))) as other:
                answer = other.recv(1000)
    assert b"503 Service Unavailable" in answer
    assert b"retry-after: " in answer


def test_of_uploads_to_one_name_one_succeeds(served):
    arrays = [picture(200, 200, seed=seed) for seed in range(4)]
    with serving(served, jobs=4) as address:
        peers = [asked(address, "/new.aec", "PUT", png(array)) for array in arrays]
        answers = [peer.recv(1000) for peer in peers]
        for peer in peers:
            peer.close()
    statuses = [answer.split()[1] for answer in answers]
    assert sorted(statuses) == [b"201", b"409", b"409", b"409"]
    stored = arrays[statuses.index(b"201")]
    assert (served / "new.aec").read_bytes() == codec.encode(stored)
    assert not list(served.glob(".*"))


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nA", id="a part of the headers"),
        pytest.param(
            b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nG", id="a second request"
        ),
        pytest.param(
            b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n",
            id="a body that nobody wants",
        ),
    ],
)
def test_connections_that_wait_for_their_client_are_closed(served, monkeypatch, sent):
    monkeypatch.setattr(server, "HEADER_SECONDS", 1)
    with serving(served) as address, socket.create_connection(address) as peer:
        peer.sendall(sent)
        peer.settimeout(0.05)
        for _ in range(500):
            try:
                if not peer.recv(1000):
                    return
                peer.sendall(b"x")  # slowly
            except TimeoutError:
                peer.sendall(b"x")
            except ConnectionError:
                return
    raise AssertionError("still open")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_answers_that_are_not_taken_are_given_up(served, monkeypatch, version):
    given_up = threading.Event()

    class Protocol(server.Protocol):
        def connection_lost(self, error):
            super().connection_lost(error)
            given_up.set()

    monkeypatch.setattr(server, "Protocol", Protocol)
    monkeypatch.setattr(server, "STALL_SECONDS", 0.5)
    (served / "large.aec").write_bytes(bytes(2**26))
    request = f"GET /large.aec?format=aec HTTP/{version}\r\nHost: x\r\n\r\n"
    with serving(served) as address, socket.create_connection(address) as peer:
        peer.sendall(request.encode())
        assert given_up.wait(60)


def test_search_tells_which_pictures_are_alike(client, served, small_file):
    (served / "other.aec").write_bytes(codec.encode(picture(90, 120, seed=1)[::-1]))
    (served / ".hidden.aec").write_bytes(small_file)
    (served / "beyond.aec").symlink_to(served.parent / "secret.aec")
    answer = client.get("/.search", params={"like": "photo.aec"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert found["left"] == 0
    assert [item["path"] for item in found["alike"]] == ["sub/café #1.aec", "other.aec"]
    first, second = (item["likeness"] for item in found["alike"])
    assert first == pytest.approx(1, abs=0.01)
    assert second < first


@pytest.mark.parametrize(
    ("query", "status"),
    [
        *((query, 404) for query in ("", "like=", "like=missing.aec")),
        *((f"like={path}", 404) for path in ("notes.txt", "../secret.aec", "/etc")),
        ("like=photo.aec&k=3", 400),
    ],
)
def test_search_is_for_pictures_in_the_folder(client, served, query, status):
    assert client.get(f"/.search?{query}").status_code == status


def test_search_goes_on_with_the_next_request(tmp_path, small_file, monkeypatch):
    monkeypatch.setattr(search, "UPDATE_S", 0)
    for name in ("first.aec", "photo.aec"):
        (tmp_path / name).write_bytes(small_file)
    found = [
        json.loads(search.alike(tmp_path, tmp_path / "photo.aec", 2**20).body)
        for _ in range(2)
    ]
    assert [item["left"] for item in found] == [1, 0]
    assert [len(item["alike"]) for item in found] == [0, 1]


def test_damaged_pictures_do_not_keep_search_from_the_others(
    tmp_path, small_file, monkeypatch
):
    monkeypatch.setattr(search, "UPDATE_S", 0)
    for name in ("a.aec", "b.aec", "photo.aec", "z.aec"):
        data = small_file[:-40] if name < "c" else small_file
        (tmp_path / name).write_bytes(data)
    for _ in range(4):
        answer = search.alike(tmp_path, tmp_path / "photo.aec", 2**20)
    assert [item["path"] for item in json.loads(answer.body)["alike"]] == ["z.aec"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such names")
def test_names_that_are_no_unicode_are_in_nobodys_way(tmp_path, small_file):
    root = tmp_path / os.fsdecode(b"served \xff")
    (root / os.fsdecode(b"sub \xff")).mkdir(parents=True)
    for name in (b"photo.aec", b"z.aec", b"\xff.aec", b"sub \xff/inside.aec"):
        (root / os.fsdecode(name)).write_bytes(small_file)
    answer = search.alike(root, root / "photo.aec", 2**20)
    assert [item["path"] for item in json.loads(answer.body)["alike"]] == ["z.aec"]
    with TestClient(application(root, False, LIMITS)) as client:
        page = client.get("/")
    assert page.status_code == 200
    assert "photo.aec" in page.text


def test_search_without_a_place_for_an_index_says_so(served, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(index, "cache_folder", lambda: tmp_path / "file")
    answer = search.alike(served, served / "photo.aec", 2**20)
    assert (answer.status, answer.body) == (503, b"search is not to be had here\n")
