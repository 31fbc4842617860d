"""The service: pictures, pages, uploads, and what it refuses."""

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
from pictures import picture, psnr
from PIL import Image

import codec

pytest.importorskip("starlette")
import uvicorn
from starlette.testclient import TestClient

from codec.app.service.limits import Limits
from codec.app.service.routes import application
from codec.app.service.server import configuration

LIMITS = Limits(
    max_pixels=2**20,
    upload_bytes=100_000,
    jobs=2,
    timeout_s=60,
    upload_seconds=0.5,
)


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


def test_a_client_that_has_the_picture_gets_it_no_second_time(client, served):
    tag = client.get("/photo.aec?w=60").headers["etag"]
    again = {"If-None-Match": f'"other", {tag}'}
    answer = client.get("/photo.aec?w=60", headers=again)
    assert (answer.status_code, answer.content) == (304, b"")
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


@pytest.fixture
def address(served):
    """Host and port of a server of its own, with slow uploads refused after a time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(configuration(application(served, True, LIMITS)))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield listener.getsockname()
        server.should_exit = server.force_exit = True
        thread.join()


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
        process.terminate()
        _, said = process.communicate()
    assert said == "aecodec: stopped by SIGTERM\n"
    assert process.returncode == 128 + signal.SIGTERM


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
