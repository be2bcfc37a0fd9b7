#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks docs/model/latch.pml with Spin: check.py [--cc COMPILER] [--long] [--only PATTERN].

The model must hold under each combination of faults, and the checker must find each seeded mistake, for the reason that
is named here. Every run is exhaustive: a search that was cut short by depth or memory has failed. --long takes most
faults at once (minutes, gigabytes; the ordinary run needs half a minute and 512 MB a verifier).
"""
import argparse
import concurrent.futures
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

MODEL = Path(__file__).resolve().parents[2] / "docs" / "model" / "latch.pml"
SAFETY, LIVENESS = "safety", "liveness"
AT_MOST_ONCE = "latches<=1"
NOT_THE_THIEFS = "thief_knows"
HOST_LATCHED = "latched_once"
ON_DISK = "(stored&"
NOTHING_UNSIGNED = "!(good)"
CLOSED = "told_disabled"
ALL_SERVED = "(good||"
DEADLOCK = "invalid end state"
NEVER_LATCHED = "acceptance cycle"


@dataclass
class Run:
    name: str
    kind: str
    budgets: dict = field(default_factory=dict)
    fault: str = ""
    found: str = ""  # what the checker must say; nothing: the model must hold


def both(name: str, **budgets: int) -> list[Run]:
    return [Run(f"{name}, {kind}", kind, budgets) for kind in (SAFETY, LIVENESS)]


ORDINARY = [
    *both("all is well"),
    *both("lost, repeated, given up too soon, late", LOSSES=1, REPEATS=1, IMPATIENCE=1, LATE=1),
    *both("both crash, messages are lost", AGENT_CRASHES=1, HOST_CRASHES=1, LOSSES=1),
    *both("a thief asks first, both crash", THIEF_ASKS=1, AGENT_CRASHES=1, HOST_CRASHES=1),
    *both("a thief latches, messages repeated", THIEF_ASKS=1, THIEF_PROVES=1, REPEATS=1, CALLS=1),
    *both("disk fails, key lost, agent crashes", SAVE_FAILURES=1, KEY_LOSSES=1, AGENT_CRASHES=1),
    *both("the key is rotated twice, all is served", ROTATIONS=2, CALLS=3, ALL_SERVED=1),
    *both("the key is rotated, messages are lost, the host crashes", ROTATIONS=1, LOSSES=1, HOST_CRASHES=1),
    *both("the key is rotated, a thief asks first", ROTATIONS=1, THIEF_ASKS=1, THIEF_PROVES=1, CALLS=1),
    *both("switched off and on, incarnation raised, a thief waits", SWITCHES=1, RAISES=1, THIEF_ASKS=1, CALLS=1),
]
FAULTS = [
    Run("the pending key is given out twice", SAFETY, {"THIEF_ASKS": 1}, "PENDING_KEY_TWICE", NOT_THE_THIEFS),
    Run("a key is given out while one is latched", SAFETY, {"THIEF_ASKS": 1, "THIEF_PROVES": 1}, "KEY_WHILE_LATCHED",
        AT_MOST_ONCE),
    Run("pending keys outlive a latch", SAFETY, {"THIEF_ASKS": 1, "THIEF_PROVES": 1}, "PENDING_OUTLIVES_LATCH",
        AT_MOST_ONCE),
    Run("the host latches after it has answered", SAFETY, {}, "LATCH_AFTER_ANSWER", HOST_LATCHED),
    Run("the host keeps the latch in memory only", SAFETY, {"HOST_CRASHES": 1}, "LATCH_NOT_DURABLE", AT_MOST_ONCE),
    Run("the host does not name the latched key", LIVENESS, {}, "LATCHED_KEY_NOT_NAMED", NEVER_LATCHED),
    Run("the host is open until a key is latched", SAFETY, {}, "OPEN_UNTIL_LATCHED", NOTHING_UNSIGNED),
    Run("the agent adopts a key before the host has it", SAFETY, {}, "ADOPT_UNATTESTED", HOST_LATCHED),
    Run("the agent attests a key that it has not saved", SAFETY, {}, "ATTEST_UNSAVED", ON_DISK),
    Run("the agent is open at each start", SAFETY, {"AGENT_CRASHES": 1}, "OPEN_AT_START", CLOSED),
    Run("the agent opens without contact", SAFETY, {"LOSSES": 1}, "OPEN_WITHOUT_CONTACT", CLOSED),
    Run("a rotated key is dead as soon as another is latched", SAFETY, {"ROTATIONS": 1, "CALLS": 3, "ALL_SERVED": 1},
        "NO_OVERLAP", ALL_SERVED),
    Run("a refused agent stands still", SAFETY, {"THIEF_ASKS": 1, "THIEF_PROVES": 1}, "STANDS_STILL", DEADLOCK),
    Run("a refused agent never asks again", LIVENESS, {"THIEF_ASKS": 1, "THIEF_PROVES": 1}, "NEVER_ASKS_AGAIN",
        NEVER_LATCHED),
]
LONG = [
    *both("network and crashes", LOSSES=1, REPEATS=1, IMPATIENCE=1, AGENT_CRASHES=1, HOST_CRASHES=1, CALLS=1, KEYS=9),
    *both("a thief latches, crashes, losses", LOSSES=1, AGENT_CRASHES=1, HOST_CRASHES=1, THIEF_ASKS=1, THIEF_PROVES=1,
          CALLS=1, KEYS=9),
    *both("disk, operator and crashes", AGENT_CRASHES=1, HOST_CRASHES=1, SAVE_FAILURES=1, KEY_LOSSES=1, SWITCHES=1,
          CALLS=1, KEYS=9),
]
LIMITS = {False: (512, 200), True: (6000, 1800)}  # megabytes, seconds


def command(arguments: list[str], directory: str, seconds: float) -> str:
    done = subprocess.run(arguments, cwd=directory, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def check(run: Run, compiler: str, long: bool) -> str:
    """What is wrong; nothing if all is as it must be. The last line of it says how large the search was."""
    megabytes, seconds = LIMITS[long]
    defines = [f"-D{name}={value}" for name, value in run.budgets.items()]
    if run.fault:
        if f"ifdef FAULT_{run.fault}\n" not in MODEL.read_text().replace("ifndef", "ifdef"):
            return f"the model has no FAULT_{run.fault}"
        defines.append(f"-DFAULT_{run.fault}")
    with tempfile.TemporaryDirectory(prefix="msp-model-") as directory:
        command(["spin", f"-P{compiler} -E -x c", *defines, "-a", str(MODEL)], directory, 60)
        options = ["-DSAFETY", "-DNOCLAIM"] if run.kind == SAFETY else ["-DNFAIR=3"]
        # Only a long search gives back what optimising its verifier takes.
        optimised = "-O1" if run.kind == LIVENESS and not run.found or long else "-O0"
        command([compiler, "-w", optimised, "-DCOLLAPSE", "-DVECTORSZ=2048", f"-DMEMLIM={megabytes}", *options, "-o", "pan",
                 "pan.c"], directory, 120)
        said = command(["./pan", "-m100000", "-w20", *([] if run.kind == SAFETY else ["-a", "-f"])], directory, seconds)
    errors = re.search(r"errors: (\d+)", said)
    complete = errors and "Search not completed" not in said and "max search depth" not in said
    states = re.search(r"^ *([\d.e+]+) states, stored", said, re.MULTILINE)
    size = f"{states.group(1) if states else '?'} states"
    if run.found:
        first = re.search(r"^pan:1: .*$", said, re.MULTILINE)
        if first and run.found in first.group(0):
            return ""
        return f"the seeded mistake was not found; the checker said: {first.group(0) if first else 'no error'}\n{said}"
    return "" if complete and errors.group(1) == "0" else f"{size}\n{said}"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", default="clang-19")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    runs = [run for run in (LONG if arguments.long else ORDINARY + FAULTS) if arguments.only in run.name]

    def timed(run: Run) -> tuple[str, float]:
        begin = time.monotonic()
        try:
            return check(run, arguments.cc, arguments.long), time.monotonic() - begin
        except (RuntimeError, subprocess.TimeoutExpired, OSError) as error:
            return str(error), time.monotonic() - begin

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(1 if arguments.long else 2) as pool:
        for run, (problem, seconds) in zip(runs, pool.map(timed, runs)):
            wanted = f"found: {run.name}" if run.found else f"holds: {run.name}"
            print(f"{'FAILED ' if problem else ''}{wanted} ({seconds:.1f} s)", flush=True)
            if problem:
                print(problem)
                failed += 1
    print(f"{len(runs) - failed} passed, {failed} failed")
    return 0 if runs and not failed else 1


sys.exit(main())
