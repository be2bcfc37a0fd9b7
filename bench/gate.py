#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""gate.py REPLAY: user instructions and system calls of one keep-alive request through the whole data path.

Both are differences of two counts of the same replay, so that start and end fall out; neither depends on the mood of
the machine. Fails when a bound is exceeded: whoever makes the path dearer must say so here.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FEW, MANY = 500, 1500
# The replay's own client and origin are in the figures: a read and a write each, and their share of the loop.
# Measured 34,450 when the gate was set, of which HMAC-SHA256 without vector extensions is 10,600 and the audit line,
# written by a thread of its own, 3,800. It grows, too, when functions have changed since scripts/profile counted them.
MOST_INSTRUCTIONS = 37_000
MOST_SYSTEM_CALLS = 12.5
# Every machine is to run the same code: no vector extensions chosen at run time.
SAME_CODE = {"OPENSSL_ia32cap": "~0x200000200000000", "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2_Usable,-AVX512F_Usable"}


def instructions(replay: str, count: int, folder: str, more: list[str] = []) -> int:
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", replay, str(count), *more],
        capture_output=True, text=True, check=False, env={**os.environ, **SAME_CODE})
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or found is None:
        raise SystemExit(f"callgrind failed:\n{done.stdout}{done.stderr}")
    return int(found.group(1))


def system_calls(replay: str, count: int, folder: str) -> int:
    report = Path(folder) / "calls"
    subprocess.run(["strace", "-f", "-c", "-U", "calls,name", "-o", report, replay, str(count)],
                   check=True, stdout=subprocess.DEVNULL)
    return sum(int(n) for n, name in re.findall(r"^\s*(\d+)\s+(\w+)$", report.read_text(), re.M) if name != "total")


def per_request(program: str) -> dict[str, float]:
    """Differences of two counts of the same replay."""
    with tempfile.TemporaryDirectory() as folder:
        # Without debug information: Debian's valgrind cannot read the newer compiler's.
        replay = f"{folder}/replay"
        subprocess.run(["llvm-strip-19", "-g", "-o", replay, program], check=True)
        return {name: (count(replay, MANY, folder) - count(replay, FEW, folder)) / (MANY - FEW)
                for name, count in (("user instructions", instructions), ("system calls", system_calls))}


def main() -> int:
    bounds = {"user instructions": MOST_INSTRUCTIONS, "system calls": MOST_SYSTEM_CALLS}
    counted = per_request(sys.argv[1])
    for name, value in counted.items():
        print(f"{name} a request: {value:.1f}, at most {bounds[name]} {'ok' if value <= bounds[name] else 'EXCEEDED'}")
    return 0 if all(value <= bounds[name] for name, value in counted.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
