#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks every #include under src/ and apps/ against the two tables of ARCHITECTURE.md.

"Which folder may include which" lists, for each folder, the others that it may include. "Headers with one place" lists
headers that only some files may include, "Folders without system calls" all headers of others that such folders may. Prints one line a violation; exit status 1 if there is one.
"""
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)


def table(text: str, heading: str) -> list[list[str]]:
    """The cells of the table under the heading, backquoted words only; the two header lines are dropped."""
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.M | re.S)
    if section is None:
        sys.exit(f"ARCHITECTURE.md: no section '{heading}'")
    rows = [line for line in section.group(1).splitlines() if line.startswith("|")][2:]
    if not rows:
        sys.exit(f"ARCHITECTURE.md: no table under '{heading}'")
    return [[re.findall(r"`([^`]+)`", cell) for cell in row.strip("|").split("|")] for row in rows]


class Layers:
    def __init__(self, text: str):
        self.allowed = {row[0][0]: set(row[1]) for row in table(text, "Which folder may include which")}
        self.placed = [(row[0], row[1]) for row in table(text, "Headers with one place")]
        self.pure = {folder: set(row[1]) for row in table(text, "Folders without system calls") for folder in row[0]}

    def violations(self, name: str, kind: str, header: str) -> list[str]:
        """`name`: path of the file that includes `header`, from the top."""
        folder, target, found = name.split("/")[1] if name.startswith("src/") else "apps", header.split("/")[0], []
        if folder not in self.allowed:
            return [f"{name}: folder '{folder}' is not in the table"]
        ours = target in self.allowed or target == "src" or "." in header.split("/")[:-1] or ".." in header.split("/")
        if ours and (kind != '"' or target not in self.allowed):
            found.append(f"{name}: {header} is named in quotes, from src/ on")
        if kind == '"' and target == "bpf" and header != "bpf/contract.h" and folder != "intercept":
            found.append(f"{name}: of bpf/ only the contract crosses over, not {header}")
        if kind == '"' and target in self.allowed and target != folder and target not in self.allowed[folder]:
            found.append(f"{name}: '{folder}' may not include \"{header}\"")
        for patterns, places in self.placed:
            if any(fnmatch(header, p) for p in patterns) and not any(fnmatch(name, p) for p in places):
                found.append(f"{name}: {header} belongs in {' or '.join(places)} only")
        is_test = name.endswith("_test.cpp")
        if kind == "<" and folder in self.pure and not is_test and header not in self.pure[folder]:
            found.append(f"{name}: '{folder}' makes no system call; <{header}> is not in its table")
        return found


def main() -> int:
    layers = Layers((TOP / "ARCHITECTURE.md").read_text())
    files = [f for d in ("src", "apps") for f in sorted((TOP / d).rglob("*")) if f.suffix in (".h", ".cpp")]
    violations = [line for file in files for kind, header in INCLUDE.findall(file.read_text())
                  for line in layers.violations(str(file.relative_to(TOP)), kind, header)]
    print("\n".join(violations) if violations else f"{len(files)} files keep the layers")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
