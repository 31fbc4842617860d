"""The pages of the service and the playground in a browser, and what they do there."""

import contextlib
import os
import queue
import socket
import threading

import pytest
from command_line import succeeds
from pictures import picture
from PIL import Image

import codec

pytest.importorskip("starlette")
import uvicorn
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.browser_pages import NoBrowserError, Pages
from codec.app.service.answers import PAGE_POLICY
from codec.app.service.limits import Limits
from codec.app.service.routes import application
from codec.app.service.server import configuration
from codec.web import site

LIMITS = Limits(max_pixels=2**22, upload_bytes=2**22, jobs=2, timeout_s=120)
TOOLS = """
const $ = (selector) => document.querySelector(selector);
const until = async (fact) => {
  for (let i = 0; i < 2000; i++) {
    const found = fact();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`in vain: ${fact}`);
};
const press = (key) =>
  (document.activeElement ?? document.body).dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }),
  );
const text = (selector) => $(selector).textContent.trim();
const picture = async (width, height, color) => {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.fillStyle = color;
  context.fillRect(0, 0, width, height);
  return canvas.convertToBlob({ type: "image/png" });
};
const choose = (input, ...files) => {
  const carried = new DataTransfer();
  for (const [name, blob] of files) carried.items.add(new File([blob], name));
  input.files = carried.files;
  input.dispatchEvent(new Event("change"));
};
addEventListener("securitypolicyviolation", (event) =>
  told({ fault: `${event.violatedDirective}: ${event.blockedURI}` }));
"""
LOOK = """
await until(() => [...document.images].every((image) => image.naturalWidth));
const items = [...document.querySelectorAll(".picture")];
const found = { rows: new Set(items.map((item) => item.offsetTop)).size };
$("a[href='photo.aec']").click();
found.open = $("#viewer").open;
await until(() => $(".stage aec-img")?.complete);
found.facts = text(".viewer-bar .facts");
found.scale = text(".scale");
press("+");
found.larger = text(".scale");
press("ArrowRight");
found.same = location.hash;
press("0");
found.links = [...document.querySelectorAll(".menu a")].map((link) => link.download);
$("[data-do=alike]").click();
await until(() => !$(".alike").hidden);
const alike = [...document.querySelectorAll(".alike a")];
found.alike = alike.map((link) => link.getAttribute("href"));
press("ArrowRight");
found.next = location.hash;
await until(() => $(".stage aec-img")?.complete);
found.turned = $(".stage aec-img").naturalHeight;
press("ArrowRight");
found.last = location.hash;
found.noNext = $("[data-do=next]").disabled;
$("#viewer").dispatchEvent(new Event("cancel", { cancelable: true }));
await until(() => !$("#viewer").open);
found.hash = location.hash;
told(found);
"""
FALL_BACK = """
$("a[href='photo.aec']").click();
const image = await until(() => $(".stage img[alt='photo']"));
await until(() => $(".notice").textContent);
told({ width: image.naturalWidth, notice: text(".notice") });
"""
DAMAGED = """
$("a[href='cut.aec']").click();
const cut = text(".notice");
$("#viewer [data-do=close]").click();
await until(() => !$("#viewer").open);
$("a[href='tiled.aec']").click();
const image = await until(() => $(".stage img"));
await until(() => text(".notice").includes("left"));
told({ cut, tiled: text(".notice"), width: image.naturalWidth });
"""
MORE = """
const count = () => document.querySelectorAll(".picture").length;
const found = [count()];
while (count() < 130) {
  scrollTo(0, document.body.scrollHeight);
  await new Promise((resolve) => setTimeout(resolve, 100));
}
told([...found, count(), $(".more") === null]);
"""
UPLOAD = """
const blobs = [await picture(64, 48, "teal"), await picture(80, 40, "tan")];
choose($("#files"), ["photo.png", blobs[0]], ["b c.png", blobs[1]]);
const coded = () => until(() => text(".sizes").includes("→"));
await coded();
const panes = document.querySelectorAll(".compared .zoomed").length;
$("form").requestSubmit();
await until(() => text(".sizes").includes("choose another"));
const keeps = text("[data-do=all]");
$("form").elements.name.value = "new";
const reloaded = new Promise((resolve) => addEventListener("pagehide", resolve));
$("form").requestSubmit();
await until(() => text(".place") === "2 of 2");
const quality = $("form").elements.quality;
quality.value = 20;
quality.dispatchEvent(new Event("input", { bubbles: true }));
await until(() =>
  performance.getEntriesByType("resource").some(({ name }) => name.endsWith("=20")));
await coded();
await told({ panes, keeps, allHidden: $("[data-do=all]").hidden });
$("form").requestSubmit();
"""
PLAY = """
await until(() => text("#explained"));
choose($("#file"), ["pier.png", await picture(90, 60, "teal")]);
await until(() => $("#row-avif a"));
await until(() => document.querySelectorAll(".zoomed").length === 2);
const heads = [...document.querySelectorAll("tbody th")];
const rows = heads.map((head) => head.textContent);
const { first, way } = $("form").elements;
way.value = "side";
$("[value=side]").dispatchEvent(new Event("change", { bubbles: true }));
first.value = "original";
first.dispatchEvent(new Event("change", { bubbles: true }));
await until(() => text(".tag").startsWith("Original"));
const panes = [...document.querySelectorAll(".pane")];
const sides = panes.map((pane) => pane.offsetLeft > 100);
choose($("#file"), ["notes.txt", new Blob(["no picture"])]);
await until(() => text("#state").includes("notes.txt"));
told({ rows, facts: text("#facts"), sides, back: $("#back").hidden });
"""
WIDE = """
await until(() => text("#explained"));
const found = [];
const isNew = (said) => said.includes("reduced") && !found.includes(said);
for (const [width, height] of [[20000, 40], [1600, 1200]]) {
  choose($("#file"), ["wide.png", await picture(width, height, "teal")]);
  await until(() => isNew(text("#facts")));
  found.push(text("#facts"));
  await until(() => !text("#state") || $("#state").classList.contains("fault"));
  found.push(text("#state"), document.querySelectorAll(".waiting").length);
}
told(found);
"""
SAMPLES = """
await until(() => $("#samples button"));
const explained = text("#explained");
$("#samples button").click();
await until(() => $("#row-avif a"));
await until(() => document.querySelectorAll(".zoomed").length === 2);
const quality = $("form").elements.quality;
quality.value = 3;
quality.dispatchEvent(new Event("input", { bubbles: true }));
await until(() => $("#row-aec").cells[3].textContent === "80");
await until(() => !$(".waiting"));
const own = new Uint8Array(await (await fetch("samples/1/20.aec")).arrayBuffer());
choose($("#file"), ["own.aec", own]);
await until(() => text("#facts").startsWith("own.aec"));
told({ explained, table: $("table").hidden, facts: text("#facts") });
"""


@pytest.fixture
def served(tmp_path, small_file, monkeypatch):
    """A folder with photo.aec, turned.aec and sub/photo.aec; the index of search is
    elsewhere.
    """
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    root = tmp_path / "My pictures"
    (root / "sub").mkdir(parents=True)
    (root / "photo.aec").write_bytes(small_file)
    image = Image.fromarray(picture(64, 100))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.info["exif"] = exif.tobytes()
    (root / "turned.aec").write_bytes(codec.encode(image))
    (root / "sub" / "photo.aec").write_bytes(small_file)
    return root


@pytest.fixture(scope="module")
def tiled_file():
    """Of two tiles, the second damaged."""
    data = bytearray(codec.encode(picture(70, 1100), quality=20, content="photo"))
    data[-100] ^= 1
    return bytes(data)


class Driven(Pages):
    """An application whose pages run the script of a test, and what it tells; those of
    the paths `gone` are not there.
    """

    def __init__(self, served, gone=()):
        self.application, self.gone = served, gone
        self.files, self.told, self.failed = {}, queue.Queue(), []

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.application(scope, receive, send)
        path = scope["path"]
        if path == "/told":
            self.told.put(await Request(scope, receive).body())
            return await Response()(scope, receive, send)
        if path == "/test.js":
            script = Response(self.files["test.js"][0], media_type="text/javascript")
            return await script(scope, receive, send)
        if path in self.gone:
            return await Response(status_code=404)(scope, receive, send)
        start, body = {}, b""

        async def altered(message):
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            if start["status"] >= 400:
                self.failed.append(path)
            script = b'<script type="module" src="/test.js"></script></body>'
            text = body.replace(b"</body>", script)
            headers = [h for h in start["headers"] if h[0] != b"content-length"]
            headers.append((b"content-length", str(len(text)).encode()))
            await send({**start, "headers": headers})
            await send({"type": "http.response.body", "body": text})

        return await self.application(scope, receive, altered)


@contextlib.contextmanager
def driven(folder, path="", gone=()):
    pages = Driven(application(folder, True, LIMITS, True), gone)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        service = uvicorn.Server(configuration(pages))
        thread = threading.Thread(target=service.run, args=([listener],))
        thread.start()
        pages.url = f"http://127.0.0.1:{listener.getsockname()[1]}/{path}"
        try:
            yield pages
        finally:
            service.should_exit = True
            thread.join()


def run(pages, script):
    try:
        return pages.run(TOOLS + script, timeout_s=240)
    except NoBrowserError as error:
        pytest.skip(str(error))


def test_pictures_are_looked_at_in_a_browser(served):
    with driven(served) as pages:
        found = run(pages, LOOK)
    assert found.pop("facts").startswith("120 \u00d7 90 · ")
    assert found == {
        "rows": 1,
        "open": True,
        "scale": "100 %",
        "larger": "150 %",
        "same": "#photo.aec",
        "links": ["photo.aec", "photo.png", "photo.jpg"],
        "alike": ["sub/#photo.aec", "#turned.aec"],
        "next": "#turned.aec",
        "turned": 100,
        "last": "#turned.aec",
        "noNext": True,
        "hash": "",
    }
    assert pages.failed == []


def test_the_service_decodes_where_a_browser_cannot(served):
    kernels = ("/.web/kernels.wasm", "/.web/kernels_fma.wasm")
    with driven(served, gone=kernels) as pages:
        found = run(pages, FALL_BACK)
    assert found["width"] == 120
    assert "Decoded by the service" in found["notice"]


def test_damage_is_told_in_a_browser(served, small_file, tiled_file):
    (served / "cut.aec").write_bytes(small_file[:-40])
    (served / "tiled.aec").write_bytes(tiled_file)
    with driven(served) as pages:
        found = run(pages, DAMAGED)
    assert found["cut"].startswith("file is cut off")
    assert found["tiled"].startswith("tile 2 of 2 is damaged")
    assert found["width"] == 1100
    assert pages.failed == []


def test_more_pictures_come_as_they_are_scrolled_to(served, small_file):
    for number in range(128):
        os.link(served / "photo.aec", served / f"{number}.aec")
    with driven(served) as pages:
        assert run(pages, MORE) == [100, 130, True]


def test_pictures_are_looked_at_before_they_are_kept(served):
    with driven(served, "sub/") as pages:
        found = run(pages, UPLOAD + "await reloaded;")
        kept = served / "sub" / "b c.aec"
    assert found == {"panes": 2, "keeps": "Keep all 2", "allHidden": True}
    assert pages.failed == []
    new = codec.read_info(served / "sub" / "new.aec")
    assert (new.width, new.height, new.quality) == (64, 48, 60)
    assert not kept.exists() or codec.read_info(kept).quality == 20


def test_the_playground_compares_at_the_same_size(served):
    with driven(served, ".web/playground.html") as pages:
        found = run(pages, PLAY)
    assert found == {
        "rows": ["aecodec", "JPEG", "WebP", "AVIF"],
        "facts": "pier.png · 90 \u00d7 60",
        "sides": [False, True],
        "back": False,
    }
    assert pages.failed == []


def test_the_playground_reduces_what_some_codecs_cannot_have(served):
    with driven(served, ".web/playground.html") as pages:
        wide, *told, large, said, waiting = run(pages, WIDE)
    assert "16358 \u00d7 32, reduced" in wide
    assert told == ["", 0]
    assert "reduced" in large
    assert (said, waiting) == ("", 0)


def test_the_playground_shows_samples_where_nothing_encodes(tmp_path):
    Image.fromarray(picture(80, 120)).save(tmp_path / "Harbor.png")
    succeeds("web", tmp_path / "site", tmp_path / "Harbor.png")
    files = {
        path.relative_to(tmp_path / "site").as_posix(): path
        for path in (tmp_path / "site").rglob("*.*")
    }
    found = {
        name: (path.read_bytes(), site.media_type(name)) for name, path in files.items()
    }
    pages = Static(found, PAGE_POLICY)
    try:
        result = run(pages, SAMPLES)
    finally:
        pages.close()
    assert "serve FOLDER --try" in result["explained"]
    assert result["table"]
    assert result["facts"].startswith("own.aec · 120 \u00d7 80 · ")


class Static(Pages):
    """As `Pages`, at the playground."""

    def run(self, script, timeout_s=240):
        text = self.files["playground.html"][0]
        script_tag = b'<script type="module" src="/test.js"></script></body>'
        page = text.replace(b"</body>", script_tag)
        self.files["playground.html"] = page, "text/html; charset=utf-8"
        self.url += "playground.html"
        return super().run(script, timeout_s)
