"""The pages of the service and what they ask it for: what is answered."""

import io
import json
import os
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from command_line import fails, succeeds
from pictures import picture, psnr
from PIL import Image

import codec
from codec.app import matching

pytest.importorskip("starlette")
from starlette.testclient import TestClient

from codec.app.matching import (
    CODECS,
    COMPARED_MAX_PIXELS,
    COMPARED_SIDE_MAX_PX,
    encoded,
    flat_picture,
    matched,
)
from codec.app.samples import reduced
from codec.app.screen import size_text
from codec.app.service import gallery, places
from codec.app.service.answers import PAGE_POLICY
from codec.app.service.limits import Limits
from codec.app.service.routes import application
from codec.web import site

LIMITS = Limits(max_pixels=2**22, upload_bytes=2**22, jobs=2, timeout_s=120)
LISTED = re.compile(r'<li[^>]*>\s*<a[^>]* href="([^"]*)"')
TEMPLATES = [*gallery.PAGES.glob("*.html"), *site.PAGES.glob("*.html")]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("gallery") / "My pictures"


@pytest.fixture(scope="module")
def turned_file():
    image = Image.fromarray(picture(64, 100))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.info["exif"] = exif.tobytes()
    return codec.encode(image)


@pytest.fixture(scope="module")
def tiled_file():
    """Of two tiles."""
    return codec.encode(picture(70, 1100), quality=20, content="photo")


@pytest.fixture
def served(root, small_file, turned_file):
    """A folder with photo.aec, turned.aec and sub/inside.aec."""
    shutil.rmtree(root, ignore_errors=True)
    (root / "sub").mkdir(parents=True)
    (root / "photo.aec").write_bytes(small_file)
    (root / "turned.aec").write_bytes(turned_file)
    (root / "sub" / "inside.aec").write_bytes(small_file)
    return root


@pytest.fixture(scope="module")
def client(root):
    with TestClient(application(root, True, LIMITS, True)) as client:
        yield client


def png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


class Links(HTMLParser):
    """What a page loads or leads to, but for what is not there yet."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found += [v for name, v in attributes if name in ("href", "src")]


@pytest.mark.parametrize("path", ["/", "/sub/", "/.web/playground.html"])
def test_all_that_a_page_names_is_there(client, served, path):
    links = Links(client.get(path).text).found
    assert links
    for link in links:
        assert client.get(str(client.base_url.join(path).join(link))).status_code == 200


def test_modules_import_what_is_there(client, served):
    for folder in (gallery.PAGES, site.PAGES):
        for file in folder.glob("*.js"):
            text = file.read_text(encoding="utf-8")
            assert "://" not in text
            for name in re.findall(r'from "\./([^"]+)"', text):
                assert client.get(f"/.web/{name}").status_code == 200


def test_whoever_asks_for_an_icon_gets_one(client, served):
    answer = client.get("/favicon.ico")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.text.startswith("<svg")


def test_pages_are_titled_by_their_folder(client, served):
    assert "<title>My pictures</title>" in client.get("/").text
    below = client.get("/sub/").text
    assert "<title>sub</title>" in below
    assert '<a href="../">My pictures</a>' in below


def test_pictures_are_listed_with_what_is_known_of_them(client, served, small_file):
    text = client.get("/").text
    size = len(small_file)
    rate = 8 * size / (120 * 90)
    assert f"{size_text(size)} · {rate:.2f} bpp · quality 50" in text
    assert 'data-width="120" data-height="90"' in text
    assert 'data-width="64" data-height="100"' in text  # upright
    assert "2 pictures, 1 folder" in text


def test_a_damaged_file_is_shown_as_such(client, served, small_file, tiled_file):
    (served / "photo.aec").write_bytes(small_file[:-40])
    (served / "noise.aec").write_bytes(b"noise")
    flipped = bytearray(tiled_file)
    flipped[-100] ^= 1
    (served / "tiled.aec").write_bytes(flipped)
    text = client.get("/").text
    items = {LISTED.search(item)[1]: item for item in text.split("</li>")[:-1]}
    assert "file is cut off" in items["photo.aec"]
    assert "not an .aec file" in items["noise.aec"]
    assert "tile 2 of 2 is damaged" in items["tiled.aec"]
    assert "data-left" in items["tiled.aec"]
    for name in ("photo.aec", "noise.aec"):
        assert "<img" not in items[name]
        assert "data-left" not in items[name]
    whole = np.asarray(codec.decode(tiled_file))
    left = Image.open(io.BytesIO(client.get("/tiled.aec?salvage=1").content))
    assert psnr(np.asarray(left)[:, :900], whole[:, :900]) > 40
    assert client.get("/tiled.aec").status_code == 500


def test_a_picture_that_is_too_large_is_said_to_be(root, served):
    limits = replace(LIMITS, max_pixels=7000)
    with TestClient(application(root, False, limits)) as client:
        text = client.get("/").text
    assert "120 x 90 pixels are more than are shown here" in text
    assert text.count("<img") == 1


@pytest.mark.parametrize("query", ["salvage=2", "salvage=1&region=0,0,9,9"])
def test_wrong_ways_to_salvage_are_refused(client, served, query):
    assert client.get(f"/photo.aec?{query}").status_code == 400


def test_large_folders_come_in_parts_as_people_sort_them(client, served, small_file):
    folder = served / "many"
    folder.mkdir()
    names = [f"IMG_{number}.aec" for number in range(1, 251)]
    (folder / names[0]).write_bytes(small_file)
    for name in names[1:]:
        os.link(folder / names[0], folder / name)
    found, path = [], "/many/"
    while path:
        text = client.get(path).text
        found.append(LISTED.findall(text))
        more = re.search(r'rel="next" href="([^"]*)"', text)
        path = f"/many/{more[1]}" if more else None
    assert [len(part) for part in found] == [100, 100, 50]
    assert [name for part in found for name in part] == names


@pytest.mark.parametrize("query", ["from=x", "from=-1", "from=²", "to=3"])
def test_of_a_folder_nothing_else_is_asked(client, served, query):
    assert client.get(f"/?{query}").status_code == 400


def test_names_sort_by_their_numbers():
    names = ["b2.aec", "B10.aec", "a.aec", "10.aec", "9.aec", "1" * 30 + ".aec"]
    assert sorted(names, key=places.order) == [
        *("9.aec", "10.aec", "1" * 30 + ".aec"),
        *("a.aec", "b2.aec", "B10.aec"),
    ]


def test_what_is_not_offered_is_not_shown(root, served):
    with TestClient(application(root, False, LIMITS)) as client:
        text = client.get("/").text
        assert re.search(r'id="add"[^>]* hidden>', text)
        assert re.search(r'playground.html" hidden>', text)
        assert client.get("/.web/playground.json").json() == {"samples": []}
        body = png(picture(40, 40))
        assert client.post("/.encode", content=body).status_code == 405
    with TestClient(application(root, True, LIMITS, True)) as client:
        text = client.get("/").text
        assert re.search(r'id="add"[^>]*" >', text)
        assert "encode" in client.get("/.web/playground.json").json()


def test_an_empty_folder_says_so(client, served):
    (served / "empty").mkdir()
    assert re.search(r'class="empty" >', client.get("/empty/").text)
    assert re.search(r'class="empty" hidden>', client.get("/").text)


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda path: path.name)
def test_pages_need_no_exception_from_their_policy(file):
    text = file.read_text(encoding="utf-8")
    assert "unsafe-inline" not in PAGE_POLICY
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
    assert all(" src=" in tag for tag in re.findall(r"<script[^>]*>", text))


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda path: path.name)
def test_images_and_buttons_say_what_they_are(file):
    text = file.read_text(encoding="utf-8")
    assert all(" alt=" in tag for tag in re.findall(r"<img[^>]*>", text))
    for tag, content in re.findall(
        r"<(?:button|summary)([^>]*)>(.*?)</(?:button|summary)>", text, re.S
    ):
        words = re.sub(r"<[^>]*>", "", content).strip()
        assert words or " aria-label=" in tag, tag


def files_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_picture_is_encoded_to_be_looked_at(client, served):
    array, before = picture(64, 96), files_in(served)
    answer = client.post("/.encode?quality=30&tune=psnr", content=png(array))
    assert answer.headers["content-type"] == "image/x-aec"
    assert answer.content == codec.encode(array, quality=30, tune="psnr")
    assert files_in(served) == before


@pytest.mark.parametrize("kind", CODECS)
def test_others_encode_it_within_as_many_bytes(client, served, kind):
    body = png(picture(96, 128))
    sizes = []
    for limit in (2500, 4000):
        answer = client.post(f"/.encode?format={kind}&bytes={limit}", content=body)
        assert answer.headers["content-type"] == f"image/{kind}"
        assert Image.open(io.BytesIO(answer.content)).size == (128, 96)
        assert 1 <= int(answer.headers["x-quality"]) <= 100
        sizes.append(len(answer.content))
    assert sizes[0] <= 2500 < sizes[1] <= 4000


def test_the_search_takes_few_encodes_and_finds_the_best(monkeypatch):
    tried = []

    def encoded(image, kind, quality):
        tried.append(quality)
        return bytes(10 * quality)

    monkeypatch.setattr(matching, "encoded", encoded)
    for limit, expected in ((0, 1), (10, 1), (505, 50), (990, 99), (9999, 100)):
        tried.clear()
        found = matched(None, "jpeg", limit)
        assert (found.quality, len(found.data)) == (expected, 10 * expected)
        assert len(tried) <= 7


def test_a_picture_wider_than_some_formats_can_have_is_no_internal_error(
    client, served
):
    wide = png(np.zeros((1, COMPARED_SIDE_MAX_PX + 1, 3), np.uint8))
    answer = client.post("/.encode?format=webp&bytes=900", content=wide)
    assert (answer.status_code, answer.text) == (
        400,
        "a side of more than 16383 pixels\n",
    )


@pytest.mark.parametrize("kind", CODECS)
def test_all_codecs_can_have_a_picture_that_is_reduced(kind):
    wide = reduced(Image.new("RGB", (COMPARED_SIDE_MAX_PX + 1, 1)))
    assert wide.size == (COMPARED_SIDE_MAX_PX, 1)
    assert encoded(wide, kind, 1)


def test_a_page_reads_files_once_until_they_change(served, small_file, monkeypatch):
    read = []
    of_file = gallery.read_info
    monkeypatch.setattr(
        gallery, "read_info", lambda *a, **k: read.append(a) or of_file(*a, **k)
    )
    file = served / "new.aec"
    for data in (small_file, small_file[:-40]):
        file.write_bytes(data)
        facts = [gallery.facts_of(file, 2**20) for _ in range(3)]
        assert facts[0] == facts[1] == facts[2]
        assert bool(facts[0].fault) == (data != small_file)
    assert len(read) == 2


def test_a_page_reads_the_beginning_of_a_large_file(served, tiled_file, monkeypatch):
    file = served / "large.aec"
    file.write_bytes(tiled_file)
    facts = gallery.facts_of(file, 2**20)
    gallery.facts_in.cache_clear()
    monkeypatch.setattr(gallery, "READ_MAX_BYTES", 200)
    monkeypatch.setattr(gallery, "verify", None)
    assert gallery.facts_of(file, 2**20) == facts


def test_other_codecs_get_the_picture_as_it_is_shown():
    array = np.dstack([picture(30, 50), np.zeros((30, 50), np.uint8)])
    assert np.all(np.asarray(flat_picture(png(array), 2**20)) == 255)
    gray = flat_picture(png(picture(30, 50)[..., 0]), 2**20)
    assert (gray.mode, gray.size) == ("RGB", (50, 30))


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("quality=x", 400),
        ("effort=9", 400),
        ("format=gif&bytes=9", 400),
        ("format=jpeg", 400),
        ("format=jpeg&bytes=-1", 400),
        ("format=jpeg&bytes=9&quality=3", 400),
    ],
)
def test_wrong_ways_to_encode_are_refused(client, served, query, status):
    answer = client.post(f"/.encode?{query}", content=png(picture(40, 40)))
    assert answer.status_code == status
    assert len(answer.text.splitlines()) == 1


def test_limits_hold_for_what_is_only_looked_at(root, served):
    large = png(np.zeros((1, COMPARED_MAX_PIXELS + 1), np.uint8))
    with TestClient(application(root, False, LIMITS, True)) as client:
        assert client.post("/.encode", content=large).status_code == 400
        assert client.post("/.encode", content=b"no picture").status_code == 400
        assert client.post("/.encode", content=bytes(2**22 + 1)).status_code == 413
        assert client.put("/new.aec", content=large).status_code == 405


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"},
        {"Origin": "http://other.example"},  # as browsers send it by plain HTTP
        {"Origin": "http://testserver:81"},
        {"Origin": "null"},
    ],
)
def test_pages_of_other_sites_send_nothing(client, served, method, headers):
    path = "/new.aec" if method == "PUT" else "/.encode"
    body = png(picture(40, 40))
    answer = client.request(method, path, content=body, headers=headers)
    assert answer.status_code == 403
    assert not (served / "new.aec").exists()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://testserver"},
        # A web server in front may have changed Host.
        {"Origin": "https://pictures.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_pages_of_the_service_and_programs_send(client, served, headers):
    body = png(picture(40, 40))
    assert client.post("/.encode", content=body, headers=headers).status_code == 200


def test_a_file_of_ours_is_kept_as_it_is(client, served, small_file):
    answer = client.put("/new.aec", content=small_file)
    assert answer.status_code == 201
    assert (served / "new.aec").read_bytes() == small_file


@pytest.mark.parametrize(
    ("query", "change", "said"),
    [
        ("", lambda data: data[:-40], "cut off"),
        ("", lambda data: data[:-9] + bytes(9), "damaged"),
        ("?quality=50", lambda data: data, "kept as it is"),
    ],
)
def test_a_file_of_ours_that_is_damaged_or_to_be_changed_is_not_kept(
    client, served, small_file, query, change, said
):
    answer = client.put(f"/new.aec{query}", content=change(small_file))
    assert answer.status_code == 400
    assert said in answer.text
    assert not (served / "new.aec").exists()


def test_samples_of_the_playground_are_where_it_looks_for_them(tmp_path):
    Image.fromarray(picture(80, 120)).save(tmp_path / "Harbor.png")
    succeeds("web", tmp_path / "site", tmp_path / "Harbor.png")
    (sample,) = json.loads((tmp_path / "site" / site.PLAYGROUND).read_text())["samples"]
    assert sample["name"] == "Harbor"
    original = Image.open(tmp_path / "site" / sample["original"])
    assert np.array_equal(np.asarray(original), picture(80, 120))
    for quality, files in sample["files"].items():
        ours = (tmp_path / "site" / files["aec"]["path"]).read_bytes()
        assert codec.read_info(ours).quality == pytest.approx(int(quality), abs=0.1)
        for kind in CODECS:
            with Image.open(tmp_path / "site" / files[kind]["path"]) as image:
                assert (image.format, image.size) == (kind.upper(), (120, 80))


@pytest.mark.parametrize("space", [" ", "\u202f", "\u3000", "\u200d"])
def test_names_in_all_languages_are_shown(space):
    assert places.is_shown(f"a{space}b.aec")
    for name in (".a", "a\x1bb", "a\nb", "a\udcefb", "a\u2028b"):
        assert not places.is_shown(name)


def test_files_of_somebody_else_are_not_replaced(tmp_path):
    (tmp_path / "icon.svg").write_text("mine")
    assert f"{tmp_path / 'icon.svg'} exists" in fails("web", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["icon.svg"]
    succeeds("web", tmp_path, "--force")
    assert (tmp_path / "icon.svg").read_text() != "mine"
    succeeds("web", tmp_path)  # files of an older version


def test_a_sample_that_is_no_picture_leaves_no_trace(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    line = fails("web", tmp_path / "site", tmp_path / "a.png")
    assert f"{tmp_path / 'a.png'}: " in line
    assert not (tmp_path / "site").exists()
