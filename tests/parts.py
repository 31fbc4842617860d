"""The parts of the tests, for `bin/test PART`: each for a wing of the code, and short.

Standard library only: bin/test reads this before anything is installed.
"""

from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent


@dataclass(frozen=True)
class Part:
    """Test files by their names, and the extras of the package that they need."""

    files: tuple[str, ...]
    extras: tuple[str, ...]

    @property
    def paths(self) -> list[str]:
        return [str(TESTS / f"test_{name}.py") for name in self.files]


PARTS = {
    "codec": Part(
        (
            "api",
            "container",
            "determinism",
            "entropy",
            "features",
            "fuzz",
            "golden",
            "heads",
            "image",
            "malformed",
            "pillow_plugin",
            "precision",
            "progress",
            "quantization",
            "refinement",
            "runtime",
            "scale",
            "targets",
            "tune",
            "variety",
            "windows",
        ),
        ("dev",),
    ),
    "app": Part(
        ("cli", "corpus", "faults", "files", "folders", "service", "shards"),
        ("cluster", "dev", "serve"),
    ),
    "training": Part(
        ("adaptation", "train_heads", "training", "training_parts"),
        ("dev", "train"),
    ),
    "benchmarks": Part(
        ("benchmark_commands", "benchmarks", "notebooks", "report"),
        ("bench", "cluster", "dev", "serve", "train"),
    ),
    "docs": Part(("docs", "pipelines"), ("dev", "train")),
    "package": Part(("layering", "packaging", "parts"), ("dev",)),
}
EXTRAS = tuple(sorted({extra for part in PARTS.values() for extra in part.extras}))
