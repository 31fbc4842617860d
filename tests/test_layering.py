"""Who may import whom; see the order of modules in RANKS."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# The command `adapt` trains; it imports this when it is called.
MAY_TRAIN = {("codec.cli_extras", "codec.training.adapt")}
FRAMEWORKS = {
    "ai_edge_quantizer",
    "jax",
    "keras",
    "tensorflow",
    "tensorflow_compression_ops",
    "torch",
}
# Every module imports only from lower ranks, or from its own folder.
RANKS = {
    "codec.errors": 0,
    "codec.container": 1,
    "codec.entropy": 1,
    "codec.entropy.tables": 1,
    "codec.entropy.coder": 1,
    "codec.image": 1,
    "codec.progress": 1,
    "codec.bundle": 2,
    "codec.quantization": 2,
    "codec.adaptation": 3,
    "codec.runtime": 3,
    "codec.windows": 4,
    "codec.refinement": 5,
    "codec.coding": 6,
    "codec.descriptors": 7,
    "codec.targets": 7,
    "codec.heads": 7,
    "codec.api": 8,
    "codec": 9,
    "codec.pillow_plugin": 9,
    "codec.register_pillow": 10,
    "codec.feature_files": 1,
    "codec.files": 2,
    "codec.shards": 2,
    "codec.conversion": 9,
    "codec.folders": 10,
    "codec.options": 10,
    "codec.reporting": 10,
    "codec.service": 10,
    "codec.corpus": 11,
    "codec.cli_extras": 12,
    "codec.cli": 13,
    "codec.__main__": 14,
}
CLI_MAY_IMPORT = {
    "codec",
    "codec.api",
    "codec.bundle",
    "codec.cli_extras",
    "codec.conversion",
    "codec.descriptors",
    "codec.feature_files",
    "codec.files",
    "codec.folders",
    "codec.options",
    "codec.progress",
    "codec.reporting",
    "codec.shards",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in {path}"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (submodules & set(RANKS)) or {str(node.module)}
    return found


def outside_training() -> list[Path]:
    return sorted(
        path
        for path in (ROOT / "codec").rglob("*.py")
        if "training" not in path.relative_to(ROOT).parts
    )


def own(names: set[str]) -> set[str]:
    training = {imported for _, imported in MAY_TRAIN}
    return {name for name in names - training if name.split(".")[0] == "codec"}


def test_every_module_has_a_rank():
    assert sorted(map(module_name, outside_training())) == sorted(RANKS)


@pytest.mark.parametrize("path", outside_training(), ids=module_name)
def test_a_module_imports_from_lower_ranks_alone(path):
    name = module_name(path)
    for imported in own(imports(path)):
        same_folder = "codec.entropy." in name and "codec.entropy." in imported
        assert RANKS[imported] < RANKS[name] or same_folder, imported


def test_the_command_line_uses_the_public_interface():
    assert own(imports(ROOT / "codec" / "cli.py")) <= CLI_MAY_IMPORT


@pytest.mark.parametrize("path", outside_training(), ids=module_name)
def test_a_module_outside_training_imports_no_training_framework(path):
    found = imports(path)
    assert not {name.split(".")[0] for name in found} & FRAMEWORKS
    trains = {name for name in found if name.startswith("codec.training")}
    assert {(module_name(path), name) for name in trains} <= MAY_TRAIN


def test_the_container_uses_the_standard_library_alone():
    roots = {n.split(".")[0] for n in imports(ROOT / "codec" / "container.py")}
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
        "from codec.cli import main\n"
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
        "from codec.cli import main\n"
        "data = codec.encode(np.zeros((9, 9), np.uint8))\n"
        "codec.decode(data), codec.read_info(data)\n"
        "main(['--help'], standalone_mode=False)\n"
    )
    modules = modules_after(script)
    assert "ai_edge_litert" in modules
    assert not modules & FRAMEWORKS
