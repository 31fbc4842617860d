"""The readers for data pipelines in the cookbook do what it says."""

import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from command_line import succeeds
from pictures import picture
from PIL import Image

import codec

COOKBOOK = Path(__file__).parent.parent / "docs" / "cookbook.md"


def block(name):
    """The block of Python that starts with a comment of that name."""
    (found,) = re.findall(rf"```python\n# {name}\n(.*?)```", COOKBOOK.read_text(), re.S)
    return found


@pytest.fixture
def decoded(tmp_path, monkeypatch):
    """What the files in the folder `coded` decode to, all of one size."""
    monkeypatch.chdir(tmp_path)
    Path("coded").mkdir()
    images = []
    for seed in range(3):
        data = codec.encode(picture(40, 60, seed))
        Path(f"coded/{seed}.aec").write_bytes(data)
        images.append(np.asarray(codec.decode(data)))
    return images


def test_pytorch_reads_a_folder(decoded):
    pytest.importorskip("torch")
    names = {}
    exec(block("PyTorch").replace("num_workers=2", "num_workers=0"), names)
    for batch, image in zip(names["loader"], decoded, strict=True):
        assert np.array_equal(batch[0].permute(1, 2, 0), image)


def test_tensorflow_reads_a_folder(decoded):
    pytest.importorskip("tensorflow")
    names = {}
    exec(block("TensorFlow"), names)
    found = sorted(names["dataset"].as_numpy_iterator(), key=np.sum)
    for image, expected in zip(found, sorted(decoded, key=np.sum), strict=True):
        assert np.array_equal(image, expected)


def test_webdataset_reads_a_shard(decoded):
    pytest.importorskip("webdataset")
    with tarfile.open("shard.tar", "w") as shard:
        for seed in range(3):
            Image.fromarray(picture(40, 60, seed)).save(f"{seed}.png")
            Path(f"{seed}.cls").write_text(str(seed))
            shard.add(f"{seed}.png")
            shard.add(f"{seed}.cls")
    succeeds("encode", "shard.tar", "-o", "coded.tar")
    names = {}
    exec(block("WebDataset"), names)
    for seed, (image, label) in enumerate(names["dataset"]):
        assert label == seed
        assert np.array_equal(image, decoded[seed])
    assert seed == 2
