#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every libc call of the given objects is either stood before by the fault layer or known to touch no file.

check_calls.py LAYER.so OBJECT.o… : so that a file call that somebody adds is not missed by the fault tests in silence.
"""
import subprocess
import sys

# Neither names nor descriptors of files; inotify's instance has no path, its watches have.
HARMLESS = {
    "__errno_location", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_", "_Unwind_Resume", "bcmp", "explicit_bzero", "free",
    "geteuid", "inotify_init1", "inotify_rm_watch", "malloc", "memchr", "memcmp", "memcpy", "memmove", "memset", "nanosleep",
    "strcmp", "strlen", "__memcpy_chk", "__memmove_chk", "__memset_chk", "__explicit_bzero_chk", "time", "clock_gettime",
}


def symbols(kind: str, *arguments: str) -> set[str]:
    out = subprocess.run(["nm", kind, "-f", "posix", *arguments], check=True, capture_output=True, text=True).stdout
    return {line.split()[0].split("@")[0] for line in out.splitlines() if line and not line.endswith(":")}


def main() -> int:
    layer, *objects = sys.argv[1:]
    known = {name for name in symbols("--defined-only", "-D", layer) if not name.startswith("_Z")}
    ours = ("_Z", "__asan", "__ubsan", "__gxx", "__cxa", "__start_", "__stop_")  # of language, sanitizers and linker
    asked = {name for name in symbols("-u", *objects) if not name.startswith(ours)}
    unknown = sorted(asked - known - HARMLESS)
    print(f"{len(objects)} objects: {len(asked & known)} calls under the fault layer: {' '.join(sorted(asked & known))}")
    for name in unknown:
        print(f"{name}: stand before it in tests/support/faults, or say in check_calls.py that it touches no file")
    return 1 if unknown or len(asked & known) < 10 else 0


sys.exit(main())
