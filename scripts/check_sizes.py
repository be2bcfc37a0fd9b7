#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the sizes of release programs: check_sizes.py BUILD. What counts is the program as it is shipped, stripped."""
import subprocess
import sys
import tempfile
from pathlib import Path

# docs/decisions/small-but-for-the-data-path.md
MOST_BYTES = {"msp-agent": 1_500_000}


def stripped_bytes(program: Path) -> int:
    with tempfile.NamedTemporaryFile() as copy:
        subprocess.run(["llvm-strip-19", "-o", copy.name, str(program)], check=True)
        return Path(copy.name).stat().st_size


def main() -> int:
    sizes = {name: stripped_bytes(Path(sys.argv[1]) / name) for name in MOST_BYTES}
    for name, size in sizes.items():
        print(f"{name}: {size} bytes, at most {MOST_BYTES[name]} {'ok' if size <= MOST_BYTES[name] else 'EXCEEDED'}")
    return 0 if all(size <= MOST_BYTES[name] for name, size in sizes.items()) else 1


sys.exit(main())
