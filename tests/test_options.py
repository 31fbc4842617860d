"""The two records of options: what they may hold, and who fills them."""

import inspect
import pickle
from dataclasses import fields

import pytest

import codec
from codec.app.cli import main
from codec.errors import UsageError
from codec.options import EFFORTS, DecodeOptions, EncodeOptions

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
        {"salvage": True, "precision": "fast"},
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


@pytest.mark.parametrize("effort", EFFORTS)
def test_which_efforts_there_are_depends_on_the_model(effort, bundle, refinable):
    assert EncodeOptions(effort=effort, bundle=refinable).effort == effort
    assert not bundle.can_refine
    if EFFORTS[effort].refinement:
        with pytest.raises(UsageError, match="at most 6 works with it"):
            EncodeOptions(effort=effort, bundle=bundle)
    else:
        EncodeOptions(effort=effort, bundle=bundle)


def test_records_travel_to_other_processes():
    options = EncodeOptions(quality=40, strip=("exif",), threads=1)
    assert pickle.loads(pickle.dumps(options)) == options
