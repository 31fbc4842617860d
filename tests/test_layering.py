"""Which rooms may import from which; see ROOMS."""

import subprocess
import sys
from graphlib import TopologicalSorter

import pytest
from make_architecture import (
    GROUND,
    MAY_TRAIN,
    MODULES,
    PAGE,
    ROOT,
    imports,
    page,
    room,
    room_imports,
)

FRAMEWORKS = {
    "ai_edge_quantizer",
    "jax",
    "keras",
    "tensorflow",
    "tensorflow_compression_ops",
    "torch",
}
# Which other rooms a room imports from; "codec" is the package itself. If a room needs
# another, think first whether it should, then change this.
ROOMS = {
    "errors": set(),
    "limits": {"errors"},
    "machine": set(),
    "progress": set(),
    "file": {"errors", "limits"},
    "entropy": {"errors"},
    "picture": {"errors", "limits"},
    "networks": {"errors", "machine", "progress", "file", "entropy", "picture"},
    "options": {"errors", "limits", "file", "networks"},
    "coding": {"errors", "limits", "progress", "file", "entropy", "picture"}
    | {"networks", "options"},
    "api": {"errors", "limits", "progress", "file", "picture", "networks"}
    | {"options", "coding"},
    "codec": {"errors", "networks", "api", "pillow_plugin"},
    "pillow_plugin": {"errors", "limits", "file", "picture", "options", "api"},
    "register_pillow": {"pillow_plugin"},
    "web": {"networks"},
    "app": {"errors", "machine", "progress", "picture", "options", "api", "codec"}
    | {"web"},
    "__main__": {"app"},
    "training": {*GROUND}
    | {"file", "entropy", "picture", "networks", "options", "coding", "api", "codec"},
}


def outside_training() -> list[str]:
    return [name for name in MODULES if room(name) != "training"]


def test_every_room_is_known():
    assert {room(name) for name in MODULES} == set(ROOMS)


def test_a_room_imports_from_those_that_it_may_and_needs():
    found = room_imports()
    assert found.pop("training") <= ROOMS["training"]
    assert found == {name: ROOMS[name] for name in found}


def test_the_picture_of_the_rooms_is_that_of_the_imports():
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "run python tests/make_architecture.py"


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
    for path in (*sorted((ROOT / "bin").iterdir()), ROOT / "tests" / "parts.py"):
        if path.is_file():
            roots = {name.split(".")[0] for name in imports(path)}
            assert roots - {"bootstrap", "parts"} <= set(sys.stdlib_module_names)


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


def test_a_command_imports_no_other():
    script = (
        "import sys\n"
        "from codec.app.cli import main\n"
        "main(['verify', '--help'], standalone_mode=False)\n"
        "place = 'codec.app.commands.'\n"
        "assert [m for m in sys.modules if m.startswith(place)] == [place + 'verify']\n"
    )
    modules_after(script)


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
        "data = codec.encode(np.zeros((9, 9), np.uint8), content='photo')\n"
        "codec.decode(data), codec.read_info(data)\n"
        "main(['--help'], standalone_mode=False)\n"
    )
    modules = modules_after(script)
    assert "ai_edge_litert" in modules
    assert not modules & FRAMEWORKS
