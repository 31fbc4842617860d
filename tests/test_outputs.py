"""What outputs take over from inputs, and from what they replace."""

import fcntl
import os
import signal
import stat
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from command_line import aecodec, fails, names, succeeds

import codec
from codec.app import replacement

pytestmark = [
    pytest.mark.usefixtures("folder"),
    pytest.mark.skipif(os.name != "posix", reason="modes of POSIX"),
]
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
is_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root alone gives away"
)


def mode(name: str) -> int:
    return stat.S_IMODE(os.stat(name).st_mode)


@pytest.fixture(autouse=True)
def umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def packed_photo() -> None:
    with tarfile.open("photo.tar", "w") as archive:
        archive.add("photo.png")


@pytest.mark.parametrize("before", [0o600, 0o640, 0o664, 0o444, 0o755])
def test_an_output_keeps_the_mode_of_what_it_replaces(before, coded):
    packed_photo()
    for source, target in (("photo.png", "photo.aec"), ("photo.tar", "coded.tar")):
        Path(target).write_bytes(b"old")
        os.chmod(target, before)
        succeeds("encode", source, "-o", target, "-f")
        assert mode(target) == before
        assert Path(target).read_bytes() != b"old"


@pytest.mark.parametrize(
    ("private", "expected"), [(0o600, 0o600), (0o640, 0o640), (0o444, 0o644)]
)
def test_what_is_made_of_a_private_file_is_private(private, expected):
    packed_photo()
    os.chmod("photo.png", private)
    os.chmod("photo.tar", private)
    succeeds("encode", "photo.png")
    succeeds("encode", "photo.tar", "-o", "coded.tar")
    succeeds("decode", "photo.aec", "-o", "decoded.png")
    for name in ("photo.aec", "coded.tar", "decoded.png"):
        assert mode(name) == expected


def test_a_public_file_gives_what_the_umask_lets():
    os.chmod("photo.png", 0o777)
    os.umask(0o027)
    succeeds("encode", "photo.png")
    assert mode("photo.aec") == 0o640
    succeeds("encode", "-", "-o", "other.aec", stdin=Path("photo.png").read_bytes())
    assert mode("other.aec") == 0o640


def test_folders_of_private_folders_are_private():
    Path("in/deep/er").mkdir(parents=True)
    Path("photo.png").rename("in/deep/er/photo.png")
    os.chmod("in", 0o750)
    os.chmod("in/deep", 0o700)
    assert aecodec("encode", "-r", "in", "-o", "out", "-j", 1).exit_code == 0
    assert [mode(f"out{p}") for p in ("", "/deep", "/deep/er")] == [0o750, 0o700, 0o755]


def entries(*found: tuple[int, int, int]) -> bytes:
    """An access control list as Linux stores it, of (tag, permissions, id)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in found)


NOBODY = 0xFFFFFFFF
SHARED = entries(
    (1, 6, NOBODY), (2, 6, 1234), (4, 0, NOBODY), (16, 6, NOBODY), (32, 0, NOBODY)
)


def with_list(name: str, key: str = ACCESS) -> None:
    try:
        os.setxattr(name, key, SHARED)
    except (OSError, AttributeError):
        pytest.skip("no access control lists here")


def test_an_output_keeps_the_access_list_of_what_it_replaces(coded):
    with_list("photo.aec")
    succeeds("encode", "photo.png", "-q", 10, "-f")
    assert os.getxattr("photo.aec", ACCESS) == SHARED
    assert Path("photo.aec").read_bytes() != coded


def test_a_group_that_an_access_list_keeps_out_does_not_come_in():
    with_list("photo.png")  # whose mode shows the rights of user 1234 as the group's
    succeeds("encode", "photo.png")
    assert mode("photo.aec") == 0o600


def test_the_default_list_of_a_folder_applies_to_new_files_alone(coded):
    os.chmod("photo.aec", 0o640)
    with_list(".", DEFAULT)
    succeeds("encode", "photo.png", "-o", "new.aec")
    assert os.getxattr("new.aec", ACCESS) == SHARED
    succeeds("encode", "photo.png", "-f")
    assert ACCESS not in os.listxattr("photo.aec")
    assert mode("photo.aec") == 0o640


@is_root
def test_an_output_keeps_the_owner_of_what_it_replaces(coded):
    os.chown("photo.aec", 1234, 5678)
    succeeds("encode", "photo.png", "-f")
    found = os.stat("photo.aec")
    assert (found.st_uid, found.st_gid) == (1234, 5678)


@is_root
def test_rights_of_a_group_are_no_other_groups(monkeypatch, coded):
    os.chown("photo.aec", 1234, 5678)
    os.chmod("photo.aec", 0o664)

    def refuse(*arguments):
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    succeeds("encode", "photo.png", "-f")
    assert mode("photo.aec") == 0o604


def test_times_are_kept_if_asked_for():
    packed_photo()
    for name in ("photo.png", "photo.tar"):
        os.utime(name, ns=(10**18 + 1, 10**18 + 2))
    succeeds("encode", "photo.png", "--preserve")
    succeeds("encode", "photo.tar", "-o", "coded.tar", "-p")
    succeeds("decode", "photo.aec", "-o", "decoded.png", "--preserve")
    for name in ("photo.aec", "coded.tar", "decoded.png"):
        assert os.stat(name).st_mtime_ns == 10**18 + 2
    succeeds("encode", "photo.png", "-f")
    assert os.stat("photo.aec").st_mtime_ns > 10**18 + 2


def test_a_tree_whose_times_are_kept_is_up_to_date():
    Path("in").mkdir()
    Path("photo.png").rename("in/photo.png")
    os.utime("in/photo.png", ns=(10**18, 10**18 + 1))
    call = ("encode", "-r", "in", "-o", "out", "-j", 1, "--preserve")
    assert "1 done" in succeeds(*call).stderr
    assert os.stat("out/photo.png.aec").st_mtime_ns == 10**18 + 1
    assert "1 up to date" in succeeds(*call).stderr


def test_content_is_on_the_disk_before_it_takes_its_place(monkeypatch):
    seen = []
    for name in ("fsync", "link", "replace"):
        real = getattr(os, name)

        def call(*arguments, name=name, real=real):
            seen.append(name)
            return real(*arguments)

        monkeypatch.setattr(os, name, call)
    succeeds("encode", "photo.png")
    succeeds("encode", "photo.png", "-f")
    assert seen == ["fsync", "link", "fsync", "replace"]


def test_a_file_system_without_links_and_locks_will_do(monkeypatch):
    def refuse(*arguments):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(fcntl, "flock", refuse)
    succeeds("encode", "photo.png")
    assert "exists" in fails("encode", "photo.png")
    assert names() == ["photo.aec", "photo.png"]


def test_of_two_that_write_a_new_file_one_succeeds():
    place = Path("new.aec")
    with (
        pytest.raises(FileExistsError),
        replacement.replacing(place, force=False) as slow,
    ):
        slow.write(b"slow")
        with replacement.replacing(place, force=False) as fast:
            fast.write(b"fast")
    assert place.read_bytes() == b"fast"
    assert names() == ["new.aec", "photo.png"]


@pytest.fixture
def unvisited():
    """As a process that has looked for abandoned files nowhere."""
    replacement.remove_abandoned.cache_clear()


def test_temporary_files_of_killed_runs_are_removed_by_the_next(unvisited):
    script = (
        "import os, signal\nfrom pathlib import Path\n"
        "from codec.app.replacement import replacing\n"
        "with replacing(Path('photo.aec')) as file:\n"
        "    file.write(bytes(10**6)); file.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(names()) == 2
    Path(".aecodec-notes.txt").write_text("mine")
    Path(".aecodec-folder.tmp").mkdir()
    succeeds("encode", "photo.png")
    kept = [".aecodec-folder.tmp", ".aecodec-notes.txt", "photo.aec", "photo.png"]
    assert names() == kept


def test_temporary_files_of_others_stay(unvisited):
    with replacement.replacing(Path("slow.aec")) as file:
        file.write(b"slow")
        script = "from codec.app.cli import main; main(['encode', 'photo.png'])"
        subprocess.run([sys.executable, "-c", script], check=True)
        assert len(names()) == 3
    assert names() == ["photo.aec", "photo.png", "slow.aec"]


def test_a_temporary_file_that_is_removed_before_it_is_locked_is_made_again(
    monkeypatch,
):
    real, removed = fcntl.flock, []

    def flock(file, operation):
        if not removed:
            removed.append(file.name)
            os.unlink(file.name)
        return real(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    succeeds("encode", "photo.png")
    assert removed
    assert codec.read_info(Path("photo.aec").read_bytes()).width


def test_a_link_in_place_of_a_temporary_file_leads_nowhere(unvisited):
    Path("precious.txt").write_text("precious")
    Path(".aecodec-0.tmp").symlink_to("precious.txt")
    os.mkfifo(".aecodec-1.tmp")
    succeeds("encode", "photo.png")
    assert Path("precious.txt").read_text() == "precious"
