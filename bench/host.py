#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The bench of msp-host: host.py --programs DIR --nginx PROGRAM [--quick] [--json FILE] [--page FILE]. Started by scripts/bench host.

Every round runs each subject once, in an order drawn by chance; differences and ratios are taken within a round. The server
has one core, wrk the other. What a core serves is counted in CPU time of the server's cgroup (all its threads, that of the
access log included): so it does not hang on whether wrk could have asked for more, and a busy machine hurts it least.
"""
import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "tests" / "support"), str(TOP / "tests" / "netns"), str(TOP / "bench")]

from gate import instructions  # noqa: E402
from host_stage import TARGET, HostStage  # noqa: E402
from load import parse_wrk, spread  # noqa: E402

MANY = [1000, 10000]
LOADS = {"keepalive_64": 64, "keepalive_1": 1}
FIGURES = ("cpu_us", "per_core", "rps", "busy", "p50_us", "p99_us")
FEW_REPLAYED, MANY_REPLAYED = 500, 1500
GOAL_RATIO, GOAL_VERIFY_US, GOAL_PSS_MB, GOAL_FLAT = 0.9, 3.0, 200, 1.1


class Rounds:
    def __init__(self, stage: HostStage, rounds: int, seconds: int, seed: int):
        self.stage, self.rounds, self.seconds, self.chance = stage, rounds, seconds, random.Random(seed)
        self.cells = {load: {subject.name: [] for subject in stage.subjects} for load in LOADS}
        self.invalid: list[str] = []

    def run(self) -> None:
        self.stage.pin(max(range(os.cpu_count() or 1)))
        for number in range(self.rounds):
            for load, connections in LOADS.items():
                for subject in self.chance.sample(self.stage.subjects, len(self.stage.subjects)):
                    figures = self._one(subject, connections)
                    if figures["failed"]:
                        self.invalid.append(f"{load} {subject.name} round {number}: {figures['failed']}")
                    self.cells[load][subject.name].append(figures)
            print(f"round {number + 1} of {self.rounds}", file=sys.stderr, flush=True)
        for load, cell in self.cells.items():
            for name, rows in cell.items():
                if all(row["failed"] for row in rows):
                    raise SystemExit(f"no round of {name}, {load}, is valid, so nothing can be compared:\n  " + "\n  ".join(self.invalid))

    def _one(self, subject, connections: int) -> dict:
        headers = [word for name, value in self.stage.headers(subject).items() for word in ("-H", f"{name}: {value}")]
        argv = ["taskset", "-c", "0", "wrk", "-t1", f"-c{connections}", f"-d{self.seconds}s", "--latency", *headers,
                f"http://{subject.imds}{TARGET}"]
        before, begin = subject.cpu_usec(), time.monotonic()
        done = subject.client.run(argv, timeout=self.seconds + 60)
        took = time.monotonic() - begin
        used = subject.cpu_usec() - before
        figures = parse_wrk(done.stdout.decode() + done.stderr.decode())
        figures["cpu_us"] = used / max(figures["requests"], 1)
        figures["per_core"] = 1e6 / figures["cpu_us"] if used else 0.0
        figures["busy"] = used / took / 1e6
        return figures

    def within(self, load: str, figure: str, one: str, other: str, how) -> dict:
        cell = self.cells[load]
        return spread([how(a[figure], b[figure]) for a, b in zip(cell[one], cell[other]) if not a["failed"] and not b["failed"]])

    def summary(self) -> dict:
        return {load: {name: {figure: spread([row[figure] for row in rows]) for figure in FIGURES} for name, rows in cell.items()}
                for load, cell in self.cells.items()}


def replayed(program: Path, rounds: int) -> dict:
    """The same path without sockets: instructions under callgrind, and CPU time with requests of all machines in turn."""
    kinds = ("open", "verified", "nonces")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        def words(machines: int, kind: str) -> list[str]:
            for file in Path(folder).glob("host.db*"):
                file.unlink()
            return [str(machines), folder, kind]

        stripped = f"{folder}/host-replay"
        subprocess.run(["llvm-strip-19", "-g", "-o", stripped, str(program)], check=True)
        counted = {kind: (instructions(stripped, MANY_REPLAYED, folder, words(1, kind)) -
                          instructions(stripped, FEW_REPLAYED, folder, words(1, kind))) / (MANY_REPLAYED - FEW_REPLAYED)
                   for kind in kinds}
        timed: dict[str, list[float]] = {f"{kind} {machines}": [] for machines in (1, *MANY) for kind in kinds[:2]}
        timed["nonces 1"] = []
        for _ in range(rounds):
            for name, values in timed.items():
                kind, machines = name.split()
                done = subprocess.run(["taskset", "-c", str((os.cpu_count() or 1) - 1), stripped, "200000", *words(int(machines), kind)],
                                      capture_output=True, text=True, check=True)
                values.append(float(done.stdout) / 1000)
    return {"instructions": counted, "us": {name: spread(values) for name, values in timed.items()},
            "verification_us": spread([b - a for a, b in zip(timed["open 1"], timed["verified 1"])])}


def goals(document: dict) -> list[tuple[str, str, str, bool]]:
    within = document["within_a_round"]
    ratio, verify = within["verified / nginx, requests/s of a core"], within["verified - open, µs of CPU"]
    flat, pss = within["10,000 machines / 1, CPU"], document["memory_kb"]["verified_10000"]["latched"]["pss"] / 1024
    return [("verified requests/s of a core / nginx, unverified", f"at least {GOAL_RATIO}", f"{ratio['median']:.2f}", ratio["median"] >= GOAL_RATIO),
            ("CPU that verification adds to a request", f"at most {GOAL_VERIFY_US:g} µs", f"{verify['median']:.1f} µs", verify["median"] <= GOAL_VERIFY_US),
            (f"PSS with 10,000 machines, {document['latched']:,} of them latched", f"at most {GOAL_PSS_MB} MB", f"{pss:.0f} MB", pss <= GOAL_PSS_MB),
            ("CPU of a request, 10,000 machines / one", f"flat (at most {GOAL_FLAT})", f"{flat['median']:.2f}", flat["median"] <= GOAL_FLAT)]


def table(document: dict) -> str:
    lines = [f"median (min to max) of {document['rounds']} rounds of {document['seconds']} s",
             f"  {'load':<14}{'subject':<16}{'CPU µs/request':>24}{'requests/s of a core':>30}{'server busy':>14}{'p50 µs':>24}{'p99 µs':>28}"]
    for load, subjects in document["summary"].items():
        for name, f in subjects.items():
            cells = [f"{f[figure]['median']:.{d}f} ({f[figure]['min']:.{d}f} to {f[figure]['max']:.{d}f})"
                     for figure, d in (("cpu_us", 1), ("per_core", 0), ("p50_us", 0), ("p99_us", 0))]
            lines.append(f"  {load:<14}{name:<16}{cells[0]:>24}{cells[1]:>30}{f['busy']['median']:>14.2f}{cells[2]:>24}{cells[3]:>28}")
    lines += ["", "within each round: median (min to max)"]
    lines += [f"  {name:<46}{v['median']:.2f} ({v['min']:.2f} to {v['max']:.2f})" for name, v in document["within_a_round"].items()]
    replay = document["replay"]
    lines += ["", "behind the socket (host-replay): user instructions a request, SHA-256 without vector extensions: "
              + ", ".join(f"{kind} {count:.0f}" for kind, count in replay["instructions"].items()),
              "CPU µs a request, from the machines in turn: " + ", ".join(
                  f"{name} {v['median']:.2f} ({v['min']:.2f} to {v['max']:.2f})" for name, v in replay["us"].items()),
              f"verification by that: {replay['verification_us']['median']:.2f} µs ({replay['verification_us']['min']:.2f} to "
              f"{replay['verification_us']['max']:.2f})", "", "PSS in KB: " + "; ".join(
                  f"{name}: " + ", ".join(f"{when} {kb['pss']}" for when, kb in stages.items())
                  for name, stages in document["memory_kb"].items())]
    return "\n".join(lines)


def page(document: dict) -> str:
    rows = [f"| {name} | {goal} | {value} | {'reached' if good else '**missed**'} |" for name, goal, value, good in goals(document)]
    return f"""# What verification costs, as measured

`scripts/bench host --json FILE` measures msp-host with one machine whose requests it verifies, with one whose services are
disabled (everything else the same), with 1,000 and 10,000 machines, and nginx serving the same body from memory, all in the
same rounds and with the same bytes: one signed request for `{TARGET}`, {document['body_bytes']} bytes of body, over
kept connections from another namespace. `nginx` writes no log; `nginx_log` writes its buffered access log, as msp-host
always does (a line of some 300 bytes a request, by a thread that is counted here). The load comes from wrk on one core, the server has the other. *Requests/s of a core* are a second by the
server's CPU time of a request; *server busy* says how much of its core it had or needed: where that is below 1, wrk or other
work on the machine was the limit, and requests/s as they were would say nothing of the server.

Measured at commit {document['commit'][:12]}, {document['date']}, {document['cpus']} cores ({document['machine']}), kernel {document['kernel']},
load average {document['load']}.

```
{table(document)}
```

## Against the goals

| figure | goal | measured (median) | |
|---|---|---|---|
{chr(10).join(rows)}

The generator is no part of what is compared: the goals are in CPU time of the server, and its share of *busy* is printed.
The last row is one machine's requests at a host that has so many. When 10,000 machines ask in turn, each request finds its
machine's key, policy and document cold: *from the machines in turn* above is what that costs behind the socket, without
verification and with it. Nothing is looked for: machine and key are found by hash, the same number of steps for any count.

What a latch costs is its two syncs of the database, on the loop's thread: while a thousand machines latch at once, others
wait for these ([host.md](host.md)). `tests/netns/test_many_machines.py` does that.
"""


def measure(stage: HostStage, arguments) -> dict:
    rounds, seconds = (2, 1) if arguments.quick else (arguments.rounds, arguments.seconds)
    load_before = os.getloadavg()[1]
    runs = Rounds(stage, rounds, seconds, arguments.seed)
    runs.run()
    per, minus = (lambda a, b: a / b), (lambda a, b: a - b)
    within = {"verified / nginx, requests/s of a core": ("keepalive_64", "per_core", "verified", "nginx", per),
              "verified / nginx_log, requests/s of a core": ("keepalive_64", "per_core", "verified", "nginx_log", per),
              "open / nginx, requests/s of a core": ("keepalive_64", "per_core", "open", "nginx", per),
              "verified - open, µs of CPU": ("keepalive_64", "cpu_us", "verified", "open", minus),
              "verified - open, µs of CPU, one connection": ("keepalive_1", "cpu_us", "verified", "open", minus),
              "verified - open, µs of p50, one connection": ("keepalive_1", "p50_us", "verified", "open", minus),
              "1,000 machines / 1, CPU": ("keepalive_64", "cpu_us", "verified_1000", "verified", per),
              "10,000 machines / 1, CPU": ("keepalive_64", "cpu_us", "verified_10000", "verified", per)}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=TOP, capture_output=True, text=True, check=False).stdout.strip()
    return {"commit": commit, "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "kernel": platform.release(),
            "machine": platform.machine(), "cpus": os.cpu_count(), "rounds": rounds, "seconds": seconds, "seed": arguments.seed, "latched": arguments.latched,
            "load": f"{load_before:.1f} before, {os.getloadavg()[1]:.1f} after", "body_bytes": len(stage.body), "invalid": runs.invalid,
            "within_a_round": {name: runs.within(*how) for name, how in within.items()}, "summary": runs.summary(),
            "memory_kb": stage.memory(), "replay": replayed(arguments.programs / "bench" / "host-replay", min(rounds, 5)),
            "cells": runs.cells}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--nginx", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--latched", type=int, default=max(MANY), help="so many of a host's machines latch at most")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path, help="write the tables as a page of docs")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    stage = HostStage(arguments.programs.resolve(), arguments.nginx, MANY, arguments.latched)
    try:
        document = measure(stage, arguments)
    finally:
        stage.lab.close()
    print(table(document))
    for name, goal, value, good in goals(document):
        print(f"{name}: {value}, goal {goal}: {'reached' if good else 'MISSED'}")
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    if arguments.page:
        arguments.page.write_text(page(document))
    if document["invalid"]:
        print("INVALID, requests failed:\n  " + "\n  ".join(document["invalid"]))
    return 1 if document["invalid"] else 0


if __name__ == "__main__":
    sys.exit(main())
