"""Write the files that later versions must decode alike: `python tests/make_golden.py`.

Run it by hand, and only for a new model: files in tests/golden/v2 that have been
released are never changed. Also writes tests/malformed, files that must be refused.
"""

import hashlib
import io
import json
from pathlib import Path

from pictures import picture
from PIL import Image
from raw_files import raw_file

import codec
from codec.coding.symbols import decode_symbols
from codec.file.container import Container, unpack
from codec.file.header import DIGEST_BYTES
from codec.limits import SIDE_MAX_PX
from codec.networks.bundle import Bundle
from codec.networks.runtime import Networks
from codec.networks.shipped import DEFAULT_MODEL_ID, load_bundle

HERE = Path(__file__).parent
GOLDEN = HERE / "golden" / "v2"
MALFORMED = HERE / "malformed"
GOLDEN_JSON = GOLDEN / "golden.json"
# Name -> picture and options of `codec.encode`.
CASES = {
    f"{width}x{height}-q{quality}": (
        Image.fromarray(picture(height, width)),
        {"quality": quality, "content": "photo"},
    )
    for width, height in ((1, 1), (65, 33), (96, 70))
    for quality in (1, 50, 100)
} | {"1030x8-q1": (Image.fromarray(picture(8, 1030)), {"quality": 1})}
CASES["psnr"] = Image.fromarray(picture(65, 33)), {"tune": "psnr"}
CASES["gray"] = Image.fromarray(picture(20, 30)).convert("L"), {}
CASES["alpha-and-metadata"] = Image.fromarray(picture(20, 30)).convert("RGBA"), {}
CASES["alpha-and-metadata"][0].putalpha(Image.linear_gradient("L").resize((30, 20)))
CASES["alpha-and-metadata"][0].info = {
    "icc_profile": bytes(16) + b"RGB " + bytes(108),
    "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0",
    "xmp": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
}
CASES["flat"] = Image.new("RGB", (1030, 20), (250, 240, 0)), {}
CASES["exact"] = Image.fromarray(picture(20, 30)), {"lossless": True}
CASES["drawn"] = Image.fromarray(picture(40, 60)), {"content": "graphics"}
CASES["ground"] = Image.new("RGB", (160, 128), "white"), {"quality": 30}
CASES["ground"][0].paste(Image.fromarray(picture(28, 28)).resize((112, 112)), (9, 9))
LARGEST_BYTES = 80_000  # all golden files together


def symbols_sha256(container: Container, bundle: Bundle | None = None) -> str:
    """Of the hyper-latents and the residuals, as little-endian int32, in that order."""
    bundle = bundle or load_bundle(container.header.model_id)
    symbols = decode_symbols(container, Networks(bundle))
    return hashlib.sha256(
        b"".join(s.astype("<i4").tobytes() for s in symbols)
    ).hexdigest()


def write_golden() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for old in GOLDEN.iterdir():
        old.unlink()
    hashes = {}
    for name, (image, options) in CASES.items():
        data = codec.encode(image, **options)
        (GOLDEN / f"{name}.aec").write_bytes(data)
        decoded = codec.decode(data, precision="exact")
        decoded.save(GOLDEN / f"{name}.png", optimize=True)
        hashes[name] = symbols_sha256(unpack(data))
    GOLDEN_JSON.write_text(json.dumps(hashes, indent=1) + "\n")
    size = sum(path.stat().st_size for path in GOLDEN.iterdir())
    assert size <= LARGEST_BYTES, f"{size} bytes of golden files"
    print(f"{GOLDEN}: {len(CASES)} files of {size} bytes together")


def malformed_files() -> dict[str, bytes]:
    """Files that must be refused, by name; all checksums are right but one."""
    digest = load_bundle(DEFAULT_MODEL_ID).digest[:DIGEST_BYTES]
    good = codec.encode(picture(20, 30), quality=30)
    png = io.BytesIO()
    Image.new("RGB", (2, 2)).save(png, "PNG")
    return {
        "empty": b"",
        "text": b"This is no picture.\n",
        "png": png.getvalue(),
        "magic-only": good[:4],
        "version-0": raw_file(version=0, digest=digest),
        "version-1": raw_file(version=1, digest=digest),
        "version-3": raw_file(version=3, digest=digest),
        "unknown-model": raw_file(model_id=254, digest=digest),
        "unknown-bundle": raw_file(digest=bytes(b ^ 0xFF for b in digest)),
        "width-0": raw_file(width=0, digest=digest),
        "huge-dimensions": raw_file(
            width=SIDE_MAX_PX, height=SIDE_MAX_PX, digest=digest
        ),
        "huge-dimensions-and-table": raw_file(
            width=2**14, height=2**14, count=256, digest=digest
        ),
        "no-tile": raw_file(chunks=(), digest=digest),
        "critical-chunk": raw_file(chunks=((1, b""), (3, b"")), digest=digest),
        "kind-of-layer": raw_file(chunks=((2, b"\x03\0\0"),), digest=digest),
        "layer-of-no-pixels": raw_file(chunks=((2, b"\x01\0\0"),), digest=digest),
        "layer-cut-off": raw_file(chunks=((2, b"\x01\x05\0"),), digest=digest),
        "zero-word": raw_file(chunks=((1, bytes(4)),), digest=digest),
        "odd-payload": raw_file(chunks=((1, b"abc"),), digest=digest),
        "leftover-words": raw_file(chunks=((1, b"\x01" * 4000),), digest=digest),
        "bad-payload-checksum": good[:-1] + bytes([good[-1] ^ 1]),
        "cut-off": good[:-7],
        "trailing-byte": good + b"\0",
    }


def write_malformed() -> None:
    MALFORMED.mkdir(exist_ok=True)
    for old in MALFORMED.iterdir():
        old.unlink()
    for name, data in malformed_files().items():
        (MALFORMED / f"{name}.aec").write_bytes(data)
    print(f"{MALFORMED}: {len(malformed_files())} files")


if __name__ == "__main__":
    write_golden()
    write_malformed()
