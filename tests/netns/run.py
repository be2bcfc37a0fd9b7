#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the scenarios: run.py --programs DIR [--junit FILE] [--only PATTERN] [--jobs N] [--list].

With --jobs, N modules run side by side, each in a process of its own: most of a scenario is waiting. A scenario is a method test_… of a module test_*.py beside this file. Needs root. MSP_SEED, MSP_KILLS and other variables
that the modules name make a run longer or repeat one.
"""
import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Begun first when modules run side by side: those that take a minute and more.
LONGEST = ("test_field_files", "test_worker", "test_disk")
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


Row = tuple[str, float, str]  # name, seconds, problem


def write(rows: list[Row], path: Path) -> None:
    root = ElementTree.Element("testsuite", name="netns", tests=str(len(rows)))
    for name, seconds, problem in rows:
        case = ElementTree.SubElement(root, "testcase", name=name, time=f"{seconds:.2f}")
        if problem:
            # XML knows no control characters; the tests are about such bytes.
            clean = "".join(c if c.isprintable() or c == "\n" else "?" for c in problem)
            ElementTree.SubElement(case, "failure", message="failed").text = clean
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(root).write(path)


def read(path: Path) -> list[Row]:
    return [(case.get("name", ""), float(case.get("time", 0)), "\n".join(failure.text or "" for failure in case))
            for case in ElementTree.parse(path).getroot()]


def run_here(chosen: list[unittest.TestCase]) -> tuple[list[Row], bool]:
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result).run(unittest.TestSuite(chosen))
    return result.rows, result.wasSuccessful() and not result.skipped


def run_beside(chosen: list[unittest.TestCase], jobs: int, arguments) -> tuple[list[Row], bool]:
    """Each module by a run of this program; what it prints is shown when it has ended."""
    modules = sorted({type(case).__module__ for case in chosen}, key=lambda name: (name not in LONGEST, name))
    rows: list[Row] = []
    good = True
    running: dict[subprocess.Popen, tuple[str, Path]] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            while modules or running:
                while modules and len(running) < jobs:
                    name = modules.pop(0)
                    with open(f"{folder}/{name}.txt", "wb") as output:
                        process = subprocess.Popen(
                            [sys.executable, __file__, "--programs", arguments.programs, "--module", name,
                             "--only", arguments.only, "--junit", f"{folder}/{name}.xml"],
                            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
                    running[process] = (name, Path(folder, name))
                ended = [process for process in running if process.poll() is not None]
                for process in ended:
                    name, path = running.pop(process)
                    sys.stdout.write(path.with_suffix(".txt").read_text(errors="replace"))
                    sys.stdout.flush()
                    found = read(path.with_suffix(".xml")) if path.with_suffix(".xml").exists() else []
                    if process.returncode != 0 and not any(problem for _, _, problem in found):
                        found.append((name, 0.0, f"ended with status {process.returncode}"))
                    rows += found
                    good = good and process.returncode == 0
                if not ended:
                    time.sleep(0.1)
        finally:
            # Each removes what it made.
            for process in running:
                process.send_signal(signal.SIGINT)
            for process in running:
                process.wait()
    return rows, good


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--junit", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--module", default="", help="those of this module alone")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    os.environ["MSP_PROGRAMS"] = str(arguments.programs.resolve())
    chosen = [case for case in cases(unittest.defaultTestLoader.discover(str(HERE)))
              if arguments.only in case.id() and arguments.module in ("", type(case).__module__)]
    if arguments.list:
        print("\n".join(case.id() for case in chosen))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows, good = run_beside(chosen, arguments.jobs, arguments) if arguments.jobs > 1 else run_here(chosen)
    if arguments.junit:
        write(rows, arguments.junit)
    print(f"{sum(not row[2] for row in rows)} passed, {sum(bool(row[2]) for row in rows)} failed")
    return 0 if chosen and good else 1


sys.exit(main())
