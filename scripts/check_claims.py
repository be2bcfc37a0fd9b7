#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every test that SECURITY.md, docs/compatibility.md and the pages on the channel name exists, every row of compatibility.md
has a test or a reason, every relative link of the documents leads somewhere, and every script that they print as a command can
be run as printed."""
import os
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent


SCENARIO = r"`((?:test|booted)_\w+)\.(test_\w+)`"
VERDICTS = ("same", "additive", "different", "absent")


def unbacked_rows(text: str) -> list[str]:
    """Rows of docs/compatibility.md that claim something without a test, or deviate without a reason."""
    wrong = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("| ") else []
        if not cells or cells[0] == "What":
            continue
        if len(cells) != 3 or cells[1] not in VERDICTS:
            wrong.append(f"docs/compatibility.md: no verdict in: {line[:60]}")
        elif cells[1] in ("same", "additive") and not re.search(SCENARIO + r"|`[A-Z]\w+\.[A-Z]\w+`", cells[2]):
            wrong.append(f"docs/compatibility.md: no test for: {cells[0]}")
        elif not re.search(r"[a-z]{3}", re.sub(r"`[^`]*`", "", cells[2])) and cells[1] in ("different", "absent"):
            wrong.append(f"docs/compatibility.md: no reason for: {cells[0]}")
    for module, name in re.findall(SCENARIO, text):
        file = TOP / "tests" / "netns" / f"{module}.py"
        if not file.exists() or f"def {name}(" not in file.read_text():
            wrong.append(f"docs/compatibility.md: no scenario {module}.{name}")
    return wrong


def commands(text: str) -> set[str]:
    """Scripts of the tree that a page runs without an interpreter: a line of a code block, or backticks with an argument."""
    script = r"(?:[A-Z_]+=\S+ )*((?:tests|scripts|bench|fuzz|\.ci)/[\w./-]+)"
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    return {*re.findall(rf"`{script}\s", text), *re.findall(rf"^{script}(?:\s|$)", blocks, re.MULTILINE)}


def main() -> int:
    claims = {name: (TOP / name).read_text()
              for name in ("SECURITY.md", "docs/channel.md", "docs/compatibility.md", "docs/disk-faults.md",
                           "docs/model/README.md")}
    text = claims["SECURITY.md"]
    scenarios = "\n".join(file.read_text() for file in (TOP / "tests" / "netns").glob("test_*.py"))
    programs = "\n".join(file.read_text() for file in [*(TOP / "tests").rglob("*.cpp"), *(TOP / "src").rglob("*_test.cpp")])
    missing = [f"SECURITY.md: no scenario {name}" for name in re.findall(r"`test_\w+\.(test_\w+)`", text)
               if f"def {name}(" not in scenarios]
    missing += [f"{page}: no test {suite}.{name}" for page, text in claims.items()
                for suite, name in re.findall(r"`([A-Z]\w+)\.([A-Z]\w+)`", text)
                if not re.search(rf"TEST(_F|_P)?\(\s*{suite},\s*{name}\)", programs)]
    missing += unbacked_rows(claims["docs/compatibility.md"])
    for document in [*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md")]:
        text = document.read_text()
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            if not (document.parent / link).exists():
                missing.append(f"{document.relative_to(TOP)}: link to {link} leads nowhere")
        missing += [f"{document.relative_to(TOP)}: {script} cannot be run as printed" for script in sorted(commands(text))
                    if not os.access(TOP / script, os.X_OK)]
    print("\n".join(missing) if missing else "every named test and every link exists, every printed command can be run")
    return 1 if missing else 0


sys.exit(main())
