"""Draws docs/architecture.md from the imports: `python tests/make_architecture.py`.

A room is a folder of `codec`, or a module that stands alone there.
"""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- rooms -->\n", "<!-- end -->"
# Drawn as one room.
GROUND = ("errors", "limits", "machine", "progress")
# The command `adapt` trains; it imports this when it is called.
MAY_TRAIN = {("codec.app.commands.adapt", "codec.training.adapt")}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in sorted((ROOT / "codec").rglob("*.py"))}


def room(module: str) -> str:
    """The package itself is the room "codec"."""
    return module.split(".")[1] if "." in module else "codec"


def imports(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in {path}"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (submodules & set(MODULES)) or {str(node.module)}
    return found


def room_imports() -> dict[str, set[str]]:
    """Room -> the others that it imports from, but for MAY_TRAIN."""
    found: dict[str, set[str]] = {room(name): set() for name in MODULES}
    for name, path in MODULES.items():
        others = {o for o in imports(path) & set(MODULES) if (name, o) not in MAY_TRAIN}
        found[room(name)] |= {room(other) for other in others} - {room(name)}
    return found


def below(graph: dict[str, set[str]], name: str) -> set[str]:
    """All rooms that a room imports from, or that those import from, and so on."""
    return graph[name].union(*(below(graph, other) for other in graph[name]))


def arrows(graph: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Those that a path of others does not replace."""
    found = []
    for name in graph:
        further = set().union(*(below(graph, other) for other in graph[name]))
        found += [(name, other) for other in sorted(graph[name] - further)]
    return found


def node(name: str) -> str:
    """A room in Mermaid's language."""
    path = MODULES["codec" if name == "codec" else f"codec.{name}"]
    inside = path.relative_to(ROOT / "codec")
    label = f"{inside.parent}/" if inside.parent.name else inside.name
    return f'{name.strip("_")}["{label}"]'


def title(name: str) -> str:
    """What the first paragraph of a room says of it."""
    path = MODULES["codec" if name == "codec" else f"codec.{name}"]
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).rstrip(".")


def drawn() -> str:
    """The picture, and a table of all rooms from the top down."""
    graph = room_imports()
    ordered = {name: sorted(graph[name]) for name in sorted(graph)}
    floors = [*TopologicalSorter(ordered).static_order()][::-1]
    upper = {n: graph[n] - set(GROUND) for n in floors if n not in GROUND}
    lines = ["```mermaid", "flowchart TD", *(f"    {node(name)}" for name in upper)]
    lines.append(f'    ground["{", ".join(GROUND)}"]')
    pairs = arrows(upper) + [(n, "ground") for n in upper if not upper[n]]
    lines += [f"    {one.strip('_')} --> {other}" for one, other in pairs]
    lines += [f"    {room(one)} -.-> {room(other)}" for one, other in MAY_TRAIN]
    lines += ["```", "", "| room | what it is | imports from |", "| --- | --- | --- |"]
    for name in floors:
        others = ", ".join(sorted(graph[name])) or "nothing"
        lines.append(f"| `{name}` | {title(name)} | {others} |")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """The page with the picture drawn anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + drawn() + END + after


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
