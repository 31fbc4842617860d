"""The decoder for browsers: its files, and in a browser, what it decodes is what the
decoder in Python does.
"""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from browser_scripts import DECODE_ALL, LEVELS, SYMBOLS, difference, script
from command_line import succeeds
from make_golden import GOLDEN, GOLDEN_JSON, MALFORMED
from make_kernels import FEATURES, SOURCE, source_digest
from pictures import picture
from PIL import Image, ImageCms, ImageOps

import codec
from benchmarks.browser_pages import NoBrowserError, Pages
from codec.app.service.answers import PAGE_POLICY
from codec.coding.encoder import Encoder, header_of
from codec.coding.layering import Layering
from codec.errors import FormatError
from codec.file.container import unpack
from codec.file.layer import LOSSLESS, LOSSY, LayerTile
from codec.limits import MAX_PIXELS
from codec.networks.runtime import Networks
from codec.networks.shipped import DEFAULT_MODEL_ID, SHIPPED, load_bundle
from codec.options import EFFORT_DEFAULT, EFFORTS
from codec.picture.reading import picture_in
from codec.progress import no_progress
from codec.web.site import FILES, media_type, site_files

ROOT = Path(__file__).parent.parent
RETRIED = """
import { decode } from "./aec.js";
const error = await decode("96x70-q50.aec").catch((error) => error.message);
await fetch("mended");
const { info } = await decode("96x70-q50.aec");
told({ error, width: info.width });
"""
ELEMENTS = """
import "./aec.js";
const once = (element, name) =>
  new Promise((resolve) => element.addEventListener(name, resolve, { once: true }));
const show = (attributes) => {
  const element = document.createElement("aec-img");
  for (const name in attributes) element.setAttribute(name, attributes[name]);
  document.body.append(element);
  return element;
};
const facts = (element) => ({
  complete: element.complete,
  state: element.getAttribute("state"),
  natural: [element.naturalWidth, element.naturalHeight],
  shown: [element.offsetWidth, element.offsetHeight],
  role: element.getAttribute("role"),
  label: element.getAttribute("aria-label"),
  error: element.error && `${element.error.name}: ${element.error.message}`,
});
const found = {};
const turned = show({ src: "turned-6.aec", alt: "A picture" });
const order = [];
for (const name of ["header", "preview", "load", "error"])
  turned.addEventListener(name, () => order.push(name));
await once(turned, "load");
found.turned = { ...facts(turned), order };

const sized = show({ src: "turned-6.aec", width: "30" });
await sized.decode();
found.sized = facts(sized);

const small = show({ src: "photo.aec", width: "130" });
await once(small, "load");
const widths = () =>
  [...small.shadowRoot.querySelectorAll("canvas")]
    .filter((canvas) => !canvas.hidden)
    .map((canvas) => canvas.width);
found.small = widths();
small.style.maxWidth = "none";
small.width = 1300;
await new Promise((resolve) => setTimeout(resolve, 500));
found.enlarged = widths();

const damaged = show({ src: "cut-off.aec", alt: "Nothing", width: "90" });
const event = await once(damaged, "error");
found.damaged = { ...facts(damaged), message: event.message };
damaged.src = "turned-6.aec";
await once(damaged, "load");
found.mended = facts(damaged);

const wide = show({ src: "wide.aec" });
found.wide = await wide.decode().then(String, String);

const missing = show({ src: "nowhere.aec" });
found.missing = await missing.decode().then(String, String);

const space = document.createElement("div");
space.style.height = "20000px";
document.body.append(space);
const lazy = show({ src: "photo.aec", loading: "lazy" });
await new Promise((resolve) => setTimeout(resolve, 300));
found.waiting = facts(lazy);
lazy.scrollIntoView();
await once(lazy, "load");
found.lazy = facts(lazy);
told(found);
"""
ODD = """
import { decode } from "./aec.js";
import { layerPixels } from "./classic.js";
import { unpack } from "./container.js";
import { Kernels, compileKernels } from "./kernels.js";
import { orientationOf } from "./metadata.js";

const found = { limits: [], orientations: [] };
const bytes = new Uint8Array(await (await fetch("avif.aec")).arrayBuffer());
const tile = unpack(bytes, 2 ** 20).tile(0);
const layer = () => layerPixels(tile, 160, 120).then(() => "decoded", String);
const real = createImageBitmap;
const refused = () => Promise.reject(new Error("of another kind"));
found.whole = await layer();
globalThis.createImageBitmap = refused;
found.without = await layer();
const pixel = (blob) => (blob.size < 400 ? real(blob) : refused());
globalThis.createImageBitmap = pixel;
found.damaged = await layer();
for (const maxPixels of [NaN, "9", 0, 1.5])
  found.limits.push(await decode("photo.aec", { maxPixels }).catch(String));
const kernels = new Kernels(await compileKernels());
found.addresses = new Set([kernels.allocate(0), kernels.allocate(0)]).size;
for (const [mark, count] of [["II", 1], ["II", 2], ["XX", 1]]) {
  const exif = new DataView(new ArrayBuffer(26));
  [...mark].forEach((letter, i) => exif.setUint8(i, letter.charCodeAt(0)));
  exif.setUint32(4, 8, true);
  [1, 0x0112, 3].forEach((value, i) => exif.setUint16(8 + 2 * i, value, true));
  exif.setUint32(14, count, true);
  exif.setUint16(18, 6, true);
  found.orientations.push(orientationOf(new Uint8Array(exif.buffer)));
}
told(found);
"""
MODEL_FILES = """
import { modelFile, modelOf } from "./models.js";
const model = await modelOf(HEADER);
const sizes = [];
for (let i = 0; i < 2; i++)
  sizes.push((await modelFile(model, "scales.tflite")).length);
told(sizes);
"""


def encoded(image, **options) -> bytes:
    return codec.encode(image, **options)


def turned(orientation: int) -> bytes:
    image = Image.fromarray(picture(75, 141))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.info["exif"] = exif.tobytes()
    return encoded(image, quality=30)


def with_alpha() -> bytes:
    image = Image.fromarray(picture(150, 1100)).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return encoded(image, quality=30)


def layered(lossy: bool) -> bytes:
    """A file with a layer over half of it."""
    file = io.BytesIO()
    Image.fromarray(picture(200, 300)).save(file, "PNG")
    found = picture_in(file.getvalue(), MAX_PIXELS, ())
    networks = Networks(load_bundle(DEFAULT_MODEL_ID))
    covered = np.zeros((200, 300), bool)
    covered[30:150, :170] = True
    effort = EFFORTS[EFFORT_DEFAULT]
    header = header_of(found, networks.bundle)
    layer = Layering(header, found.rgb, covered, None, "visual", effort, not lossy, 1)
    encoder = Encoder(found, networks, effort.refinement, False, no_progress, layer)
    data = encoder.file(20000)
    tile = unpack(data).tile(0)
    assert isinstance(tile, LayerTile)
    assert tile.kind == (LOSSY if lossy else LOSSLESS)
    assert tile.network
    return data


def display_p3() -> bytes:
    """The colorants of Display P3 in a profile of sRGB."""
    profile = bytearray(
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    )
    colors = {
        b"rXYZ": (0.5151, 0.2412, -0.0011),
        b"gXYZ": (0.292, 0.6922, 0.0419),
        b"bXYZ": (0.1571, 0.0666, 0.7841),
    }
    for name, values in colors.items():
        entry = profile.index(name, 128)
        start = int.from_bytes(profile[entry + 4 : entry + 8], "big") + 8
        for value in values:
            number = round(value * 65536).to_bytes(4, "big", signed=True)
            profile[start : start + 4] = number
            start += 4
    image = Image.fromarray(picture(20, 30))
    image.info["icc_profile"] = bytes(profile)
    return encoded(image, quality=30)


@pytest.fixture(scope="module")
def good() -> dict[str, bytes]:
    """Files that decode, by name."""
    large = Image.fromarray(picture(1100, 1300))
    made = {
        "photo": encoded(large, quality=40, content="photo"),
        "photo-psnr": encoded(large.crop((0, 0, 300, 200)), tune="psnr"),
        "gray": encoded(large.convert("L").crop((0, 0, 200, 130))),
        "alpha": with_alpha(),
        "lossless": encoded(large.crop((0, 0, 61, 47)), lossless=True),
        "avif": encoded(large.crop((0, 0, 160, 120)), quality=20, content="graphics"),
        "mask": layered(lossy=True),
        "no-mask": layered(lossy=False),
        "p3": display_p3(),
        "wide": encoded(Image.new("RGB", (100_000, 1), "red")),
        **{f"turned-{number}": turned(number) for number in range(1, 9)},
    }
    golden = {path.stem: path.read_bytes() for path in GOLDEN.glob("*.aec")}
    return {f"{name}.aec": data for name, data in {**made, **golden}.items()}


@pytest.fixture(scope="module")
def bad() -> dict[str, bytes]:
    """Files that must be refused."""
    sample = (GOLDEN / "alpha-and-metadata.aec").read_bytes()
    cut = {f"cut-{n}.aec": sample[:n] for n in range(0, len(sample), 13)}
    flipped = {}
    for place in range(5, len(sample), 13):
        data = bytearray(sample)
        data[place] ^= 16
        flipped[f"flipped-{place}.aec"] = bytes(data)
    files = {path.name: path.read_bytes() for path in MALFORMED.glob("*.aec")}
    return cut | flipped | files


@pytest.fixture(scope="module")
def pages(good, bad):
    files = {path: (data, media_type(path)) for path, data in site_files().items()}
    for name, data in {**good, **bad}.items():
        files[name] = data, "application/octet-stream"
    found = Pages(files, PAGE_POLICY)
    try:
        found.run("told(1);")
    except NoBrowserError as error:
        pytest.skip(str(error))
    yield found
    found.close()


@pytest.fixture(scope="module")
def decoded(pages, good):
    return pages.run(script(DECODE_ALL, good))


def test_modules_import_only_what_is_there_and_names_no_other_place():
    for path in FILES.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r'from "([^"]+)"', text):
            assert (FILES / name).is_file()
        assert "://" not in text


def test_the_kernels_are_those_of_their_source():
    for name in FEATURES:
        data = (FILES / name).read_bytes()
        assert source_digest().encode() in data, f"run tests/make_kernels.py: {SOURCE}"


def test_the_decoder_without_models_is_small():
    assert sum(path.stat().st_size for path in FILES.iterdir()) < 150_000


def test_the_command_writes_all_files_and_again(tmp_path):
    for _ in range(2):
        result = succeeds("web", tmp_path / "site")
        assert "aec.js" in result.stderr
    models = json.loads((tmp_path / "site" / "models" / "models.json").read_text())
    assert {int(number): model["name"] for number, model in models.items()} == {
        number: name for number, (name, _) in SHIPPED.items()
    }
    found = {p.relative_to(tmp_path / "site").as_posix() for p in tmp_path.rglob("*.*")}
    assert found == set(site_files())


def test_symbols_of_the_golden_files_are_exactly_the_same(pages):
    expected = json.loads(GOLDEN_JSON.read_text())
    found = pages.run(script(SYMBOLS, [f"{name}.aec" for name in expected]))
    assert found == {f"{name}.aec": value for name, value in expected.items()}


def test_pictures_are_those_of_the_decoder_in_python(decoded, good):
    assert set(decoded) == set(good)
    for name, data in good.items():
        found, expected = decoded[name], codec.decode(data, precision="exact")
        assert "error" not in found, f"{name}: {found['error']}"
        off = difference(found, ImageOps.exif_transpose(expected))
        assert np.abs(off).max() <= LEVELS, name
        assert not off[..., 3].any(), name


def test_facts_are_those_of_info(decoded, good):
    for name, data in good.items():
        facts, found = codec.read_info(data), decoded[name]["info"]
        assert found["bytes"] == facts.size_bytes
        assert found["model"] == facts.model
        assert found["tiles"] == facts.tiles
        assert found["quality"] == pytest.approx(facts.quality, abs=0.01)
        assert set(found["metadata"]) == set(facts.metadata)
        assert found["alpha"] == facts.mode.endswith("A")
    assert decoded["gray.aec"]["info"]["gray"]
    assert decoded["avif.aec"]["info"]["layered"]


def test_colors_are_in_the_space_of_the_profile(decoded):
    assert decoded["p3.aec"]["space"] == "display-p3"
    assert decoded["photo.aec"]["space"] == "srgb"


def test_a_bad_file_has_the_error_that_it_has_in_python(pages, bad):
    found = pages.run(script(DECODE_ALL, bad))
    for name, data in bad.items():
        with pytest.raises(FormatError) as caught:
            codec.decode(data)
        assert found[name]["name"] == "AecError", name
        if not name.startswith(("cut", "flipped")):  # what is read first may differ
            said = str(caught.value).replace(", whose .aecm file --model names", "")
            assert found[name]["error"] == said, name


def test_elements_are_like_images(pages):
    found = pages.run(script(ELEMENTS, []))
    assert found["turned"] == {
        "complete": True,
        "state": "complete",
        "natural": [75, 141],
        "shown": [75, 141],
        "role": "img",
        "label": "A picture",
        "error": None,
        "order": ["header", "preview", "load"],
    }
    assert found["sized"]["shown"] == [30, 56]
    assert found["small"] == [130]
    assert found["enlarged"] == [1300]
    damaged = found["damaged"]
    assert damaged["state"] == "error"
    assert damaged["message"].startswith("file is cut off")
    assert damaged["error"] == f"AecError: {damaged['message']}"
    assert found["mended"]["complete"]
    assert found["mended"]["error"] is None
    assert found["wide"] == "Error: no canvas here is of 100000 x 1 pixels"
    assert found["missing"].endswith("nowhere.aec: status 404")
    assert found["waiting"]["state"] is None
    assert found["lazy"]["natural"] == [1300, 1100]


def test_odd_options_files_and_browsers(pages):
    found = pages.run(ODD)
    assert found["whole"] == "decoded"
    lacking = "Error: parts of the picture are AVIF, which this browser cannot read"
    assert found["without"] == lacking
    assert found["damaged"] == "AecError: picture cannot be decoded"
    assert len(found["limits"]) == 4
    assert all("expected a number from 1 on" in error for error in found["limits"])
    assert found["addresses"] == 2
    assert found["orientations"] == [6, 1, 1]


def test_a_worker_that_cannot_be_loaded_is_replaced(pages, monkeypatch):
    class Mended(dict):
        def get(self, path):
            if path == "network_worker.js" and not pages.requests["mended"]:
                return None
            return super().get(path)

    monkeypatch.setattr(pages, "files", Mended(pages.files))
    found = pages.run(RETRIED, timeout_s=60)
    assert found["error"]
    assert found["width"] == 96


def test_models_are_fetched_once(pages, good):
    bundle = load_bundle(DEFAULT_MODEL_ID)
    header = {"modelId": DEFAULT_MODEL_ID, "digest": bundle.digest[:4].hex()}
    pages.requests.clear()
    text = MODEL_FILES.replace("HEADER", json.dumps(header))
    sizes = pages.run(text)
    size = len(site_files()[f"models/{bundle.folder.name}/scales.tflite"])
    assert sizes == [size, size]
    (requests,) = (n for path, n in pages.requests.items() if path.endswith("tflite"))
    assert requests == 1
