#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks of the text of tracked files: check_source.py banned | lengths | licence | mains.

banned   calls that have a safer form here, and marks of unfinished work; a line may carry "banned-ok: <why>" or NOLINT
lengths  600 lines a file, 800 a test
licence  one SPDX line at the top
mains    at most 40 lines each in apps/
"""
import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
CODE = (".cpp", ".h", ".c")

PARENTHESES = r"\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"

# pattern, reason, files that may (regular expression on the path)
BANNED = [
    (r"(?<![\w:.>])(?:std::|::)?(strcpy|stpcpy|strcat|sprintf|vsprintf|gets|strtok)\s*\(", "writes without a bound: fmt or std::string", None),
    (r"(?<![\w.>])(?:std::|::)?(system|popen|execvp|execlp)\s*\(", "runs a shell or looks up PATH", None),
    (r"(?<![\w.>])(?:std::|::)?(rand|srand|drand48)\s*\(", "guessable numbers: base/crypto", None),
    (r"(?<![\w.>])(?:std::|::)?(atoi|atol|atoll|atof)\s*\(", "no error for bad input: std::from_chars", None),
    (r"(?<![\w.>])(?:std::|::)?(tmpnam|mktemp|tempnam)\s*\(", "races: base/file", None),
    (r"(?<![\w.>])(?:std::|::)?(alloca|setjmp|longjmp)\s*\(", "bounds and destructors", None),
    (r"\bstd::(regex|basic_regex)\b", "backtracks without a bound; use a written matcher", None),
    (r"#\s*include\s*<(format|print|regex)>", "not in this library: fmt", None),
    (r"#\s*include\s*<iostream>", "heavy: fmt", r"apps/mspctl\.cpp"),  # it hands its streams to a library that writes text
    (r"\bstd::shared_ptr<(?!const\b)", "shared ownership only of const snapshots", r"_test\.cpp|tests/"),
    (r"(?<![\w.>])(?:std::|::)?(f?execv?e|execve?at|execv|execl|execle|execvpe|posix_spawnp?)\s*\(", "programs are started in few places",
     r"src/base/(external_program|service_manager)\.cpp|src/agent/worker_process\.cpp|tests/"),
    (r"(?<![\w.>])(?:std::|::)?((v?fork|_Fork)\s*\(|clone3?\s*\(\s*[^)\s])", "programs are started in few places", r"_test\.cpp|tests/|bench/|fuzz/"),
    (r"(?<![\w.>:])(::\s*close\s*\(|close\s*\(\s*[^)\s])", "descriptors are owned by base/fd", r"src/base/fd\.(cpp|h)|_test\.cpp|tests/|bench/|fuzz/"),
    (r"^(?!.*\bunique_ptr<[\w:]+>\s*\w*\(new\b).*(?<!operator )\bnew(\s+[A-Za-z_:]|\s*\(\s*std::nothrow)", "ownership: std::make_unique", None),
    (rf"\b(if|while|switch|for)\s*\((?:[^()]|{PARENTHESES}|\()*\bco_await\b", "co_await is a statement of its own", r"_test\.cpp"),
]
MARKS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, check=True, capture_output=True, text=True).stdout
    return [Path(name) for name in names.split("\0") if name and (TOP / name).is_file()]


def code_files() -> list[Path]:
    return [file for file in tracked() if file.suffix in CODE]


STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)+\'')


def bare(line: str) -> str:
    """Without strings, in which anything may stand, and comments."""
    return re.sub(r"//.*|/\*.*?\*/", "", STRING.sub('""', line))


def is_test(file: Path) -> bool:
    return file.parts[0] == "tests" or file.stem.endswith("_test")


def banned_in(file: str, line: str) -> list[str]:
    return [reason for pattern, reason, exempt in BANNED
            if re.search(pattern, bare(line)) and not (exempt and re.search(exempt, file))]


def whole_condition(lines: list[str]) -> str:
    """The first line, and where it opens a condition that it does not close, those that do."""
    text = bare(lines[0])
    if re.search(r"\b(if|while|switch|for)\s*\(", text):
        for line in lines[1:]:
            if text.count("(") <= text.count(")"):
                break
            text += " " + bare(line).strip()
    return text


def banned() -> list[str]:
    found = []
    for file in code_files():
        lines = (TOP / file).read_text().splitlines()
        for number, line in enumerate(lines, 1):
            if "banned-ok:" in line or "NOLINT" in line:
                continue
            if MARKS.search(line):
                found.append(f"{file}:{number}: mark of unfinished work")
            if file.parts[0] == "bpf" or re.match(r"\s*(///|//|\*|/\*)", line):
                continue
            text = whole_condition(lines[number - 1:number + 19])
            found += [f"{file}:{number}: {reason}: {line.strip()[:100]}" for reason in banned_in(str(file), text)]
    return found


def lengths() -> list[str]:
    found = []
    for file in tracked():
        if file.suffix not in (*CODE, ".py", ".sh") and file.parts[0] != "scripts":
            continue
        count, limit = len((TOP / file).read_text().splitlines()), 800 if is_test(file) else 600
        if count > limit:
            found.append(f"{file}: {count} lines, the limit is {limit}: which two things are in here?")
    return found


def licence() -> list[str]:
    found = []
    for file in tracked():
        wanted = file.suffix in (*CODE, ".py", ".sh", ".cmake") or file.name == "CMakeLists.txt" or (
            file.parts[0] == "scripts" and file.suffix == "")
        if wanted and "SPDX-License-Identifier: Apache-2.0" not in "\n".join((TOP / file).read_text().splitlines()[:3]):
            found.append(f"{file}: no SPDX line")
    return found


def mains() -> list[str]:
    return [f"{file}: more than 40 lines" for file in tracked()
            if file.parts[0] == "apps" and len((TOP / file).read_text().splitlines()) > 40]


def main() -> int:
    checks = {"banned": banned, "lengths": lengths, "licence": licence, "mains": mains}
    if len(sys.argv) != 2 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    found = checks[sys.argv[1]]()
    print("\n".join(found) if found else "clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
