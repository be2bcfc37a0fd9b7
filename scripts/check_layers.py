#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks every #include under src/ and apps/ against the two tables of ARCHITECTURE.md.

"Which folder may include which" lists, for each folder, the others that it may include. "Headers with one place" lists
headers that only some files may include, "Folders without system calls" all headers of others that such folders may.
What includes in any other spelling than #include "folder/file.h" or #include <file> is a violation itself.
Prints one line a violation; exit status 1 if there is one.
"""
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
# Lines that are joined, then what hides the meaning of others: a comment's opening in a text opens none.
JOINED = re.compile(r"\\[ \t\f\v]*\n")
TOKEN = re.compile(r"""\b(?:u8|[uUL])?R"([^\s()\\]{0,16})\(.*?\)\1"|\b\d(?:'?[\w.])*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|//[^\n]*|/\*.*?\*/""", re.S)
BLANK = r"(?:\s|/\*\*/)*"
DIRECTIVE = re.compile(rf"{BLANK}(#|%:){BLANK}(\w*)")
HARMLESS = {"", "define", "undef", "if", "ifdef", "ifndef", "elif", "elifdef", "elifndef", "else", "endif", "error", "warning", "pragma"}
MODULE = re.compile(rf"{BLANK}(export\b{BLANK})?(import|module)\b{BLANK}[<\"\w:;]")
PART = r"\w[\w.+-]*"
INCLUDE = re.compile(rf'#include (?:(")({PART}(?:/{PART})*\.(?:h|inc))"|(<)({PART}(?:/{PART})*)>)(?: *//.*)?')
ELSEWHERE = ("bpf", "tests")  # folders beside src/ whose headers are named from the top


def is_ours(header: str) -> bool:
    """Whether a name in quotes is a file of the tree, or is made from one. The compiler would go on to the system's."""
    if header.endswith(".skel.h"):
        return (TOP / "bpf" / header.replace(".skel.h", ".bpf.c")).is_file()
    return (TOP / header if header.split("/")[0] in ELSEWHERE else TOP / "src" / header).is_file()


def includes(text: str) -> tuple[list[tuple[str, str]], list[str]]:
    """What a file includes, as its kind (" or <) and name; and the lines that may include what cannot be told."""
    def plain(token: re.Match) -> str:
        word = token.group(0)
        return "/**/" if word.startswith("/*") else "text" if token.group(1) is not None else word

    found, unclear = [], []
    for line in TOKEN.sub(plain, JOINED.sub("", text)).split("\n"):
        directive, include = DIRECTIVE.match(line), INCLUDE.fullmatch(line)
        if include:
            found.append((include.group(1) or include.group(3), include.group(2) or include.group(4)))
        elif "??" in line and re.search(r"\?\?[=/]", line):
            unclear.append(line)
        elif MODULE.match(line) or directive and (directive.group(1) != "#" or directive.group(2) not in HARMLESS):
            unclear.append(line)
    return found, unclear


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

    def of_text(self, name: str, text: str) -> list[str]:
        found, unclear = includes(text)
        return [f"{name}: not #include \"folder/file.h\" or #include <file>: {line.strip()}" for line in unclear] + [
            line for kind, header in found for line in self.violations(name, kind, header)]

    def violations(self, name: str, kind: str, header: str) -> list[str]:
        """`name`: path of the file that includes `header`, from the top."""
        folder, target, found = name.split("/")[1] if name.startswith("src/") else "apps", header.split("/")[0], []
        if folder not in self.allowed:
            return [f"{name}: folder '{folder}' is not in the table"]
        ours = target in self.allowed or target == "src"
        if (kind == "<" and ours) or (kind == '"' and not is_ours(header)):
            found.append(f"{name}: {header} is {'of the project: named in quotes, from src/ on' if kind == '<' else 'no file of the tree'}")
        if kind == '"' and target == "bpf" and header != "bpf/contract.h" and folder != "intercept":
            found.append(f"{name}: of bpf/ only the contract crosses over, not {header}")
        if kind == '"' and target in self.allowed and target != folder and target not in self.allowed[folder]:
            found.append(f"{name}: '{folder}' may not include \"{header}\"")
        for patterns, places in self.placed:
            if any(fnmatch(header, p) for p in patterns) and not any(fnmatch(name, p) for p in places):
                found.append(f"{name}: {header} belongs in {' or '.join(places)} only")
        is_test = name.endswith("_test.cpp")
        if kind == '"' and target == "tests" and not is_test and not fnmatch(name, "src/*/test_*.h"):
            found.append(f"{name}: {header} is for tests")
        if kind == "<" and folder in self.pure and not is_test and header not in self.pure[folder]:
            found.append(f"{name}: '{folder}' makes no system call; <{header}> is not in its table")
        return found


def main() -> int:
    layers = Layers((TOP / "ARCHITECTURE.md").read_text())
    files = [f for d in ("src", "apps") for f in sorted((TOP / d).rglob("*")) if f.is_file() and f.suffix != ".py"]
    violations = [line for file in files for line in layers.of_text(str(file.relative_to(TOP)), file.read_text("utf-8-sig"))]
    print("\n".join(violations) if violations else f"{len(files)} files keep the layers")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
