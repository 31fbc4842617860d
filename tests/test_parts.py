"""Every test belongs to a part, and bin/test knows all of them."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from parts import PARTS

ROOT = Path(__file__).parent.parent


def test_every_file_with_tests_is_in_one_part(pytestconfig):
    found = set()
    for name in pytestconfig.getini("testpaths"):
        path = ROOT / name
        found |= {path} if path.is_file() else set(path.glob("test_*.py"))
    named = Counter(path for part in PARTS.values() for path in part.paths)
    assert named == Counter(path.relative_to(ROOT).as_posix() for path in found)


def test_every_extra_of_a_part_is_one_of_the_package():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for part in PARTS.values():
        for extra in part.extras:
            assert f"\n{extra} = [" in text


def test_an_unknown_part_is_refused_with_the_names_of_all():
    result = subprocess.run(
        [sys.executable, ROOT / "bin" / "test", "nothing"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    for name in PARTS:
        assert name in result.stderr
