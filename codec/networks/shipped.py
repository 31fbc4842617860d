"""The models in this package: their ids, digests, tunes and heads.

To release a model, put its bundle into codec/models and a line into SHIPPED; then name
it in TUNES, and its heads in HEAD_DIGESTS.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from codec.errors import CodecError, FormatError, UsageError
from codec.networks.bundle import Bundle, bundle_digest, graph_file, parse_bundle

MODELS = Path(__file__).parent.parent / "models"
# Model id -> (folder, SHA-256 of the bundle). Files hold the id, so none is used twice;
# from the first release on none is removed.
SHIPPED = {
    10: ("psnr-10", "f9645d18fb8696b65b196189776279cd15d720d478599c7d152d15a6c2bdf2a1"),
    11: (
        "visual-11",
        "41f463e7ffd64dcb32611fb24d53872aae9f88d39c497bab0acef472dde0ef3d",
    ),
}


@dataclass(frozen=True)
class Tune:
    """A model, and what it was trained for."""

    model_id: int
    aim: str  # what its files are small for


TUNES = {
    "visual": Tune(11, "to look alike (SSIMULACRA 2, ColorVideoVDP)"),
    "psnr": Tune(10, "its error (PSNR)"),
}
TUNE_DEFAULT = "visual"
DEFAULT_MODEL_ID = TUNES[TUNE_DEFAULT].model_id
# Model id -> head -> SHA-256 of its file.
HEAD_DIGESTS = {
    10: {
        "denoise": "21f94b66c8c54cc18139d66aee81b3ba5aac12042fe2c0ab28293acc32d6c9a1",
        "restore": "9a0e3f1f555fee5e2ae8b11b03f9185fce9d334eac17c3f7d2cd1bf32f405a86",
        "upscale": "80cea0755bd36f69eda676339134e5e52f07e7a020984e132a05b80b64d9d624",
        "colorize": "da878e3b5fea48044528e14200784c55e20cd92ae0aada5b2f5fefa44c6c30d7",
    },
}
# Tune -> SHA-256 of the graph of what its models are trained for, by which latents are
# refined; not that of squared error.
OBJECTIVE_DIGESTS = {
    "visual": "ec2d402c36e67ab8ebd2a14e20ee5b133a078f797f56adfb611b4c0e39e4ebfe"
}


def load_bundle(model_id: int) -> Bundle:
    """The shipped bundle with this id.

    Raises FormatError if there is none, CodecError if its files are not those released.
    """
    if model_id not in SHIPPED:
        known = ", ".join(map(str, SHIPPED))
        raise FormatError(
            f"file needs model {model_id}, which this program does not have "
            f"(it has {known})"
        )
    return read_released(*SHIPPED[model_id])


@cache
def read_released(name: str, digest: str) -> Bundle:
    """The bundle in a folder; its digest is tested before anything in it is parsed."""
    folder = MODELS / name
    try:
        found = bundle_digest(folder)
    except OSError as error:
        raise CodecError(f"model {name} is not installed whole: {error}") from None
    if found.hex() != digest:
        raise CodecError(f"model {name} is damaged: its files are not those released")
    return parse_bundle(folder, found)


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def model_name(model_id: int) -> str:
    """Name of a shipped model, "unknown" for others."""
    return SHIPPED[model_id][0] if model_id in SHIPPED else "unknown"


@cache
def head_file(model_id: int, name: str) -> Path:
    """The graph of a shipped head; its digest is tested.

    UsageError if the model has none, CodecError if the file is not the one released.
    """
    if name not in HEAD_DIGESTS.get(model_id, {}):
        tunes = (name for name, tune in TUNES.items() if tune.model_id in HEAD_DIGESTS)
        raise UsageError(
            f"there is no head {name} for model {model_name(model_id)}; "
            f"encode with --tune {' or '.join(tunes)} for one"
        )
    digest = HEAD_DIGESTS[model_id][name]
    return released_graph(f"heads-{model_id}", name, digest, f"head {name}")


@cache
def objective_file(tune: str) -> Path:
    """The graph of what the models of a tune are trained for; errors as `head_file`."""
    digest = OBJECTIVE_DIGESTS[tune]
    return released_graph("objectives", tune, digest, f"objective {tune}")


def released_graph(folder: str, name: str, digest: str, what: str) -> Path:
    """A graph whose digest is tested; CodecError if it is not the one released."""
    path = graph_file(MODELS / folder, name)
    try:
        found = file_digest(path)
    except OSError as error:
        raise CodecError(f"{what} is not installed: {error}") from None
    if found != digest:
        raise CodecError(f"{what} is damaged: its file is not the one released")
    return path
