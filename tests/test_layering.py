"""Which rooms may import from which; see ROOMS."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# The command `adapt` trains; it imports this when it is called.
MAY_TRAIN = {("codec.app.commands.adapt", "codec.training.adapt")}
FRAMEWORKS = {
    "ai_edge_quantizer",
    "jax",
    "keras",
    "tensorflow",
    "tensorflow_compression_ops",
    "torch",
}
# Which rooms a room's modules may import from, besides their own. A room is a folder of
# `codec`, or a module that stands alone there; "codec" is the package itself.
GROUND = {"errors", "limits", "machine", "progress"}
ROOMS = {
    "errors": set(),
    "limits": set(),
    "machine": set(),
    "progress": set(),
    "file": {"errors", "limits"},
    "entropy": {"errors"},
    "picture": {"errors", "limits"},
    "networks": {"errors", "machine", "progress", "file", "entropy", "picture"},
    "options": {"errors", "limits", "file", "networks"},
    "coding": GROUND | {"file", "entropy", "picture", "networks", "options"},
    "api": GROUND | {"file", "picture", "networks", "options", "coding"},
    "codec": {"errors", "networks", "api"},
    "pillow_plugin": {"errors", "limits", "file", "picture", "options", "api"},
    "register_pillow": {"pillow_plugin"},
    "app": GROUND | {"picture", "options", "api", "codec"},
    "__main__": {"app"},
    "training": GROUND
    | {"file", "entropy", "picture", "networks", "options", "coding", "api", "codec"},
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in sorted((ROOT / "codec").rglob("*.py"))}


def room(module: str) -> str:
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


def outside_training() -> list[str]:
    return [name for name in MODULES if room(name) != "training"]


def test_every_room_is_known():
    assert {room(name) for name in MODULES} == set(ROOMS)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_from_the_rooms_that_its_own_may(name):
    for imported in imports(MODULES[name]) & set(MODULES):
        if (name, imported) not in MAY_TRAIN:
            assert room(imported) in ROOMS[room(name)] | {room(name)}, imported


def test_no_modules_import_each_other_in_a_circle():
    graph = {
        name: imports(MODULES[name]) & set(MODULES) - {name}
        for name in outside_training()
    }
    order = TopologicalSorter(graph)
    order.prepare()


@pytest.mark.parametrize("name", outside_training())
def test_a_module_outside_training_imports_no_training_framework(name):
    found = imports(MODULES[name])
    assert not {other.split(".")[0] for other in found} & FRAMEWORKS
    trains = {other for other in found if other.startswith("codec.training")}
    assert {(name, imported) for imported in trains} <= MAY_TRAIN


@pytest.mark.parametrize("name", [n for n in MODULES if room(n) == "file"])
def test_the_file_is_read_and_written_by_the_standard_library_alone(name):
    roots = {imported.split(".")[0] for imported in imports(MODULES[name])}
    assert roots - {"codec"} <= set(sys.stdlib_module_names)


def test_the_bootstrap_scripts_use_the_standard_library_alone():
    for path in sorted((ROOT / "bin").iterdir()):
        if path.is_file():
            roots = {name.split(".")[0] for name in imports(path)}
            assert roots - {"bootstrap"} <= set(sys.stdlib_module_names)


def modules_after(script: str) -> set[str]:
    """Names of the top-level modules that a fresh interpreter holds after `script`."""
    script += "\nimport sys; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    return set(result.stdout.splitlines()[-1].split())


def test_importing_the_package_starts_no_engine():
    modules = modules_after("import codec")
    assert "codec" in modules
    assert "ai_edge_litert" not in modules
    assert not modules & FRAMEWORKS


def test_help_and_info_start_no_engine():
    script = (
        "import io, codec\n"
        "from codec.app.cli import main\n"
        "main(['encode', '--help'], standalone_mode=False)\n"
        "try:\n    codec.read_info(b'')\nexcept codec.FormatError:\n    pass\n"
    )
    modules = modules_after(script)
    assert "ai_edge_litert" not in modules
    assert not modules & FRAMEWORKS


def test_opening_with_pillow_starts_no_engine(tmp_path, small_file):
    (tmp_path / "photo.aec").write_bytes(small_file)
    script = (
        "import codec.register_pillow\n"
        "from PIL import Image\n"
        f"assert Image.open({str(tmp_path / 'photo.aec')!r}).size == (120, 90)\n"
    )
    modules = modules_after(script)
    assert "ai_edge_litert" not in modules
    assert not modules & FRAMEWORKS


def test_no_call_of_the_package_loads_a_training_framework():
    script = (
        "import codec, numpy as np\n"
        "from codec.app.cli import main\n"
        "data = codec.encode(np.zeros((9, 9), np.uint8))\n"
        "codec.decode(data), codec.read_info(data)\n"
        "main(['--help'], standalone_mode=False)\n"
    )
    modules = modules_after(script)
    assert "ai_edge_litert" in modules
    assert not modules & FRAMEWORKS
