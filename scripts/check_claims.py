#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every test that SECURITY.md and the pages on the channel name exists, and every relative link of the documents leads
somewhere."""
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent


def main() -> int:
    claims = {name: (TOP / name).read_text() for name in ("SECURITY.md", "docs/channel.md", "docs/disk-faults.md",
                                                          "docs/model/README.md")}
    text = claims["SECURITY.md"]
    scenarios = "\n".join(file.read_text() for file in (TOP / "tests" / "netns").glob("test_*.py"))
    programs = "\n".join(file.read_text() for file in [*(TOP / "tests").rglob("*.cpp"), *(TOP / "src").rglob("*_test.cpp")])
    missing = [f"SECURITY.md: no scenario {name}" for name in re.findall(r"`test_\w+\.(test_\w+)`", text)
               if f"def {name}(" not in scenarios]
    missing += [f"{page}: no test {suite}.{name}" for page, text in claims.items()
                for suite, name in re.findall(r"`([A-Z]\w+)\.([A-Z]\w+)`", text)
                if not re.search(rf"TEST(_F|_P)?\(\s*{suite},\s*{name}\)", programs)]
    for document in [*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            if not (document.parent / link).exists():
                missing.append(f"{document.relative_to(TOP)}: link to {link} leads nowhere")
    print("\n".join(missing) if missing else "every named test and every link exists")
    return 1 if missing else 0


sys.exit(main())
