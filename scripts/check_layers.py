#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks every #include under src/ and apps/ against the two tables of ARCHITECTURE.md.

"Which folder may include which" lists, for each folder, the others that it may include. "Headers with one place" lists
headers that only some files may include. Prints one line a violation; exit status 1 if there is one.
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


def main() -> int:
    text = (TOP / "ARCHITECTURE.md").read_text()
    allowed = {row[0][0]: set(row[1]) for row in table(text, "Which folder may include which")}
    placed = [(row[0], row[1]) for row in table(text, "Headers with one place")]
    violations = []
    files = [f for d in ("src", "apps") for f in sorted((TOP / d).rglob("*")) if f.suffix in (".h", ".cpp")]
    for file in files:
        name = str(file.relative_to(TOP))
        folder = file.parent.name if name.startswith("src/") else "apps"
        if folder not in allowed:
            violations.append(f"{name}: folder '{folder}' is not in the table")
            continue
        for kind, header in INCLUDE.findall(file.read_text()):
            target = header.split("/")[0]
            if kind == '"' and target in allowed and target != folder and target not in allowed[folder]:
                violations.append(f"{name}: '{folder}' may not include \"{header}\"")
            for patterns, places in placed:
                if any(fnmatch(header, p) for p in patterns) and not any(fnmatch(name, p) for p in places):
                    violations.append(f"{name}: {header} belongs in {' or '.join(places)} only")
    print("\n".join(violations) if violations else f"{len(files)} files keep the layers")
    return 1 if violations else 0


sys.exit(main())
