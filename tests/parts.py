"""The parts of the tests, for `bin/test PART`: each for a wing of the code, and short.

Standard library only: bin/test reads this before anything is installed.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """Paths of files with tests from the root of the checkout, and the extras of the
    package that they need.
    """

    paths: tuple[str, ...]
    extras: tuple[str, ...]


def tests(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/test_{name}.py" for name in names)


# The longest first: workers take files in this order.
PARTS = {
    "training": Part(
        tests("training", "training_parts", "train_heads", "adaptation"),
        ("browser", "dev", "train"),
    ),
    "benchmarks": Part(
        tests("benchmarks", "benchmark_commands", "notebooks", "report"),
        ("bench", "cluster", "dev", "serve", "train"),
    ),
    "app": Part(
        (
            *tests("faults", "folders", "corpus", "service", "shards", "cli"),
            *tests("files", "options", "archives", "outputs", "streams"),
            *tests("fuzz_service", "search", "completion", "desktop", "view"),
            *tests("reports", "verify"),
        ),
        ("cluster", "dev", "serve"),
    ),
    "codec": Part(
        (
            *tests("windows", "refinement", "heads", "determinism", "api"),
            *tests("scale", "progress", "precision", "variety", "targets", "layer"),
            *tests("container", "entropy", "features", "fuzz", "golden", "image"),
            *tests("malformed", "pillow_plugin", "quantization", "runtime", "tune"),
            *tests("colors", "metadata", "output_formats", "strangers"),
            *tests("ssimulacra2"),
            "codec/__init__.py",
        ),
        ("dev",),
    ),
    "web": Part(tests("web", "gallery", "gallery_pages"), ("browser", "dev", "serve")),
    "package": Part(tests("packaging", "layering", "parts"), ("dev",)),
    "docs": Part(
        tests("examples", "pipelines", "site", "docs"),
        ("bench", "dev", "docs", "serve", "train"),
    ),
}
EXTRAS = tuple(sorted({extra for part in PARTS.values() for extra in part.extras}))
