"""The files that tell a Linux desktop of .aec files, as freedesktop.org specifies
them, and a line of magic(5).
"""

from codec.api import MIME_TYPE, SUFFIX

NAME = "aecodec image"
MAGIC = r"\x89AEC"
MIME_PACKAGE = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="{MIME_TYPE}">
    <comment>{NAME}</comment>
    <magic>
      <match type="string" offset="0" value="{MAGIC}"/>
    </magic>
    <glob pattern="*{SUFFIX}"/>
  </mime-type>
</mime-info>
"""
MAGIC_LINES = f"""\
0\tstring\t{MAGIC}\t{NAME}
!:mime\t{MIME_TYPE}
""".encode()
ESCAPES = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
RESERVED = set(" \t\n\r\"'\\><~|&;$*?#()`")  # in the value of Exec


def desktop_entry(program: str) -> str:
    """The viewer, among what .aec files are opened with."""
    return f"""\
[Desktop Entry]
Type=Application
Name=aecodec
GenericName=Image Viewer
Comment=Look at .aec pictures
TryExec={escaped(program)}
Exec={escaped(quoted(program))} view %F
Icon=aecodec
Terminal=false
Categories=Graphics;Viewer;
MimeType={MIME_TYPE};
StartupWMClass=Aecodec
"""


def thumbnailer_entry(program: str) -> str:
    """What file managers call for a thumbnail."""
    return f"""\
[Thumbnailer Entry]
TryExec={escaped(program)}
Exec={escaped(quoted(program))} desktop thumbnail %i %o --size %s
MimeType={MIME_TYPE};
"""


def escaped(value: str) -> str:
    """A value as the files have all of them."""
    return "".join(ESCAPES.get(character, character) for character in value)


def quoted(word: str) -> str:
    """A word of a command, in quotes if it needs them."""
    word = word.replace("%", "%%")
    if not set(word) & RESERVED:
        return word
    inner = "".join(f"\\{c}" if c in '"`$\\' else c for c in word)
    return f'"{inner}"'
