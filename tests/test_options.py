"""The two records of options: what they may hold, and who fills them."""

import inspect
import pickle
from dataclasses import fields

import numpy as np
import pytest
from command_line import is_refused
from PIL import Image

import codec
from benchmarks.hostile_files import saved
from codec.app.cli import main
from codec.errors import UsageError
from codec.file.container import unpack
from codec.options import DecodeOptions, EncodeOptions
from codec.picture.reading import picture_in, read_picture

PIXELS = np.zeros((9, 9, 3), np.uint8)
PNG = saved(Image.fromarray(PIXELS), "PNG")
NOT_OF_DECODE = {"salvage"}  # a function of its own
NOT_OF_THE_COMMAND = {"bundle": "model", "threads": None}  # files have names; jobs


@pytest.mark.parametrize(
    ("function", "record"),
    [(codec.encode, EncodeOptions), (codec.decode, DecodeOptions)],
)
def test_the_keywords_are_the_fields_with_the_same_defaults(function, record):
    _, *keywords, progress = inspect.signature(function).parameters.values()
    assert progress.name == "progress"
    found = {field.name: field.default for field in fields(record)}
    assert {k.name: k.default for k in keywords} == {
        name: value for name, value in found.items() if name not in NOT_OF_DECODE
    }


def test_every_field_of_encoding_is_an_option_of_the_command():
    options = {option.name for option in main.commands["encode"].params}
    for field in fields(EncodeOptions):
        name = NOT_OF_THE_COMMAND.get(field.name, field.name)
        assert name is None or name in options


@pytest.mark.parametrize(
    "asked",
    [
        {"region": (0, 0, 8, 8), "scale": 1 / 2},
        {"head": "denoise", "scale": 1 / 2},
        {"head": "denoise", "precision": "fast"},
        {"salvage": True, "region": (0, 0, 8, 8)},
        {"salvage": True, "scale": 1 / 8},
        {"salvage": True, "head": "upscale"},
    ],
)
def test_what_excludes_each_other_is_refused_by_its_names(asked):
    with pytest.raises(UsageError, match=" exclude each other") as error:
        DecodeOptions(**asked)
    assert all(name in str(error.value) for name in asked)


def test_what_does_not_exclude_each_other_is_taken():
    DecodeOptions(region=(0, 0, 8, 8), precision="fast")
    DecodeOptions(region=(0, 0, 8, 8), head="denoise")
    DecodeOptions(scale=1 / 2, precision="fast")
    DecodeOptions(head="denoise", precision="exact")
    DecodeOptions(salvage=True, precision="fast")


def test_records_travel_to_other_processes():
    options = EncodeOptions(quality=40, strip=("exif",), threads=1)
    assert pickle.loads(pickle.dumps(options)) == options


NO_LIMITS = [None, "65536", float("nan"), float("inf"), 1e9, 0, -1, [], np.arange(2)]
LIMITED = {
    "encode": lambda data, limit: codec.encode(PIXELS, max_pixels=limit),
    "encode an image": lambda data, limit: codec.encode(
        Image.fromarray(PIXELS), max_pixels=limit
    ),
    "decode": lambda data, limit: codec.decode(data, max_pixels=limit),
    "salvage": lambda data, limit: codec.salvage(data, max_pixels=limit),
    "features": lambda data, limit: codec.features(data, max_pixels=limit),
    "read_picture": lambda data, limit: read_picture(PIXELS, max_pixels=limit),
    "picture_in": lambda data, limit: picture_in(PNG, limit, ()),
    "unpack": lambda data, limit: unpack(data, max_pixels=limit),
}


@pytest.mark.parametrize("limit", NO_LIMITS, ids=repr)
@pytest.mark.parametrize("call", LIMITED)
def test_a_limit_that_is_none_is_wrong_usage_everywhere(call, limit, small_file):
    with pytest.raises(UsageError, match=r"max_pixels is .*; expected a whole number"):
        LIMITED[call](small_file, limit)


@pytest.mark.parametrize("call", LIMITED)
def test_integers_of_numpy_are_limits(call, small_file):
    LIMITED[call](small_file, np.int64(2**20))


@pytest.mark.parametrize("limit", ["nan", "0", "-1", "1e6", "inf", ""])
@pytest.mark.parametrize("command", ["encode", "decode", "features", "adapt"])
def test_a_limit_that_is_none_is_wrong_usage_of_every_command(command, limit):
    assert "--max-pixels" in is_refused(command, "x", "--max-pixels", limit)


ODD_VALUES = ["x", 3.5, ["x"], np.arange(2), {"x"}, float("nan")]


@pytest.mark.parametrize("value", ODD_VALUES, ids=repr)
@pytest.mark.parametrize(
    ("record", "name"),
    [
        *((EncodeOptions, name) for name in ("tune", "effort", "strip", "bundle")),
        *((DecodeOptions, name) for name in ("scale", "precision", "head", "bundle")),
        *((record, "threads") for record in (EncodeOptions, DecodeOptions)),
    ],
)
def test_a_value_of_another_kind_is_wrong_usage(record, name, value):
    with pytest.raises(UsageError, match=f"^{name} (is|names) "):
        record(**{name: value})
