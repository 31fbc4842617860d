"""What makes .aec files known to a Linux desktop, by its own tools where there are
any.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from command_line import complaints, fails, succeeds
from make_golden import GOLDEN
from PIL import Image

from codec.api import MIME_TYPE
from codec.app.cli import main
from codec.app.desktop import entries, man_pages
from codec.app.desktop.installation import add_magic, remove_magic
from codec.file.header import MAGIC

pytestmark = pytest.mark.skipif(
    sys.platform in ("darwin", "win32"), reason="for Linux desktops"
)
FILE = GOLDEN / "96x70-q50.aec"
OTHERS = "0\tstring\tOTHER\tsomething else\n"
MADE_BY_TOOLS = re.compile(r"mime/(?!packages/)|applications/mimeinfo\.cache")


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(tool), reason=f"no {tool} here")


def said(*command: object) -> str:
    """Standard output of a command that succeeds and has nothing to complain of."""
    result = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.fixture
def home(tmp_path, monkeypatch, program) -> Path:
    """The home of a user who has the command."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "MAGIC"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def data(home) -> Path:
    """The data folder of a user who has installed."""
    succeeds("desktop", "install")
    return home / ".local" / "share"


def tree(folder: Path) -> dict[str, bytes]:
    """Files below a folder, but for those that the desktop's tools make."""
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*")}
    return {
        name: path.read_bytes()
        for name, path in files.items()
        if path.is_file() and not MADE_BY_TOOLS.search(name)
    }


def command_in(entry: Path) -> list[str]:
    """The value of Exec, as the specification has it read."""
    (value,) = re.findall(r"^Exec=(.*)", entry.read_text(), re.MULTILINE)
    words = value.replace("\\\\", "\\")  # in quotes as a shell has them
    return said("sh", "-c", f"printf '%s\\n' {words}").splitlines()


def test_everything_is_in_the_data_folder_and_magic_in_the_home(data, home):
    names = set(tree(home))
    pages = {name for name in names if "/man/man1/" in name}
    assert {name.removeprefix(".local/share/") for name in names - pages} == {
        ".magic",
        "applications/aecodec.desktop",
        "icons/hicolor/scalable/apps/aecodec.svg",
        "icons/hicolor/scalable/mimetypes/image-x-aec.svg",
        "mime/packages/aecodec.xml",
        "thumbnailers/aecodec.thumbnailer",
    }
    assert ".local/share/man/man1/aecodec-encode.1" in pages


def test_the_data_folder_is_that_of_the_environment(home, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    succeeds("desktop", "install")
    assert "applications/aecodec.desktop" in tree(tmp_path / "data")
    assert set(tree(home)) == {".magic"}


def test_what_is_installed_twice_is_there_once(data, home):
    before = tree(home)
    succeeds("desktop", "install")
    assert tree(home) == before


def test_remove_takes_away_what_was_installed_and_nothing_else(home):
    others = [
        home / ".magic",
        home / ".local/share/applications/other.desktop",
        home / ".local/share/man/man1/aecodecs.1",
    ]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(OTHERS)
    before = tree(home)
    succeeds("desktop", "install")
    assert tree(home) != before
    succeeds("desktop", "remove")
    assert tree(home) == before
    assert not (home / ".local/share/thumbnailers").exists()
    succeeds("desktop", "remove")
    assert tree(home) == before


def test_pages_of_commands_that_are_no_more_go(data):
    page = data / "man" / "man1" / "aecodec-gone.1"
    page.write_text("")
    succeeds("desktop", "install")
    assert not page.exists()


@pytest.mark.parametrize("before", [None, OTHERS, OTHERS.strip()])
def test_lines_of_magic_come_and_go_beside_others(home, before):
    path = home / ".magic"
    if before:
        path.write_text(before)
    add_magic()
    add_magic()
    assert path.read_bytes().count(entries.MAGIC_LINES) == 1
    assert path.read_text().startswith(OTHERS if before else "0\tstring\t\\x89AEC")
    remove_magic()
    assert path.read_text() == OTHERS if before else not path.exists()


@pytest.mark.parametrize("name", [".magic/magic.mgc", ".magic.mgc"])
def test_compiled_magic_is_left_alone(home, name):
    (home / name).parent.mkdir(exist_ok=True)
    (home / name).write_bytes(b"compiled")
    succeeds("desktop", "install")
    succeeds("desktop", "remove")
    assert {n for n in tree(home) if n.startswith(".magic")} == {name}


@pytest.mark.parametrize("platform", ["darwin", "win32"])
@pytest.mark.parametrize("command", ["install", "remove"])
def test_other_desktops_are_told_in_a_line(home, monkeypatch, platform, command):
    monkeypatch.setattr(sys, "platform", platform)
    assert "for Linux desktops" in fails("desktop", command)
    assert not tree(home)


def test_without_the_command_nothing_is_installed(home, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pytest"])
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(home))
    assert "pip install aecodec" in fails("desktop", "install")
    assert not tree(home)


def test_a_folder_that_cannot_be_written_gives_one_line(home):
    (home / ".local").write_text("a file")
    assert str(home) in fails("desktop", "install")


def test_tools_that_fail_say_nothing(home, tmp_path, monkeypatch):
    tool = tmp_path / "bin" / "update-mime-database"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho something is wrong >&2\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/bin:/usr/bin")
    assert len(succeeds("desktop", "install").stderr.splitlines()) == 1


def test_magic_is_that_of_the_format():
    magic = entries.MAGIC.encode().decode("unicode_escape").encode("latin-1")
    assert magic == MAGIC
    assert f"\t{MIME_TYPE}\n".encode() in entries.MAGIC_LINES


def test_the_mime_package_and_the_icons_are_xml(data):
    for path in (*data.glob("mime/packages/*"), *data.glob("icons/*/*/*/*")):
        ElementTree.parse(path)
    icon = (data / "icons/hicolor/scalable/apps/aecodec.svg").read_bytes()
    assert b'viewBox="0 0 64 64"' in icon
    assert len(icon) < 2000


def test_the_thumbnailer_writes_into_the_file_that_it_is_given(data, tmp_path):
    output = tmp_path / "thumbnail"
    output.touch()
    with open(output, "rb") as before:  # as tumbler has it
        values = {"%i": FILE, "%o": output, "%s": 48}
        command = command_in(data / "thumbnailers" / "aecodec.thumbnailer")
        said(*(values.get(word, word.replace("%%", "%")) for word in command))
        with Image.open(before) as image:
            assert (image.format, image.size) == ("PNG", (48, 35))


def test_a_thumbnail_is_no_larger_than_the_picture(tmp_path):
    output = tmp_path / "thumbnail.png"
    succeeds("desktop", "thumbnail", FILE, output)
    with Image.open(output) as image:
        assert image.size == (96, 70)


def test_a_damaged_file_has_no_thumbnail(tmp_path):
    damaged, output = tmp_path / "damaged.aec", tmp_path / "thumbnail.png"
    damaged.write_bytes(FILE.read_bytes()[:-5])
    (line,) = complaints("desktop", "thumbnail", damaged, output)
    assert "cut off" in line
    assert not output.exists()


@pytest.mark.parametrize("entry", [entries.desktop_entry, entries.thumbnailer_entry])
def test_odd_characters_of_the_program_add_no_line(entry):
    lines = entry("/a\nExec=b\r\t\\c").splitlines()
    assert len(lines) == len(entry("/a").splitlines())
    assert r"TryExec=/a\nExec=b\r\t\\c" in lines


@needs("desktop-file-validate")
def test_the_desktop_entry_is_valid(data):
    assert said("desktop-file-validate", data / "applications/aecodec.desktop") == ""


@needs("file")
def test_file_knows_what_it_is(data, tmp_path):
    shutil.copy(FILE, tmp_path / "unnamed")
    assert said("file", "--brief", tmp_path / "unnamed") == "aecodec image\n"
    assert said("file", "--brief", "--mime-type", FILE) == f"{MIME_TYPE}\n"


@needs("gio")
@needs("update-mime-database")
@pytest.mark.parametrize("name", ["unnamed", "photo.aec"])
def test_gio_knows_the_type_by_name_and_by_content(data, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FILE.read_bytes() if name == "unnamed" else b"something else")
    attribute = f"standard::{'fast-' if path.suffix else ''}content-type"
    assert f"{attribute}: {MIME_TYPE}" in said("gio", "info", "-a", attribute, path)


@needs("xdg-mime")
@needs("update-desktop-database")
def test_files_are_opened_with_the_viewer(data):
    said_of_type = said("xdg-mime", "query", "default", MIME_TYPE)
    assert said_of_type == "aecodec.desktop\n"


def every_command(command: click.Command, name: str) -> dict[str, click.Command]:
    found = {name: command}
    for below, sub in getattr(command, "commands", {}).items():
        found |= every_command(sub, f"{name}-{below}")
    return found


def test_every_command_has_a_page_with_its_options():
    pages, commands = man_pages.man_pages(main), every_command(main, "aecodec")
    assert set(pages) == {f"{name}.1" for name in commands}
    for name, command in commands.items():
        for parameter in command.params:
            for option in parameter.opts if isinstance(parameter, click.Option) else ():
                assert man_pages.plain(option) in pages[f"{name}.1"]


def test_a_page_obeys_nothing_in_the_help():
    command = click.Command("main", help=".TH is\n'quoted', \\n too.\n\n\b\n.a\n  b")
    page = man_pages.man_pages(command)["aecodec.1"].splitlines()
    assert page[page.index(".SH DESCRIPTION") + 1 :][:6] == [
        "\\&.TH is",
        "\\&'quoted', \\en too.",
        ".PP",
        ".nf",
        "\\&.a",
        "  b",
    ]


@needs("man")
def test_man_shows_the_pages(data, monkeypatch):
    monkeypatch.setenv("MANWIDTH", "80")
    for page in (data / "man" / "man1").iterdir():
        assert "SYNOPSIS" in said("man", "--warnings", "-P", "cat", "-l", page)
