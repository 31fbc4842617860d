"""The files that a web server sends: the modules of the decoder, the models, and the
playground.
"""

import hashlib
import json
import threading
from functools import cache
from pathlib import Path

from codec.networks.bundle import ARRAYS, CONFIG, graph_file
from codec.networks.shipped import SHIPPED, load_bundle

MAKING = threading.Lock()
FILES, PAGES = (Path(__file__).parent / name for name in ("files", "pages"))
PLAYGROUND = "playground.json"  # what the playground shows and may ask for
MANIFEST = "models/models.json"
GRAPHS = ("scales", "mean_context", "preview", "synthesis")  # that decoders run
MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
GRAPH_SUFFIX = ".tflite"
OTHER_MEDIA_TYPE = "application/octet-stream"


def site_files() -> dict[str, bytes]:
    """All files by their path, with slashes. CodecError if a model is not the one
    released.
    """
    with MAKING:  # once, by whichever thread is the first
        return made_files()


@cache
def made_files() -> dict[str, bytes]:
    from codec.web.graphs import slim  # of LiteRT's package

    paths = [path for folder in (FILES, PAGES) for path in sorted(folder.iterdir())]
    found = {path.name: path.read_bytes() for path in paths}
    models = {}
    for model_id, (name, _) in SHIPPED.items():
        bundle = load_bundle(model_id)
        paths = [bundle.folder / CONFIG, bundle.folder / ARRAYS]
        paths += [graph_file(bundle.folder, graph) for graph in GRAPHS]
        files = {}
        for path in paths:
            data = path.read_bytes()
            data = slim(data) if path.suffix == GRAPH_SUFFIX else data
            digest = hashlib.sha256(data).hexdigest()
            files[path.name] = {"bytes": len(data), "sha256": digest}
            found[f"models/{name}/{path.name}"] = data
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
