#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the scenarios: run.py --programs DIR [--junit FILE] [--only PATTERN] [--list].

A scenario is a method test_… of a module test_*.py beside this file. Needs root. MSP_SEED, MSP_KILLS and other variables
that the modules name make a run longer or repeat one.
"""
import argparse
import os
import signal
import sys
import time
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]


def cases(suite) -> list[unittest.TestCase]:
    return [case for part in suite for case in (cases(part) if isinstance(part, unittest.TestSuite) else [part])]


class Result(unittest.TextTestResult):
    """Keeps what a JUnit file needs; a skip counts as a failure there."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.rows: list[tuple[str, float, str]] = []
        self._begin = 0.0

    def startTest(self, test):
        self._begin = time.monotonic()
        super().startTest(test)

    def _row(self, test, problem: str) -> None:
        self.rows.append((test.id(), time.monotonic() - self._begin if self._begin else 0.0, problem))

    def addSuccess(self, test):
        super().addSuccess(test)
        self._row(test, "")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._row(test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self._row(test, self.errors[-1][1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._row(test, f"skipped: {reason}")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._row(subtest, (self.failures + self.errors)[-1][1])

    def write(self, path: Path) -> None:
        root = ElementTree.Element("testsuite", name="netns", tests=str(len(self.rows)))
        for name, seconds, problem in self.rows:
            case = ElementTree.SubElement(root, "testcase", name=name, time=f"{seconds:.2f}")
            if problem:
                # XML knows no control characters; the tests are about such bytes.
                clean = "".join(c if c.isprintable() or c == "\n" else "?" for c in problem)
                ElementTree.SubElement(case, "failure", message="failed").text = clean
        path.parent.mkdir(parents=True, exist_ok=True)
        ElementTree.ElementTree(root).write(path)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--junit", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    os.environ["MSP_PROGRAMS"] = str(arguments.programs.resolve())
    chosen = [c for c in cases(unittest.defaultTestLoader.discover(str(HERE))) if arguments.only in c.id()]
    if arguments.list:
        print("\n".join(case.id() for case in chosen))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result).run(unittest.TestSuite(chosen))
    if arguments.junit:
        result.write(arguments.junit)
    print(f"{sum(not row[2] for row in result.rows)} passed, {sum(bool(row[2]) for row in result.rows)} failed")
    return 0 if chosen and result.wasSuccessful() and not result.skipped else 1


sys.exit(main())
