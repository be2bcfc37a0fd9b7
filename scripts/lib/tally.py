#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up the JUnit files of one test run: tally.py STATUS FOLDER.

Prints one line a file and closes with "N passed, N failed". STATUS is 0 if every step before ended well: with another
one, or when a test failed, was skipped or could not run, or when nothing ran at all, the exit status is 1.
A GoogleTest program counts with the number of its cases.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

PASSED = re.compile(r"^\[  PASSED  \] (\d+) tests?\.", re.M)
FAILED = re.compile(r"^\[  FAILED  \] (\d+) tests?, listed below", re.M)
SKIPPED = re.compile(r"^\[  SKIPPED \] (\d+) tests?, listed below", re.M)


def count(pattern: re.Pattern, text: str) -> int:
    return sum(int(match) for match in pattern.findall(text))


def count_case(case: ElementTree.Element) -> tuple[int, int]:
    """Passed and failed of one test case, which may be a whole GoogleTest program. A skip is a failure."""
    output = case.findtext("system-out") or ""
    bad = count(FAILED, output) + count(SKIPPED, output)
    if case.find("failure") is not None or case.find("skipped") is not None or case.get("status") == "fail":
        return count(PASSED, output), max(bad, 1)
    return (count(PASSED, output) if PASSED.search(output) else 1), bad


def main() -> int:
    status, folder = int(sys.argv[1]), Path(sys.argv[2])
    passed = failed = 0
    for file in sorted(folder.glob("*.xml")):
        counts = [count_case(case) for case in ElementTree.parse(file).iter("testcase")]
        good, bad = sum(c[0] for c in counts), sum(c[1] for c in counts)
        print(f"{file.stem}: {good} passed, {bad} failed")
        passed, failed = passed + good, failed + bad
    if status != 0 and failed == 0:
        print("a step before the tests failed; see above")
        failed = 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed > 0 or passed == 0 else 0


sys.exit(main())
