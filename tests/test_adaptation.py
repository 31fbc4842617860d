"""Adapted models: reading them, coding with them, and adapting one in two steps."""

import importlib.util
import io
import itertools
import json
import os
import re
import subprocess
import sys
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import ORIGINAL, aecodec, fails, is_refused, names, pixels, succeeds
from pictures import picture, psnr
from PIL import Image

import codec
from codec.networks.adaptation import (
    FLOAT16,
    FLOAT32,
    FLOATS,
    WEIGHTS_MIN_BYTES,
    buffer_types,
    buffers,
    pack_model,
    patches_of,
    unpack_model,
)
from codec.networks.bundle import CONFIG, Bundle, graph_file
from codec.networks.runtime import Networks
from codec.networks.shipped import DEFAULT_MODEL_ID, TUNES, load_bundle, model_name

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

MODEL = "domain.aecm"
ROOT = str(Path(codec.__file__).parent.parent)
TRAINS = ("ai_edge_quantizer", "keras", "tensorflow", "tensorflow_compression_ops")
needs_training = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, TRAINS)),
    reason="training needs `pip install aecodec[train]`, Python 3.11 or 3.12",
)


def floats(bundle: Bundle, graph: str) -> tuple[str, np.ndarray]:
    """Some float32 biases of a graph: (name of the buffer, values)."""
    data = graph_file(bundle.folder, graph).read_bytes()
    for number, place in enumerate(buffers(data)):
        if len(place) == 768:  # of the last layer of the synthesis
            return f"{graph}/{number}", np.frombuffer(
                data[place.start : place.stop], np.float32
            )
    raise AssertionError


@pytest.fixture(scope="module")
def packed(bundle) -> bytes:
    return packed_from(bundle)


def packed_from(bundle: Bundle) -> bytes:
    """Coarser, and brighter by 0.1 of the range."""
    coarse = replace(
        bundle,
        log_gain=bundle.log_gain - np.float32(0.1),
        log_inverse_gain=bundle.log_inverse_gain + np.float32(0.1),
    )
    name, values = floats(bundle, "synthesis")
    brighter = values + np.float32(0.1)
    return pack_model(coarse, {name: brighter.tobytes()})


@pytest.fixture
def model(folder, packed) -> str:
    """Its file beside photo.png."""
    Path(MODEL).write_bytes(packed)
    return MODEL


def repacked(data: bytes, change) -> bytes:
    """With `change` applied to the contents by name."""
    Path("old.zip").write_bytes(data)
    with zipfile.ZipFile("old.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile("new.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return Path("new.zip").read_bytes()


def test_buffers_of_a_graph_lie_in_the_file_one_beside_the_other(bundle):
    for path in bundle.folder.glob("*.tflite"):
        size = path.stat().st_size
        places = sorted(
            (p for p in buffers(path.read_bytes()) if len(p)), key=lambda p: p.start
        )
        assert sum(map(len, places)) > 0.8 * size
        assert places[-1].stop <= size
        for before, after in itertools.pairwise(places):
            assert before.stop <= after.start


def test_an_adapted_model_has_its_own_digest_and_the_id_of_its_base(bundle, packed):
    adapted = unpack_model(packed)
    assert adapted.model_id == bundle.model_id
    assert adapted.digest != bundle.digest
    assert adapted.digest == unpack_model(packed).digest
    assert [*adapted.patches] == ["synthesis"]


def test_files_of_an_adapted_model_are_its_own(bundle, packed, small_picture):
    adapted = unpack_model(packed)
    data = codec.encode(small_picture, quality=60, bundle=adapted)
    plain = codec.encode(small_picture, quality=60)
    assert len(data) < len(plain)
    decoded = np.asarray(codec.decode(data, bundle=adapted), float)
    brighter = decoded.mean() - np.asarray(codec.decode(plain), float).mean()
    assert 15 < brighter < 27  # a tenth of 255, less what is clipped
    assert codec.read_info(data).model_id == bundle.model_id
    assert codec.read_info(data).bundle_digest == adapted.digest[:4].hex()
    with pytest.raises(codec.FormatError, match=r"another model .*--model names"):
        codec.decode(data)
    with pytest.raises(codec.FormatError, match="another model"):
        codec.decode(plain, bundle=adapted)


def test_the_base_model_is_untouched(packed, small_picture, small_file):
    adapted = unpack_model(packed)
    codec.encode(small_picture, quality=50, bundle=adapted)
    assert codec.encode(small_picture, quality=50) == small_file


@pytest.mark.parametrize("options", [{"effort": 1}, {"effort": 7}, {"psnr_db": 18}])
def test_all_ways_to_encode_go_with_an_adapted_model(refinable, small_picture, options):
    adapted = unpack_model(packed_from(refinable))
    data = codec.encode(small_picture, bundle=adapted, **options)
    exact = codec.decode(data, bundle=adapted)
    assert psnr(exact, codec.decode(data, bundle=adapted, precision="fast")) > 35
    assert codec.decode(data, bundle=adapted, scale=1 / 2).size == (60, 45)
    assert codec.features(data, bundle=adapted).ndim == 1


def test_the_command_line_codes_with_an_adapted_model(model):
    succeeds("encode", "photo.png", "--model", model)
    assert f"another model {DEFAULT_MODEL_ID}" in fails(
        "decode", "photo.aec", "-o", "out.png"
    )
    succeeds("decode", "photo.aec", "--model", model, "-o", "out.png")
    assert pixels("out.png").shape == ORIGINAL.shape
    named = f"model {DEFAULT_MODEL_ID} ({model_name(DEFAULT_MODEL_ID)})"
    assert named in succeeds("info", "photo.aec").stdout
    succeeds("features", "photo.aec", "--model", model, "-o", "features.npz")
    assert f"another model {DEFAULT_MODEL_ID}" in fails(
        "features", "photo.aec", "-o", "other.npz"
    )
    succeeds("decode", "photo.aec", "--salvage", "--model", model, "-o", "s.png")


def test_trees_are_coded_with_an_adapted_model(model):
    Path("in").mkdir()
    Path("photo.png").rename("in/photo.png")
    succeeds("encode", "-r", "in", "-o", "coded", "-j", 1, "--model", model)
    succeeds("decode", "-r", "coded", "-o", "out", "-j", 1, "--model", model)
    assert names("out") == ["photo.png"]


def test_a_model_excludes_a_tune(model):
    assert "exclude" in is_refused(
        "encode", "photo.png", "--model", model, "--tune", "visual"
    )


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_a_damaged_model_is_refused_in_a_line_that_names_it(model, coded, command):
    data = Path(model).read_bytes()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    for damaged in (b"", data[:middle], data[:-1], flipped, coded):
        Path(model).write_bytes(damaged)
        line = fails(command, "photo.png", "--model", model, "-o", "out")
        assert line.startswith(f"aecodec: --model {model}: ")
    assert "No such file" in fails(command, "photo.png", "--model", "none.aecm")
    assert not Path("out").exists()


def test_a_configuration_that_is_too_long_is_refused(folder, packed):
    def change(members):
        members[CONFIG] = members[CONFIG] + 5000 * b" "

    with pytest.raises(codec.FormatError, match="not an adapted model"):
        unpack_model(repacked(packed, change))


def test_a_model_of_another_base_or_format_is_refused(folder, packed):
    for key, value, message in (
        ("base", 3, "model 3 that"),
        ("base", 8, "model 8 that"),
        ("base_digest", "00", f"model {DEFAULT_MODEL_ID} that"),
        ("format", 2, "format 2"),
        ("skip_below", 64, "skip_below"),
        ("skip_below", 7.0, "not an adapted"),
        ("format", True, "not an adapted"),
        ("base", "7\nline", "not an adapted"),
    ):

        def change(members, key=key, value=value):
            config = json.loads(members[CONFIG])
            members[CONFIG] = json.dumps(config | {key: value}).encode()

        with pytest.raises(codec.FormatError, match=message):
            unpack_model(repacked(packed, change))


@pytest.mark.parametrize(
    "name",
    (
        "log_gain",
        "block_scale",
        "residual_minimum",
        "residual_length",
        "hyper_7_length",
    ),
)
@pytest.mark.parametrize("fault", ["missing", "type", "shape", "values"])
def test_arrays_that_no_model_has_are_refused(folder, packed, name, fault):
    def change(members):
        array = np.load(_written(members.pop(f"{name}.npy")))
        if fault == "missing":
            return
        if fault == "type":
            array = array.astype(np.float64)
        elif fault == "shape":
            array = array[:-1]
        else:
            array = array * 0 - np.array(10**6, array.dtype)
        np.save("new.npy", array)
        members[f"{name}.npy"] = Path("new.npy").read_bytes()

    named = "set of arrays" if fault == "missing" else name.split("_")[0]
    with pytest.raises(codec.FormatError, match=named):
        unpack_model(repacked(packed, change))


@pytest.mark.parametrize("values", [1, 32767, -32767])
def test_tables_without_zero_are_refused(folder, packed, values):
    def change(members):
        array = np.load(_written(members["residual_minimum.npy"]))
        np.save("new.npy", np.full_like(array, values))
        members["residual_minimum.npy"] = Path("new.npy").read_bytes()

    with pytest.raises(codec.FormatError, match="residual"):
        unpack_model(repacked(packed, change))


@pytest.mark.parametrize(
    "name", ["junk.npy", "hyper_99_minimum.npy", "synthesis/056", "synthesis/x\nline"]
)
def test_members_of_other_names_are_refused(folder, packed, name):
    def change(members):
        members[name] = members["log_gain.npy"]

    with pytest.raises(codec.FormatError) as error:
        unpack_model(repacked(packed, change))
    assert "\n" not in str(error.value)


def weights_of(bundle: Bundle, graph: str, kind: int) -> dict[str, np.ndarray]:
    """Contents of the buffers of a graph that hold floats of one type."""
    data = graph_file(bundle.folder, graph).read_bytes()
    types = buffer_types(data)
    return {
        f"{graph}/{number}": np.frombuffer(data[p.start : p.stop], FLOATS[kind]).copy()
        for number, p in enumerate(buffers(data))
        if len(p) >= WEIGHTS_MIN_BYTES and types.get(number) == {kind}
    }


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 8200, -6e4])
@pytest.mark.parametrize(
    ("graph", "kind"),
    [
        ("analysis", FLOAT32),
        ("hyper_analysis", FLOAT16),
        ("mean_context", FLOAT16),
        ("synthesis", FLOAT16),
        ("synthesis", FLOAT32),
    ],
)
def test_one_weight_that_is_no_proper_number_is_refused(bundle, graph, kind, value):
    name, values = next(iter(weights_of(bundle, graph, kind).items()))
    unpack_model(pack_model(bundle, {name: values.tobytes()}))
    values.flat[-1] = value
    with pytest.raises(codec.FormatError, match=f"{name} is out of range"):
        unpack_model(pack_model(bundle, {name: values.tobytes()}))


@pytest.mark.parametrize("graph", ["analysis", "synthesis"])
def test_whole_numbers_of_a_graph_are_never_replaced(bundle, graph):
    data = graph_file(bundle.folder, graph).read_bytes()
    types = buffer_types(data)
    whole = [
        (f"{graph}/{number}", data[place.start : place.stop])
        for number, place in enumerate(buffers(data))
        if len(place) >= WEIGHTS_MIN_BYTES and not types[number] <= FLOATS.keys()
    ]
    assert whole
    for name, content in whole:
        with pytest.raises(ValueError, match="out of range"):
            patches_of(bundle, {name: content})


@pytest.mark.parametrize("graph", ["analysis", "mean_context"])
def test_weights_that_give_no_numbers_are_told_of(bundle, small_picture, graph):
    weights = {
        name: np.full_like(values, 8192).tobytes()
        for kind in FLOATS
        for name, values in weights_of(bundle, graph, kind).items()
    }
    adapted = unpack_model(pack_model(bundle, weights))
    with pytest.raises(codec.UsageError, match="too large to be coded"):
        codec.encode(small_picture, bundle=adapted)


@pytest.mark.parametrize("shape", [(2**40,), (1, 2**33), (-1,), (0,)])
def test_an_array_that_is_not_as_large_as_it_says_is_refused(folder, packed, shape):
    def change(members):
        old = members["log_gain.npy"]
        text = str(np.load(io.BytesIO(old)).shape).encode()
        assert text in old
        members["log_gain.npy"] = old.replace(text, str(shape).encode())

    tracemalloc.start()
    with pytest.raises(codec.FormatError):
        unpack_model(repacked(packed, change))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e7


def test_more_members_than_a_model_has_are_refused_before_they_are_listed(packed):
    file = io.BytesIO(packed)
    with zipfile.ZipFile(file, "a") as archive:
        for number in range(5000):
            archive.writestr(str(number), b"")
    tracemalloc.start()
    with pytest.raises(codec.FormatError, match="not an adapted model"):
        unpack_model(file.getvalue())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


def test_a_model_without_end_is_refused():
    with pytest.raises(codec.FormatError, match="larger than"):
        codec.read_model("/dev/zero")


def _written(data: bytes) -> str:
    Path("old.npy").write_bytes(data)
    return "old.npy"


def test_patches_are_for_whole_weights_of_float_graphs_alone(bundle):
    name, values = floats(bundle, "synthesis")
    assert patches_of(bundle, {name: values.tobytes()})
    data = bundle.graph("synthesis").read_bytes()
    shapes = {
        f"synthesis/{number}": data[place.start : place.stop]
        for number, place in enumerate(buffers(data))
        if len(place) < WEIGHTS_MIN_BYTES
    }
    for wrong in (
        {name: values.tobytes()[:-4]},
        {name.replace("synthesis", "scales"): values.tobytes()},
        {"synthesis/100000": values.tobytes()},
        {"synthesis/-1": values.tobytes()},
        {"synthesis": b""},
        *({key: content} for key, content in shapes.items()),
    ):
        with pytest.raises(ValueError, match="out of range"):
            patches_of(bundle, wrong)


def test_contents_larger_than_a_model_are_refused_before_they_are_unpacked(
    folder, packed
):
    bomb = repacked(packed, lambda members: members.update(zeros=bytes(2**26)))
    with pytest.raises(codec.FormatError, match="not an adapted model"):
        unpack_model(bomb)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_no_member_is_larger_than_it_says(packed, method):
    file = io.BytesIO(packed)
    with zipfile.ZipFile(file, "a", method) as archive:
        archive.writestr("zeros", bytes(10**7))
    lies = file.getvalue().replace((10**7).to_bytes(4, "little"), b"d\0\0\0")
    tracemalloc.start()
    with pytest.raises(codec.FormatError, match="not an adapted model"):
        unpack_model(lies)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


def test_without_the_extra_adapting_says_what_is_missing(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "codec.training.adapt", None)
    line = fails("adapt", ".", "-o", MODEL)
    assert "needs the extra `train`" in line


def test_packages_that_do_not_go_together_are_named_in_a_line(folder):
    Path("keras.py").write_text(
        "import sys\nprint('much', file=sys.stderr)\nraise SystemError('no\\nfit')"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([".", ROOT])}
    result = subprocess.run(
        [sys.executable, "-m", "codec", "adapt", ".", "-o", MODEL],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "needs the extra `train`" in line
    assert line.endswith("(no)")
    assert f"{sys.executable} -m pip install -e '{ROOT}[train]' (no)" in line
    assert not Path(MODEL).exists()


def test_a_folder_without_pictures_is_named(folder):
    Path("empty").mkdir()
    command = ["adapt", "empty", "-o", MODEL]
    assert fails(*command) == "aecodec: empty: no pictures in it"
    result = aecodec(*command, "--json")
    assert json.loads(result.stdout) == {"file": "empty", "error": "no pictures in it"}


@pytest.mark.parametrize("tune", ["visual", "psnr"])
def test_a_model_that_is_as_it_was_gains_nothing(folder, tune):
    from codec.training.gain import gain_on

    base = load_bundle(TUNES[tune].model_id)
    told: list[float] = []
    Path("bad.png").write_text("no picture")
    others = [Path("bad.png"), Path("photo.png")]
    gain = gain_on(others, [], tune, base, 2**20, told.append)
    assert gain.after_bpp == pytest.approx(gain.before_bpp)
    measure = {"visual": "SSIM", "psnr": "PSNR"}[tune]
    assert str(gain).endswith(f"%) for the same {measure}, on 1 others")
    assert told == [0.25, 0.5, 0.75, 1]


@needs_training
def test_two_steps_adapt_a_model(folder, monkeypatch):
    from codec.training import adapt

    monkeypatch.setattr(adapt, "COUNTED_TILES", 2)
    for module in ("data", "training_model"):
        monkeypatch.setattr(f"codec.training.{module}.CROP_PX", 64)
    command = ["adapt", "pictures", "-o", MODEL, "--steps", 2, "--tune", "psnr"]
    Path("photo.png").unlink()
    Path("pictures").mkdir()
    for seed in (1, 2):
        Image.fromarray(picture(100, 140, seed)).save(f"pictures/{seed}.png")
    text = succeeds(*command).stderr
    assert "2 pictures" in text
    assert float(text.split("% of the weights")[0].split()[-1]) < 5
    gained = r"\d\.\d{3} -> \d\.\d{3} bits per pixel \([-+].*%\) for the same PSNR"
    assert re.search(rf"; {gained}, on 2 of them$", text.strip())
    assert "2 pictures, 2 steps" in succeeds(*command, "-f", "-n").stderr
    assert "exists" in fails(*command)

    adapted = codec.read_model(MODEL)
    original = picture(100, 140, 3)
    data = codec.encode(original, bundle=adapted, quality=80)
    close = psnr(codec.decode(data, bundle=adapted), original)
    data = codec.encode(original, tune="psnr", quality=80)
    assert close == pytest.approx(psnr(codec.decode(data), original), abs=1)


@needs_training
def test_all_signatures_of_a_graph_get_the_new_weights(refinable):
    """The one for refinement holds them twice, forward and backward."""
    from codec.training.adapt import freeze, new_weights
    from codec.training.model import build_codec
    from codec.training.warm_start import start_from

    trained = build_codec(refinable.architecture)
    start_from(trained, refinable)
    assert freeze(trained) < 0.05
    trained.synthesis.last.kernel.assign(0.5 * trained.synthesis.last.kernel)
    weights = new_weights(trained, refinable)
    networks = Networks(unpack_model(pack_model(refinable, weights)))

    image, vectors = picture(64, 64)[None], refinable.vectors(50000)
    latents = networks.analyze(image) * vectors.pop("gain")
    decoded = networks.synthesize(latents, **vectors)
    error, slope = networks.error_gradient(latents, **vectors, image=image)
    assert error == pytest.approx(np.sum((decoded - image.astype(float)) ** 2), rel=0.1)
    small = np.float32(1e-3 * error / np.sum(slope**2))
    after, _ = networks.error_gradient(latents - small * slope, **vectors, image=image)
    # Backward kernels in int8 stay those of the base, here twice as large.
    assert 0.45 < (error - after) / (1e-3 * error) < 1.1
