"""The files that a web server sends: the modules of the decoder, and the models."""

import hashlib
import json
from functools import cache
from pathlib import Path

from codec.networks.bundle import ARRAYS, CONFIG, graph_file
from codec.networks.shipped import SHIPPED, load_bundle

FILES = Path(__file__).parent / "files"
MANIFEST = "models/models.json"
GRAPHS = ("scales", "mean_context", "preview", "synthesis")  # that decoders run
MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
    ".json": "application/json",
}
OTHER_MEDIA_TYPE = "application/octet-stream"


@cache
def site_files() -> dict[str, Path | bytes]:
    """All files by their path, with slashes: where their content is, or the content.

    CodecError if a model is not the one released.
    """
    found: dict[str, Path | bytes] = {p.name: p for p in sorted(FILES.iterdir())}
    models = {}
    for model_id, (name, _) in SHIPPED.items():
        bundle = load_bundle(model_id)
        paths = [bundle.folder / CONFIG, bundle.folder / ARRAYS]
        paths += [graph_file(bundle.folder, graph) for graph in GRAPHS]
        files = {}
        for path in paths:
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            files[path.name] = {"bytes": len(data), "sha256": digest}
            found[f"models/{name}/{path.name}"] = path
        models[model_id] = {
            "name": name,
            "digest": bundle.digest.hex(),
            "files": files,
        }
    found[MANIFEST] = json.dumps(models, indent=1).encode()
    return found


def media_type(path: str) -> str:
    """What a web server has to call a file."""
    return MEDIA_TYPES.get(Path(path).suffix, OTHER_MEDIA_TYPE)


def site_file(path: str) -> bytes | None:
    """The content of a file; None if there is none of this path."""
    found = site_files().get(path)
    return found.read_bytes() if isinstance(found, Path) else found


def write_site(folder: Path) -> int:
    """Write all files below `folder`, in place of those that are there; how many bytes
    they have.
    """
    size_bytes = 0
    for path in site_files():
        data = site_file(path)
        assert data is not None
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        size_bytes += len(data)
    return size_bytes
