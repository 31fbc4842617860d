"""Search: what is found by a picture, and the index that knows the folder."""

import contextlib
import io
import json
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from command_line import aecodec, fails, is_refused, succeeds
from pictures import picture
from PIL import Image

import codec
from codec.api import (
    FINGERPRINT_BYTES,
    Sought,
    fingerprint_file,
    sought_alike,
    sought_picture,
)
from codec.app.search import index as index_module
from codec.app.search.index import BLOCK, Index, State, database_of, opened
from codec.app.search.update import changes, describe
from codec.errors import UsageError
from codec.networks import fingerprints
from codec.networks.descriptors import GRID
from codec.options import DecodeOptions

OPTIONS = DecodeOptions()
STATE = State(1, 1)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    place = tmp_path_factory.mktemp("cache")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(place))
    return place


def scene(seed: int) -> np.ndarray:
    """Blocks of texture, colors and stripes at random; uint8 [192, 256, 3]."""
    random = np.random.default_rng(seed)
    image = picture(192, 256, seed).astype(float)
    rows, columns = np.indices((192, 256))
    for _ in range(12):
        top, left = random.integers(0, 140), random.integers(0, 190)
        part = slice(top, top + 52), slice(left, left + 66)
        wave = np.sin(rows * random.uniform(0, 1) + columns * random.uniform(0, 1))
        color = random.uniform(40, 215, 3)
        image[part] = color + random.uniform(5, 40) * wave[part][..., None]
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def coded_scenes() -> dict[str, bytes]:
    return {f"{seed}.aec": codec.encode(scene(seed)) for seed in range(6)}


@pytest.fixture
def scenes(folder, coded_scenes) -> Path:
    """A folder `all` of files of scenes, one of them in a folder below."""
    (folder / "all" / "below").mkdir(parents=True)
    for name, data in coded_scenes.items():
        (folder / "all" / ("below" if name == "5.aec" else "") / name).write_bytes(data)
    return folder / "all"


def saved(array: np.ndarray, name: str = "query.png") -> str:
    Image.fromarray(array).save(name)
    return name


def found(*arguments: object) -> list[str]:
    lines = succeeds("search", *arguments).stdout.splitlines()
    assert lines[0] == "likeness      bytes  file"
    return [line.split()[-1] for line in lines[1:]]


def changed_copies(image: np.ndarray) -> dict[str, np.ndarray]:
    whole = Image.fromarray(image)
    jpeg = io.BytesIO()
    whole.save(jpeg, "JPEG", quality=30)
    return {
        "itself": image,
        "crop": image[:150, 30:230],
        "quarter": image[96:, 128:],
        "mirrored": image[:, ::-1],
        "half": np.asarray(whole.resize((128, 96))),
        "gray": np.asarray(whole.convert("L")),
        "jpeg": np.asarray(Image.open(jpeg)),
    }


@pytest.mark.parametrize("copy", list(changed_copies(scene(0))))
def test_changed_copies_find_their_picture_first(scenes, copy):
    assert found(scenes, saved(changed_copies(scene(3))[copy]))[0].endswith("3.aec")


def test_the_most_alike_come_first_with_their_sizes(scenes):
    lines = succeeds("search", scenes, scenes / "2.aec", "-k", 3).stdout.splitlines()
    likeness = [float(line.split()[0]) for line in lines[1:]]
    assert len(likeness) == 3
    assert 1 >= likeness[0] > 0.9 > likeness[1] >= likeness[2]
    size = (scenes / "2.aec").stat().st_size
    assert lines[1].split()[1:] == [str(size), str(scenes / "2.aec")]


def test_json_has_an_object_for_every_file(scenes):
    lines = succeeds("search", scenes, saved(scene(5)), "--json").stdout.splitlines()
    facts = [json.loads(line) for line in lines]
    assert len(facts) == 6
    assert facts[0]["file"] == str(scenes / "below" / "5.aec")
    assert facts[0]["size_bytes"] == os.path.getsize(facts[0]["file"])
    assert facts[0]["likeness"] > facts[1]["likeness"]


def test_new_changed_and_removed_files_are_noticed(scenes, coded_scenes, monkeypatch):
    query = saved(scene(0))
    assert found(scenes, query)[0] == str(scenes / "0.aec")
    (scenes / "0.aec").unlink()
    (scenes / "1.aec").write_bytes(coded_scenes["2.aec"])
    (scenes / "new.aec").write_bytes(coded_scenes["0.aec"])
    assert found(scenes, query)[0] == str(scenes / "new.aec")
    assert set(found(scenes, saved(scene(2)), "-k", 2)) == {
        str(scenes / name) for name in ("1.aec", "2.aec")
    }
    assert len(found(scenes, query)) == 6


def test_what_is_known_is_not_described_again(scenes, monkeypatch):
    first = found(scenes, saved(scene(1)))
    monkeypatch.setattr("codec.app.search.update.fingerprint_file", None)
    assert found(scenes, saved(scene(1))) == first


def test_nothing_is_written_to_the_folder(scenes, cache):
    before = {path: path.stat().st_mtime_ns for path in [scenes, *scenes.rglob("*")]}
    found(scenes, saved(scene(1)))
    assert before == {p: p.stat().st_mtime_ns for p in [scenes, *scenes.rglob("*")]}
    assert list(cache.rglob("*.db")) == [database_of(scenes)]


def test_links_are_not_followed(scenes, folder):
    (scenes / "6.aec").symlink_to("0.aec")
    (scenes / "more").symlink_to(folder)
    assert len(found(scenes, saved(scene(1)))) == 6


def test_damaged_files_are_named_and_left_out(scenes, coded_scenes):
    found(scenes, saved(scene(1)))
    (scenes / "0.aec").write_bytes(coded_scenes["0.aec"][:-40])
    result = aecodec("search", scenes, saved(scene(1)))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"aecodec: {scenes / '0.aec'}: ")
    assert len(result.stdout.splitlines()) == 1 + 5
    assert "0.aec" not in result.stdout


def test_what_cannot_be_looked_at_for_a_moment_is_not_forgotten(scenes, monkeypatch):
    with opened(scenes / "index.db") as index:
        due = changes(index, scenes, lambda *error: None)
        list(describe(index, scenes, due, DecodeOptions(), lambda *error: None))
        known = set(index.states())

        def walk(top, onerror):
            onerror(PermissionError(13, "Permission denied", str(top)))
            return iter(())

        monkeypatch.setattr(os, "walk", walk)
        assert changes(index, scenes, lambda *error: None) == []
        assert set(index.states()) == known


def test_pictures_that_end_the_process_come_last_the_next_time(scenes, monkeypatch):
    class Ended(BaseException):
        pass

    class Pool(contextlib.nullcontext):
        def __init__(self, threads):
            super().__init__(self)

        def submit(self, function, *arguments):
            with opened(database) as other:
                seen.extend(other.failures())
            raise Ended

        def shutdown(self, cancel_futures):
            pass

    seen, database = list[str](), scenes / "index.db"
    monkeypatch.setattr("codec.app.search.update.ThreadPoolExecutor", Pool)
    with opened(database) as index:
        due = changes(index, scenes, print)
        with pytest.raises(Ended):
            next(describe(index, scenes, due[:1], DecodeOptions(), print))
        assert seen == [due[0][0]]  # which a process that is killed leaves behind
        assert not index.failures()
        for item in due[1::-1]:
            index.put_failure(*item)
        assert changes(index, scenes, print) == [*due[2:], due[1], due[0]]
        index.put(*due[2], fingerprint_of(0))  # by another process, meanwhile
        with pytest.raises(Ended):
            next(describe(index, scenes, due[2:3], DecodeOptions(), print))
        assert index.has(*due[2])


def test_a_folder_without_pictures_and_a_query_that_is_none_are_told(scenes, folder):
    (folder / "empty").mkdir()
    query = saved(scene(1))
    assert fails("search", "empty", query) == "aecodec: empty: no .aec files in it"
    Path("bad.png").write_bytes(b"no")
    assert fails("search", scenes, "bad.png").startswith("aecodec: bad.png: ")
    assert "missing" in is_refused("search", "missing", query)
    assert "query.png" in is_refused("search", query, query)


def test_an_index_that_cannot_be_written_is_told(scenes, cache, monkeypatch):
    (cache / "file").touch()
    monkeypatch.setattr(index_module, "cache_folder", lambda: cache / "file")
    assert "cannot write" in fails("search", scenes, saved(scene(1)))


def test_files_of_other_models_and_turned_ones_are_found(scenes):
    Path(scenes, "psnr.aec").write_bytes(codec.encode(scene(7), tune="psnr"))
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees
    file = io.BytesIO()
    Image.fromarray(np.rot90(scene(8))).save(file, "PNG", exif=exif)
    Path("turned.png").write_bytes(file.getvalue())
    Path(scenes, "turned.aec").write_bytes(codec.encode("turned.png"))
    assert found(scenes, saved(scene(7)))[0].endswith("psnr.aec")
    assert found(scenes, saved(scene(8)))[0].endswith("turned.aec")
    assert found(scenes, "turned.png")[0].endswith("turned.aec")


def test_files_of_any_quality_are_as_alike(scenes):
    Path(scenes, "worse.aec").write_bytes(codec.encode(scene(7), quality=40))
    result = succeeds("search", scenes, saved(scene(7)), "-k", "1", "--json")
    (line,) = result.stdout.splitlines()
    best = json.loads(line)
    assert best["file"].endswith("worse.aec")
    assert best["likeness"] > 0.9


def test_a_search_that_is_stopped_keeps_what_is_done(scenes):
    with opened(database_of(scenes)) as index:
        due = changes(index, scenes, None)
        described = describe(index, scenes, due, OPTIONS, None)
        next(described)
        described.close()
    with opened(database_of(scenes)) as index:
        assert list(index.states()) == [due[0][0]]
        assert changes(index, scenes, None) == due[1:]


def test_others_can_write_while_pictures_are_described(scenes, monkeypatch):
    monkeypatch.setattr(index_module, "BUSY_S", 0.0)
    database = database_of(scenes)
    with opened(database) as index:
        index.put("gone.aec", STATE, fingerprint_of(0))
        index.commit()
        due = changes(index, scenes, None)
        with opened(database) as other:
            other.put("other.aec", STATE, fingerprint_of(1))
        described = describe(index, scenes, due, OPTIONS, None)
        next(described)
        with opened(database) as other:
            other.put(*due[0], fingerprint_of(2))
        described.close()
        assert set(index.states()) == {"other.aec", due[0][0]}
        known = index.fingerprint(due[0][0])
        assert np.array_equal(known, fingerprint_of(2))


def test_an_index_that_another_process_writes_is_not_to_be_removed(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(index_module, "BUSY_S", 0.0)
    with opened(tmp_path / "index.db") as index:
        index.put("0.aec", STATE, fingerprint_of(0))
        with (
            pytest.raises(UsageError, match=r"another search writes .*: try again"),
            opened(tmp_path / "index.db") as other,
        ):
            other.put("1.aec", STATE, fingerprint_of(1))


def test_what_could_not_be_described_is_due_last_until_it_changes(scenes):
    (scenes / "0.aec").write_bytes(b"damaged")
    with opened(database_of(scenes)) as index:
        due = changes(index, scenes, None)
        for _ in describe(index, scenes, due[:1], OPTIONS, lambda *_: None):
            pass
        assert changes(index, scenes, None) == [*due[1:], due[0]]
        (scenes / "0.aec").write_bytes(b"damaged again")
        assert changes(index, scenes, None)[0][0] == "0.aec"
        (scenes / "0.aec").unlink()
        changes(index, scenes, None)
        assert index.failures() == {}


def fingerprint_of(number: int) -> np.ndarray:
    random = np.random.default_rng(number)
    return random.integers(-40, 41, FINGERPRINT_BYTES, np.int8)


def test_an_index_takes_less_than_a_kilobyte_a_picture(tmp_path):
    count = 4 * BLOCK
    with opened(tmp_path / "index.db") as index:
        for number in range(count):
            path = f"holidays/2026/picture-{number:07}.aec"
            index.put(path, STATE, fingerprint_of(number))
    assert (tmp_path / "index.db").stat().st_size < 1000 * count


def test_every_block_is_compared_and_the_best_found(tmp_path):
    count = 2 * BLOCK + 3
    with opened(tmp_path / "index.db") as index:
        for number in range(count):
            index.put(str(number), STATE, fingerprint_of(number))
        for number in (0, BLOCK - 2, BLOCK, count - 1):
            best = index.nearest(sought_alike(fingerprint_of(number)), 1)
            assert best[0].path == str(number)
            known = index.fingerprint(str(number))
            assert np.array_equal(known, fingerprint_of(number))
        all_of_them = index.nearest(sought_alike(fingerprint_of(0)), 2 * count)
        assert {item.path for item in all_of_them} == {str(n) for n in range(count)}
        even = index.nearest(sought_alike(known), 5, lambda path: int(path) % 2 == 0)
        assert all(int(item.path) % 2 == 0 for item in even)
        assert index.fingerprint("unknown") is None


def test_an_answer_is_of_one_moment(tmp_path, monkeypatch):
    monkeypatch.setattr(index_module, "BUSY_S", 0.0)
    database, sought = tmp_path / "index.db", sought_alike(fingerprint_of(0))
    with opened(database) as writer, opened(database) as reader:
        for number in range(BLOCK - 1):
            writer.put(str(number), STATE, fingerprint_of(number))
        writer.commit()
        seen = []

        def one(query, *values):
            if not seen:
                seen.append(Index.one(reader, query, *values))
                writer.put("new", STATE, fingerprint_of(0))
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    writer.commit()
                return seen[0]
            return Index.one(reader, query, *values)

        monkeypatch.setattr(reader, "one", one)
        assert [item.path for item in reader.nearest(sought, 1)] == ["0"]
        writer.commit()
        assert len(reader.nearest(sought, 2 * BLOCK)) == BLOCK


def test_places_of_removed_pictures_are_used_again(tmp_path):
    with opened(tmp_path / "index.db") as index:
        for number in range(10):
            index.put(str(number), STATE, fingerprint_of(number))
        for number in (3, 9):
            index.remove(str(number))
        sought = sought_alike(fingerprint_of(3))
        assert "3" not in {item.path for item in index.nearest(sought, 20)}
        for number in (20, 21, 22):
            index.put(str(number), STATE, fingerprint_of(number))
        index.put("20", State(2, 2), fingerprint_of(30))
        assert index.nearest(sought_alike(fingerprint_of(30)), 1)[0].path == "20"
        assert index.states()["20"] == State(2, 2)
        (places,) = index.one("SELECT max(id) FROM pictures")
        assert (places, len(index.states())) == (11, 11)


@pytest.mark.parametrize("name", ["index.db", "no UTF-8 \udcff", "'; DROP TABLE"])
def test_any_name_of_a_file_is_kept(tmp_path, name):
    with opened(tmp_path / "index.db") as index:
        index.put(name, STATE, fingerprint_of(0))
        assert index.nearest(sought_alike(fingerprint_of(0)), 1)[0].path == name


def other_version(database: Path) -> None:
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA user_version = 1")
    connection.close()


@pytest.mark.parametrize(
    "spoil", [lambda path: path.write_bytes(b"no database" * 99), other_version]
)
def test_a_damaged_index_or_one_of_another_version_is_made_anew(tmp_path, spoil):
    database = tmp_path / "index.db"
    with opened(database) as index:
        index.put("photo.aec", STATE, fingerprint_of(0))
    spoil(database)
    with opened(database) as index:
        assert index.states() == {}
        index.put("photo.aec", STATE, fingerprint_of(0))


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
def test_an_index_is_for_its_user_alone(tmp_path):
    with opened(tmp_path / "made" / "index.db"):
        pass
    for path in (tmp_path / "made", tmp_path / "made" / "index.db"):
        assert path.stat().st_mode & 0o077 == 0


def test_no_picture_is_more_alike_than_itself():
    data = codec.encode(scene(4))
    known = fingerprint_file(data, OPTIONS)
    assert (known.shape, known.dtype) == ((FINGERPRINT_BYTES,), np.int8)
    assert score(sought_alike(known), known) == pytest.approx(1, abs=0.01)
    others = [fingerprint_file(codec.encode(scene(n)), OPTIONS) for n in (5, 6)]
    for sought in (sought_alike(known), sought_picture(data, OPTIONS)):
        assert score(sought, known) > max(score(sought, other) for other in others)


def score(sought: Sought, fingerprint: np.ndarray) -> float:
    ways = sought.templates @ fingerprint.astype(np.float32) - sought.handicaps
    return float(ways.max())


def test_a_coarser_grid_has_the_means_of_the_finer_one():
    magnitudes = np.arange(GRID**2 * 3, dtype=float).reshape(GRID, GRID, 3) + 1
    features = np.log(magnitudes + 0.01).ravel().astype(np.float32)
    assert np.allclose(fingerprints.regrid(features, GRID), features, atol=1e-4)
    halves = magnitudes.reshape(2, 2, 2, 2, 3).mean((1, 3))
    coarse = np.exp(fingerprints.regrid(features, 2)) - 0.01
    assert np.allclose(coarse.reshape(2, 2, 3), halves, rtol=1e-3)


def test_a_projection_leaves_out_what_copies_change():
    random = np.random.default_rng(0)
    features = random.standard_normal((4000, 40)).astype(np.float32)
    changes_of_copies = 0.1 * random.standard_normal((4000, 40)).astype(np.float32)
    changes_of_copies[:, 7] *= 1000
    _, matrix = fingerprints.fit(features, changes_of_copies)
    assert matrix.shape == (40, fingerprints.PART_LENGTH)
    strength = np.abs(matrix.astype(float)).max(axis=1)
    assert strength[7] < 0.05 * np.median(strength)
