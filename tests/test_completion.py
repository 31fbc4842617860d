"""What shells offer, when they are asked for it."""

import os
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from command_line import is_refused, succeeds

from codec.app.cli import main
from codec.app.completion import CodedFileName, FileName, parameters

# What a shell does at the Tab key, with the words $1... in its own way.
ASKING = {
    "bash": 'compopt() { echo "$@"; }; . ./script; COMP_WORDS=("$@"); '
    "COMP_CWORD=$(($# - 1)); _aecodec_completion aecodec 2> errors; "
    'printf "%s\\n" "${COMPREPLY[@]}"',
    "zsh": "compdef() {}; compadd() { print -l -- $completions }; "
    "_describe() { print -l -- ${completions_with_descriptions%%:*} }; "
    "_path_files() { print -- -o default }; . ./script; words=($@); CURRENT=$#; "
    "_aecodec_completion 2> errors",
    "fish": "source ./script; complete -C (string join -- ' ' $argv) 2> errors",
}
CALLS = {
    "bash": ("bash", "--norc", "--noprofile", "-c", ASKING["bash"], "bash"),
    "zsh": ("zsh", "-f", "-c", ASKING["zsh"], "zsh"),
    "fish": ("fish", "--no-config", "-c", ASKING["fish"]),
}
SHELLS = [
    pytest.param(s, marks=pytest.mark.skipif(not shutil.which(s), reason=f"no {s}"))
    for s in ASKING
]
FILES = ("photo.aec", "photo.png", "pictures.tar")


@pytest.fixture
def files(tmp_path, monkeypatch) -> Path:
    """The current folder, with files and folders."""
    folder = tmp_path / "files"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in (*FILES, "a name.aec"):
        Path(name).touch()
    for name in ("phones", "coded"):
        Path(name).mkdir()
    return folder


def offered(shell: str, program: Path, *words: str) -> list[str]:
    """What a shell offers after `words`, of which the last is not complete."""
    script = succeeds("completion", shell).stdout
    Path("script").write_text(script)
    environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    command = [*CALLS[shell], "aecodec", *words]
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    assert result.stderr == ""
    return [line.partition("\t")[0] for line in result.stdout.split("\n") if line]


@pytest.mark.parametrize("shell", SHELLS)
def test_shells_offer_commands_choices_and_coded_files(shell, files, program):
    assert offered(shell, program, "desktop", "rem") == ["remove"]
    assert set(offered(shell, program, "decode", "--scale", "")) == {
        "1/2",
        "1/4",
        "1/8",
    }
    assert set(offered(shell, program, "decode", "ph")) == {"phones/", "photo.aec"}
    assert offered(shell, program, "encode", "--strip", "x") == ["xmp"]
    if shell != "fish":  # Click's completion for it ends at a comma
        assert offered(shell, program, "encode", "--strip", "exif,x") == ["exif,xmp"]


@pytest.mark.parametrize("shell", SHELLS)
def test_shells_offer_other_files_by_themselves(shell, files, program):
    found = offered(shell, program, "encode", "photo.p")
    assert found == (["photo.png"] if shell == "fish" else ["-o default"])


@pytest.mark.parametrize("incomplete", ["pictures", "co", "a", "", "none", "~/", "["])
def test_it_is_left_to_the_shell_without_coded_files_or_where_names_need_quotes(
    files, incomplete
):
    found = CodedFileName().shell_complete(
        click.Context(main), main.params[0], incomplete
    )
    assert [(item.value, item.type) for item in found] == [(incomplete, "file")]


def test_every_name_of_a_file_is_completed():
    found = {
        f"{command.name} {parameter.name}"
        for command, parameter in parameters(main)
        if isinstance(parameter.type, FileName | click.Path)
    }
    assert found >= {
        *("encode inputs", "encode output", "encode model", "decode inputs"),
        *("adapt folder", "adapt output", "features query", "serve folder"),
        *("view files", "info files", "verify source", "thumbnail output"),
    }
    assert "encode tune" not in found
    texts = {
        f"{command.name} {parameter.name}"
        for command, parameter in parameters(main)
        if isinstance(parameter, click.Argument) and parameter.type is click.STRING
    }
    assert texts == set()


def test_another_shell_is_refused():
    assert "tcsh" in is_refused("completion", "tcsh")
