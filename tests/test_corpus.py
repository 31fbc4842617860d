"""Corpora on a local Ray: manifests, going on, lost workers, two nodes."""

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import fails, names, succeeds
from pictures import picture, psnr
from PIL import Image

import codec

pytest.importorskip("ray")
fsspec = pytest.importorskip("fsspec")
pa = pytest.importorskip("pyarrow")

from benchmarks.folders import ray_workers  # noqa: E402
from codec.app.cli import main  # noqa: E402
from codec.app.corpus.cluster import batches  # noqa: E402
from codec.app.corpus.manifest import latest, read_manifest  # noqa: E402
from codec.app.corpus.planning import TASKS, Job, Task, planned  # noqa: E402
from codec.app.corpus.storage import writing  # noqa: E402
from codec.app.corpus.worker import Worker  # noqa: E402
from codec.app.folders import Summary  # noqa: E402
from codec.options import EncodeOptions  # noqa: E402

OPTIONS = EncodeOptions(quality=40, max_pixels=2**20)


def png(seed=0, height=40, width=56):
    file = io.BytesIO()
    Image.fromarray(picture(height, width, seed)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A folder `in` of two pictures, one that is none, a tar file of two and a text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(codec.__file__).parent.parent))
    Path("in/sub").mkdir(parents=True)
    Path("in/0.png").write_bytes(png(0))
    Path("in/sub/1.png").write_bytes(png(1))
    Path("in/broken.png").write_bytes(png(2)[:300])
    Path("in/notes.txt").write_text("of another kind")
    with tarfile.open("in/shard.tar", "w") as shard:
        for seed in (3, 4):
            member = tarfile.TarInfo(f"{seed}.png")
            member.size = len(png(seed))
            shard.addfile(member, io.BytesIO(png(seed)))
    return tmp_path


def job(command="encode", source="in", target="out", options=OPTIONS):
    return Job(command, source, target, options)


def work(job, force=False):
    """What a run does, in this process, in one batch; its summary of the plan."""
    summary = Summary()
    tasks = planned(job, force, summary)
    if tasks:
        rows = [vars(task) for task in tasks]
        Worker(job)(pa.Table.from_pylist(rows, TASKS))
    return tasks, summary


def rows(target="out", command="encode"):
    return read_manifest(target, command)


def test_all_pictures_are_coded_and_noted(tree):
    tasks, summary = work(job())
    assert [task.path for task in tasks] == [
        "0.png",
        "broken.png",
        "shard.tar",
        "sub/1.png",
    ]
    assert summary.left_out == 1
    assert names("out") == ["0.png.aec", "_manifest", "shard.tar", "sub"]
    data = Path("out/0.png.aec").read_bytes()
    assert data == codec.encode(picture(40, 56, 0), quality=40)
    found = {(row["path"], row["member"]): row for row in rows()}
    assert len(found) == 5
    assert "cut off" in found["broken.png", None]["error"]
    row = found["0.png", None]
    assert row["output"] == "0.png.aec"
    assert row["output_bytes"] == len(data)
    assert (row["width"], row["height"]) == (56, 40)
    assert row["rate_bpp"] == pytest.approx(8 * len(data) / (56 * 40))
    decoded = np.asarray(codec.decode(data))
    assert row["psnr_db"] == pytest.approx(psnr(decoded, picture(40, 56, 0)), abs=0.01)
    assert row["error"] is None
    assert row["model_id"] == codec.read_info(data).model_id
    assert found["shard.tar", "3.png"]["error"] is None


def test_another_run_does_what_failed_or_is_new_alone(tree):
    work(job())
    Path("in/broken.png").write_bytes(png(2))
    Path("in/new.png").write_bytes(png(5))
    Path("out/sub/1.png.aec").unlink()
    tasks, summary = work(job())
    assert [t.path for t in tasks] == ["broken.png", "new.png", "sub/1.png"]
    assert summary.up_to_date == 2
    assert work(job())[0] == []
    assert len(work(job(), force=True)[0]) == 5


def test_a_folder_of_any_name_is_gone_on_with(tree):
    Path("in").rename("in [2024]*")
    again = {"source": "in [2024]*", "target": "out [2024]?"}
    tasks, _ = work(job(**again))
    assert len(tasks) > 1
    failed = {row["path"] for row in rows(again["target"]) if row["error"]}
    left, summary = work(job(**again))
    assert {task.path for task in left} == failed
    assert not summary.failures


def test_colors_that_are_not_seen_do_not_count_as_errors(tree):
    image = Image.new("RGBA", (96, 64), (0, 0, 0, 0))
    image.paste((200, 10, 10, 255), (0, 0, 40, 64))
    image.paste((10, 10, 200, 255), (60, 0, 70, 64))
    image.save("in/clear.png")
    work(job(options=EncodeOptions(lossless=True)))
    (row,) = (row for row in rows() if row["path"] == "clear.png")
    assert row["psnr_db"] == 100


def test_a_source_that_changed_is_done_again(tree):
    work(job())
    Path("in/broken.png").unlink()
    os.utime("in/0.png", (1, 1))
    assert [task.path for task in work(job())[0]] == ["0.png"]


def test_a_source_that_is_as_it_was_before_it_changed_is_done_again(tree):
    before = Path("in/0.png").stat()
    for content in (png(0), png(9), png(0)):
        Path("in/0.png").write_bytes(content)
        if content == png(0):
            os.utime("in/0.png", ns=(before.st_atime_ns, before.st_mtime_ns))
        work(job())
        data = Path("out/0.png.aec").read_bytes()
        assert data == codec.encode(Image.open(io.BytesIO(content)), quality=40)


def test_a_tar_file_that_failed_once_is_done_once_more(tree):
    data = Path("in/shard.tar").read_bytes()
    times = Path("in/shard.tar").stat()
    Path("in/shard.tar").write_bytes(bytes(len(data)))
    os.utime("in/shard.tar", ns=(times.st_atime_ns, times.st_mtime_ns))
    Path("in/broken.png").unlink()
    worker = Worker(job())
    summary = Summary()
    tasks = planned(job(), False, summary)
    Path("in/shard.tar").write_bytes(b"")
    worker(pa.Table.from_pylist([vars(task) for task in tasks], TASKS))
    Path("in/shard.tar").write_bytes(data)
    os.utime("in/shard.tar", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert [task.path for task in work(job())[0]] == ["shard.tar"]
    assert work(job())[0] == []


def test_nothing_is_written_where_it_is_read(tree):
    before = Path("in/shard.tar").read_bytes()
    for target in ("in", "in/coded", "in/"):
        assert "is in the folder that is read" in fails(
            "corpus", "encode", "in", target
        )
    assert Path("in/shard.tar").read_bytes() == before


def test_names_do_not_lead_out_of_the_target(tree):
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/from/x/../../../evil.png", png())
    tasks, summary = work(job(source="memory://from", target="memory://deep/to"))
    assert tasks == []
    assert summary.failures == ["x/../../../evil.png: leads out of its folder"]


def test_files_that_are_not_of_the_corpus_are_not_replaced(tree):
    Path("out").mkdir()
    Path("out/0.png.aec").write_bytes(b"somebody's")
    tasks, summary = work(job())
    assert "0.png" not in [task.path for task in tasks]
    assert summary.failures == [
        "0.png: 0.png.aec exists, and is not of this corpus; --force replaces it"
    ]
    assert Path("out/0.png.aec").read_bytes() == b"somebody's"
    work(job(), force=True)
    assert codec.read_info(Path("out/0.png.aec").read_bytes()).width == 56


def test_what_a_lost_worker_has_written_is_done_again(tree, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Worker, "rows", lost_after(3))
        work(job())
    assert list(Path("out").rglob("*.aec"))
    assert {row["error"] for row in rows()} == {"not finished"}
    tasks, summary = work(job())
    assert len(tasks) == 4
    assert summary.failures == []


def test_a_lost_worker_that_verified_leaves_no_doubt(tree, monkeypatch):
    work(job())
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Worker, "rows", lost_after(1))
        work(job("verify"))
    assert [task.path for task in work(job())[0]] == ["broken.png"]


def lost_after(count):
    """`Worker.rows`, interrupted when it has done so many files."""
    work_on, done = Worker.rows, []

    def rows(self, task):
        if len(done) == count:
            raise KeyboardInterrupt
        done.append(task)
        return work_on(self, task)

    return rows


def test_a_tar_file_in_a_tar_file_is_copied(tree):
    with tarfile.open("in/shard.tar", "a") as shard:
        shard.addfile(tarfile.TarInfo("inner.tar"), io.BytesIO())
    work(job())
    assert "inner.tar" not in {row["member"] for row in rows()}
    with tarfile.open("out/shard.tar") as shard:
        assert "inner.tar" in shard.getnames()


def test_what_a_damaged_manifest_notes_is_done_again_with_force(tree):
    work(job())
    (part,) = Path("out/_manifest/encode").iterdir()
    part.write_bytes(part.read_bytes()[:500])
    tasks, summary = work(job())
    assert [task.path for task in tasks] == ["broken.png"]
    assert len(summary.failures) == 3
    assert len(work(job(), force=True)[0]) == 4


def test_what_was_found_wrong_is_encoded_again(tree):
    work(job())
    good = Path("out/0.png.aec").read_bytes()
    Path("out/0.png.aec").write_bytes(b"garbage")
    assert [*verified()] == [("0.png", None)]
    assert [task.path for task in work(job())[0]] == ["0.png"]
    assert Path("out/0.png.aec").read_bytes() == good
    assert work(job())[0] == []
    assert verified() == {}


def test_a_name_that_is_no_unicode_is_told_of(tree):
    with open(b"in/\xff.png", "wb") as file:
        file.write(png())
    tasks, summary = work(job())
    assert len(tasks) == 4
    assert summary.failures == ["\udcff.png: its name is no UTF-8"]


def test_a_target_that_cannot_be_written_is_told_of_at_once(tree):
    Path("out").write_text("a file")
    line = fails("corpus", "encode", "in", "out")
    assert line.startswith("aecodec: in: cannot write ")


def test_what_is_not_noted_in_the_manifest_is_told_of(tree):
    Path("out").mkdir()
    Path("out/_manifest").write_text("a file")
    task = Task("0.png", "", 1, [])
    table = Worker(job())(pa.Table.from_pylist([vars(task)], TASKS))
    (error,) = table.column("error").to_pylist()
    assert error.startswith("not noted in the manifest: ")


def test_a_batch_that_is_done_twice_is_noted_once(tree):
    work(job())
    work(job(), force=True)
    assert len(rows()) == 5
    assert len(names("out/_manifest/encode")) == 1


def test_batches_are_of_few_large_files():
    sizes = [1, 1, 1, 2**26, 1, 2**25, 2**25, 1]
    tasks = [Task(str(number), "", size, []) for number, size in enumerate(sizes)]
    found = [[task.path for task in batch] for batch in batches(tasks, 3)]
    assert found == [["0", "1", "2"], ["3"], ["4", "5", "6"], ["7"]]


def test_what_is_decoded_is_the_picture(tree):
    work(job())
    work(job("decode", "out", "back"))
    assert names("back") == ["0.png", "_manifest", "shard.tar", "sub"]
    decoded = np.asarray(Image.open("back/0.png"))
    assert np.array_equal(decoded, codec.decode(Path("out/0.png.aec").read_bytes()))
    with tarfile.open("back/shard.tar") as shard:
        assert shard.getnames() == ["3.png", "4.png"]
    assert work(job("decode", "out", "back"))[0] == []


def verified():
    """Errors by path and member of a run of verify."""
    Path("in/broken.png").unlink(missing_ok=True)
    work(job("verify"))
    newest = [row for same in latest(rows(command="verify")).values() for row in same]
    return {
        (row["path"], row["member"]): row["error"] for row in newest if row["error"]
    }


def test_what_is_right_is_verified_once(tree):
    work(job())
    assert verified() == {}
    assert work(job("verify"))[0] == []


def test_a_tar_file_without_pictures_is_done_once(tree):
    with tarfile.open("in/empty.tar", "w"):
        pass
    work(job())
    assert [t.path for t in work(job())[0]] == ["broken.png"]
    assert verified() == {}


def test_a_member_that_was_not_encoded_is_found(tree):
    with tarfile.open("in/shard.tar", "a") as shard:
        member = tarfile.TarInfo("5.png")
        member.size = 100
        shard.addfile(member, io.BytesIO(png(5)))
    work(job())
    assert verified() == {("shard.tar", "5.png"): "not encoded"}


def test_what_changes_after_it_was_verified_is_found(tree):
    work(job())
    assert verified() == {}
    Path("out/0.png.aec").write_bytes(b"garbage")
    assert [*verified()] == [("0.png", None)]


def test_what_is_missing_changed_or_of_another_source_is_found(tree):
    Path("in/2.png").write_bytes(png(2))
    Path("in/3.png").write_bytes(png(3))
    work(job())
    Path("out/0.png.aec").write_bytes(codec.encode(picture(40, 56, 9)))
    Path("out/sub/1.png.aec").unlink()
    Path("out/shard.tar").write_bytes(Path("out/shard.tar").read_bytes()[:1500])
    Path("in/2.png").write_bytes(png(7))
    found = verified()
    assert "not the one that was written" in found["0.png", None]
    assert found["sub/1.png", None]
    assert "not encoded, or changed since then" in found["2.png", None]
    assert {path for path, _ in found} == {"0.png", "2.png", "shard.tar", "sub/1.png"}


def test_a_worse_picture_of_the_same_file_is_found(tree):
    work(job())
    for part in Path("out/_manifest/encode").iterdir():
        table = pa.parquet.read_table(part).to_pylist()
        better = [row | {"psnr_db": (row["psnr_db"] or 0) + 1} for row in table]
        pa.parquet.write_table(pa.Table.from_pylist(better), part)
    assert "PSNR is" in verified()["0.png", None]


def test_pictures_that_were_turned_upright_are_verified(tree):
    image = Image.fromarray(picture(40, 56, 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save("in/0.png", exif=exif)
    work(job(options=replace(OPTIONS, strip=("exif",))))
    assert codec.read_info(Path("out/0.png.aec").read_bytes()).width == 40
    assert verified() == {}


def test_two_sources_of_one_output_are_told_of(tree):
    Path("coded").mkdir()
    for name in ("a.aec", "a.png.aec"):
        Path("coded", name).write_bytes(codec.encode(picture(40, 56)))
    tasks, summary = work(job("decode", "coded", "back"))
    assert [task.path for task in tasks] == ["a.aec"]
    assert summary.failures == ["a.png.aec: a.aec is written to a.png, too"]


def test_other_file_systems_get_whole_files_alone(tree):
    fs = fsspec.filesystem("memory")
    with writing(fs, "/bucket/x/y.bin") as file:
        file.write(b"whole")
    assert fs.cat("/bucket/x/y.bin") == b"whole"
    with pytest.raises(ZeroDivisionError), writing(fs, "/bucket/half.bin") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert not fs.exists("/bucket/half.bin")


def test_a_corpus_of_another_file_system(tree):
    fs = fsspec.filesystem("memory")
    for path in Path("in").rglob("*.*"):
        fs.pipe_file(f"/photos/{path.relative_to('in').as_posix()}", path.read_bytes())
    there = job(source="memory://photos", target="memory://coded")
    assert len(work(there)[0]) == 4
    assert fs.cat("/coded/0.png.aec") == codec.encode(picture(40, 56, 0), quality=40)
    assert [task.path for task in work(there)[0]] == ["broken.png"]


def test_errors_of_a_file_system_are_told(tree, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", lambda *a, **k: 1 / 0)
    found = Worker(job()).rows(Task("0.png", "", 1, []))
    assert [row["error"] for row in found] == ["ZeroDivisionError: division by zero"]


def test_a_dry_run_lists_what_is_to_do_and_writes_nothing(tree):
    call = "corpus", "encode", "in", "out", "--dry-run"
    *lines, summary = succeeds(*call).stderr.splitlines()
    assert lines[0] == "0.png -> 0.png.aec"
    assert summary == "in -> out: 4 to do; 1 of other kinds left out"
    assert not Path("out").exists()


def test_a_corpus_is_encoded_exactly_if_asked_to(tree):
    work(job(options=EncodeOptions(lossless=True)))
    found = np.asarray(codec.decode("out/0.png.aec"))
    assert np.array_equal(found, picture(40, 56, 0))
    command = main.commands["corpus"].commands["encode"]
    names = {name for option in command.params for name in option.opts}
    assert {"--content", "--lossless", "--json", "-n", "--quiet", "-v"} <= names


@pytest.mark.parametrize(
    ("source", "message"),
    [("nothing", "not a folder"), ("nosuch://x", "Protocol not known: nosuch")],
)
def test_wrong_folders_give_one_line(tree, source, message):
    assert message in fails("corpus", "encode", source, "out")


def corpus(*arguments):
    command = [sys.executable, "-m", "codec", "corpus", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_commands_run_on_this_machine_without_any_set_up(tree):
    first = corpus("encode", "in", "out", "-q", "40")
    assert first.returncode == 1
    lines = first.stderr.splitlines()
    assert "Traceback" not in first.stderr
    broken, line = (x for x in lines if x.startswith(("aecodec:", "in ->")))
    assert broken.startswith("aecodec: broken.png: image cannot be read")
    assert line.startswith("in -> out: 4 done, ")
    assert line.endswith("; 1 of other kinds left out; 1 failed")
    Path("in/broken.png").unlink()
    again = corpus("encode", "in", "out")
    assert again.returncode == 0
    assert "0 done; 3 up to date" in again.stderr
    assert Path("out/0.png.aec").read_bytes() == codec.encode(
        picture(40, 56, 0), quality=40
    )


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_two_nodes_lose_a_worker_and_no_file(tree):
    from ray.cluster_utils import Cluster

    for seed in range(40):
        Path(f"in/{seed:02}.png").write_bytes(png(seed))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        command = [sys.executable, "-m", "codec", "corpus", "encode", "in", "out"]
        variables = os.environ | {"RAY_ADDRESS": cluster.address}
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=variables
        ) as process:
            while len(list(Path("out").glob("*.aec"))) < 8:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.02)
            os.kill(ray_workers(process.pid)[0], signal.SIGKILL)
            said = process.stderr.read()
    finally:
        cluster.shutdown()
    assert "44 done" in said
    found = [(row["path"], row["member"]) for row in rows()]
    assert len(found) == len(set(found)) == 45
    for seed in range(40):
        data = Path(f"out/{seed:02}.png.aec").read_bytes()
        assert psnr(codec.decode(data), picture(40, 56, seed)) > 24
