"""Compile codec/web/kernels.c to WebAssembly: `python tests/make_kernels.py`. It needs
Zig, a C compiler that pip installs: `pip install ziglang`.

Both modules hold the SHA-256 of their source, so that a test notices if they are of
another.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

WEB = Path(__file__).parent.parent / "codec" / "web"
SOURCE = WEB / "kernels.c"
FEATURES = {
    "kernels.wasm": "simd128+bulk_memory",
    "kernels_fma.wasm": "simd128+bulk_memory+relaxed_simd",
}
LINKED = ("no-entry", "import-memory", "export-dynamic", "export=__heap_base")
LINKED += ("-z,stack-size=16384", "strip-all")


def source_digest() -> str:
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def main() -> None:
    for name, features in FEATURES.items():
        target = WEB / "files" / name
        command = [
            sys.executable,
            "-m",
            "ziglang",
            "cc",
            "--target=wasm32-freestanding",
        ]
        command += [f"-mcpu=generic+{features}", "-O3", "-nostdlib", "-Wall", "-Werror"]
        command += ["-fvisibility=hidden", f'-DSOURCE_SHA256="{source_digest()}"']
        command += [
            f"-Wl,--{part}" if part[0] != "-" else f"-Wl,{part}" for part in LINKED
        ]
        subprocess.run([*command, "-o", target, SOURCE], check=True)
        target.chmod(0o644)
        print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
