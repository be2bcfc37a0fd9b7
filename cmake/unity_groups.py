#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""unity_groups.py ROOT FILE…: which files may be compiled as one; a line each group of two or more, its files parted by ';'.

Files share a group only if no name that one of them keeps to itself (in an unnamed namespace, by static, by a macro) is a
word of the other, and none that one of them takes from elsewhere (by a using declaration) is a word of the other unless
it takes the same: so neither can hide, double or change what the other means. The words of a file are those of the headers
too that it includes by their name below ROOT.
"""
import functools
import re
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])
MOST_FILES = 10
NOISE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'""",
    re.DOTALL)
WORD = re.compile(r"[A-Za-z_]\w*")
OPENS = re.compile(r"\b(?:namespace|extern)\s*[\w:]*\s*$")
TYPE = re.compile(r"\b(?:struct|class|union|enum(?:\s+(?:class|struct))?)\s+(\w+)")
# Parameters, template arguments and bounds: none of them is a declaration's own name.
WITHIN = re.compile(r"\([^()]*\)|<[^<>]*>|\[[^\[\]]*\]")
AFTER_NAME = {"const", "noexcept", "override", "final", "mutable"}
# TEST(…), RC_GTEST_PROP(…): what they declare carries the name of the suite, which is one program's anyway.
MACRO = re.compile(r"[A-Z][A-Z0-9_]+")
INCLUDED = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
# Of its file alone as well, whatever namespace it stands in.
CONSTANT = re.compile(r"\s*const(?:expr|init)?\b[^()]*$")
TAKEN = re.compile(r"\busing\s+([\w:]+)::(\w+)\s*$")


def heads(text: str) -> list[tuple[str, bool]]:
    """The text of each declaration up to its end or its first brace, and whether it stands in an unnamed namespace."""
    found, stack, begin = [], [], 0
    for at, sign in enumerate(text):
        inside_body = any(kind == "body" for kind in stack)
        if sign == "{":
            head = text[begin:at]
            if not inside_body and OPENS.search(head):
                stack.append("unnamed" if re.search(r"\bnamespace\s*$", head) else "named")
            else:
                if not inside_body:
                    found.append((head, "unnamed" in stack))
                stack.append("body")
            begin = at + 1
        elif sign == "}":
            if stack:
                stack.pop()
            begin = at + 1
        elif sign == ";" and not inside_body:
            found.append((text[begin:at], "unnamed" in stack))
            begin = at + 1
    return found


def declared(head: str) -> set[str]:
    """The names that the head of one declaration declares."""
    while WITHIN.search(head):
        head = WITHIN.sub(" ", head)
    types = set(TYPE.findall(head))
    if types:
        return types
    alias = re.search(r"\busing\s+(\w+)\s*=", head)
    if alias:
        return {alias[1]}
    words = [word for word in WORD.findall(head.partition("->")[0].partition("=")[0]) if word not in AFTER_NAME]
    return {word for word in words[-1:] if not MACRO.fullmatch(word)}


@functools.cache
def said_by(file: Path) -> frozenset[str]:
    """The words of a file and of what it includes of the project."""
    whole = file.read_text()
    words = set(WORD.findall(NOISE.sub(" ", whole)))
    for name in INCLUDED.findall(whole):
        for header in (ROOT / name, ROOT / "src" / name, file.parent / name):
            if header.is_file():
                words |= said_by(header)
                break
    return frozenset(words)


class Names:
    """What a file, or a group of them, keeps to itself, takes from elsewhere, and says."""

    def __init__(self, file: Path):
        text = NOISE.sub(" ", file.read_text())
        # These change the meaning of all that follows.
        self.alone = bool(re.search(r"\busing\s+namespace\b(?!\s+std::\w*literals\b)", text))
        self.kept = set(re.findall(r"^\s*#\s*define\s+(\w+)", text, re.MULTILINE))
        self.taken: dict[str, str] = {}
        for head, unnamed in heads(re.sub(r"^\s*#[^\n]*", "", text, flags=re.MULTILINE)):
            taken = TAKEN.search(head)
            if taken:
                self.taken[taken[2]] = taken[1]
            elif unnamed or re.search(r"\b(?:static|using)\b", head) or CONSTANT.match(head.partition("=")[0]):
                self.kept |= declared(head)
        self.words = set(said_by(file))
        self.meant_otherwise = self.words - set(self.taken)

    def bears(self, other: "Names") -> bool:
        return not (self.alone or self.kept & other.words or set(self.taken) & other.meant_otherwise or
                    any(other.taken.get(name, scope) != scope for name, scope in self.taken.items()))

    def join(self, other: "Names") -> None:
        self.kept |= other.kept
        self.taken |= other.taken
        self.words |= other.words
        self.meant_otherwise |= other.meant_otherwise


def main() -> int:
    groups: list[tuple[Names, list[str]]] = []
    for file in sys.argv[2:]:
        names = Names(Path(file))
        for of_group, files in groups:
            if len(files) < MOST_FILES and of_group.bears(names) and names.bears(of_group):
                of_group.join(names)
                files.append(file)
                break
        else:
            groups.append((names, [file]))
    for _, files in groups:
        if len(files) > 1:
            print(";".join(files))
    return 0


sys.exit(main())
