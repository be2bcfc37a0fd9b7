#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks hardening of release programs: check_hardening.py BUILD PROGRAM…

Looks at what the linker wrote: PIE, full RELRO, BIND_NOW, no executable stack, no writable code, no run path, stack
protector and fortified calls in use, no library that a program must do without. CET: the C library's start files lack it here, so no note can stand in the
program; checked are the flag of every compilation and endbr64 at the entry of our functions that are called through a pointer.
"""
import json
import platform
import re
import struct
import subprocess
import sys
from pathlib import Path

FLAGS = ["-D_FORTIFY_SOURCE=3", "-fstack-protector-strong", "-fstack-clash-protection",
         "-ftrivial-auto-var-init=zero", "-D_GLIBCXX_ASSERTIONS"]
# docs/decisions/privilege-separation.md: what the unprivileged process does without.
NOT_LINKED = {"msp-worker": ("libbpf", "libelf", "libspdlog", "libsqlite3")}
X86 = platform.machine() == "x86_64"
FLAGS.append("-fcf-protection=full" if X86 else "-mbranch-protection=standard")


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def check_program(path: Path) -> list[str]:
    elf = run("llvm-readelf-19", "-h", "-l", "-d", "-W", str(path))
    symbols = run("llvm-readelf-19", "--dyn-syms", "-W", str(path))
    bad = []

    def demand(good: bool, what: str) -> None:
        if not good:
            bad.append(f"{path.name}: {what}")

    demand("DYN" in elf and re.search(r"FLAGS_1.*\bPIE\b", elf) is not None, "not position independent (PIE)")
    demand("GNU_RELRO" in elf, "no RELRO")
    demand(re.search(r"\bBIND_NOW\b|FLAGS_1.*\bNOW\b", elf) is not None, "RELRO is not full (no BIND_NOW)")
    demand(re.search(r"GNU_STACK.* RW ", elf) is not None, "executable stack")
    demand(re.search(r"^ *LOAD .* RWE ", elf, re.M) is None, "segment both writable and executable")
    for library in NOT_LINKED.get(path.name, ()):
        demand(f"[{library}" not in elf, f"links {library}")
    demand("RPATH" not in elf and "RUNPATH" not in elf, "has a run path")
    demand("TEXTREL" not in elf, "has text relocations")
    demand("__stack_chk_fail" in symbols, "no stack protector")
    demand(re.search(r"__\w+_chk\b", symbols.replace("__stack_chk_fail", "")) is not None, "no fortified call")
    if X86:
        entries = entries_of(path)
        without = [name for name, first in entries.items() if first != "endbr64"]
        demand(len(entries) > 50, f"only {len(entries)} functions of ours are pointed to: is it stripped?")
        demand(not without, f"no endbr64 at the entry of {len(without)} functions, the first is {without[:1]}")
    return bad


def entries_of(path: Path) -> dict[str, str]:
    """The first instruction of each function of ours that is called through a pointer: code takes its address, or data holds
    it (tables of virtual functions). What is called by name alone needs no landing pad, and loses it when it is linked."""
    code = run("llvm-objdump-19", "-d", "--no-show-raw-insn", str(path))
    first = {int(at, 16): (name, instruction)
             for at, name, instruction in re.findall(r"^([0-9a-f]+) <(_Z\w*3msp\w*|main)>:\n\s*\S+\s+(\S+)", code, re.M)}
    pointed_to = {int(at, 16) for at in re.findall(r"\sleaq\s.*\(%rip\).*# 0x([0-9a-f]+) <", code)} | words_of_data(path)
    return {first[at][0]: first[at][1] for at in first.keys() & pointed_to}


def words_of_data(path: Path) -> set[int]:
    """Relative relocations are packed: what they point to stands in the place itself."""
    content, words = path.read_bytes(), set()
    for offset, size in re.findall(r"\s\.(?:data|data\.rel\.ro|init_array|fini_array)\s+\w+\s+\w+ (\w+) (\w+)",
                                   run("llvm-readelf-19", "-S", "-W", str(path))):
        begin, end = int(offset, 16), int(offset, 16) + int(size, 16)
        words.update(struct.unpack(f"<{(end - begin) // 8}Q", content[begin:end - (end - begin) % 8]))
    return words


def check_flags(build: Path) -> list[str]:
    commands = json.loads((build / "compile_commands.json").read_text())
    bad = []
    for entry in commands:
        file = entry["file"]
        missing = [flag for flag in FLAGS if flag not in entry["command"].split()]
        if missing and "/src/" in file and not file.endswith("_test.cpp"):
            bad.append(f"{file}: compiled without {' '.join(missing)}")
    return bad


def main() -> int:
    build, programs = Path(sys.argv[1]), sys.argv[2:]
    bad = check_flags(build)
    for name in programs:
        bad += check_program(build / name) if (build / name).exists() else [f"{build / name} is not there"]
    print("\n".join(bad) if bad else f"{len(programs)} programs are hardened")
    return 1 if bad else 0


sys.exit(main())
