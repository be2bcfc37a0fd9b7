#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""policy.py POLICY_BENCH [--repetitions N] [--json FILE]: what rules cost. Started by scripts/bench policy.

The program is run several times, each time with all its measurements in an order drawn by chance; figures are medians
over the runs, ratios are taken within a run. CPU time, one thread. Prints a table and the goals; exit status 1 if a goal
is missed.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

TOP = Path(__file__).resolve().parent.parent
MODES = ("off", "shadow", "enforce")
SIZES = (10, 10_000, 100_000)
LARGE = ("decide_each_its_own", "decide_nameless", "decide_other_keys", "decide_spellings", "decide_dry_runs", "decide_denies")
OTHERS = ("decide_many_callers", "decide_many_roles", "decide_other_methods", *LARGE)
GRIDS = ("decide_grid", "decide_repeated")
NANOSECONDS = {"ns": 1.0, "us": 1e3, "ms": 1e6}


def measure(program: str) -> dict[str, float]:
    """One run: nanoseconds by name ("decide/enforce/10"), and "memory/10000" in bytes a rule."""
    done = subprocess.run([program, "--benchmark_format=json", "--benchmark_min_time=0.1"],
                          check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    figures = {}
    for entry in json.loads(done.stdout)["benchmarks"]:
        name = entry["name"].removesuffix("/iterations:1")
        if entry.get("error_occurred"):
            raise SystemExit(f"{name}: {entry['error_message']}")
        figures[name] = entry.get("bytes_per_rule", entry["cpu_time"] * NANOSECONDS[entry["time_unit"]])
    return figures


def ratios(run: dict[str, float]) -> dict[str, float]:
    out = {f"decide/{mode}/{size} to 10 rules": run[f"decide/{mode}/{size}"] / run[f"decide/{mode}/10"]
           for mode in MODES for size in SIZES[1:]}
    for name in OTHERS:
        out[f"{name}/10000 to 8"] = run[f"{name}/10000"] / run[f"{name}/8"]
    for name in LARGE:
        out[f"{name}/100000 to 8"] = run[f"{name}/100000"] / run[f"{name}/8"]
    for name in GRIDS:
        out[f"{name}/10000 to 9 rules"] = run[f"{name}/10000"] / run[f"{name}/9"]
    out["decide_same_path/10000 to 10 rules"] = run["decide_same_path/10000"] / run["decide_same_path/10"]
    return out


def goals(figures: dict[str, float]) -> list[tuple[str, float, float, str]]:
    """Name, measured, at most, unit."""
    out = [(f"decide, {mode}, 10 rules", figures[f"decide/{mode}/10"], 300, "ns") for mode in MODES]
    out += [(f"decide, {mode}, {size} rules, to 10", figures[f"decide/{mode}/{size} to 10 rules"], 1.5, "×")
            for mode in MODES for size in SIZES[1:]]
    out += [(f"{name}, 10000 to 8", figures[f"{name}/10000 to 8"], 1.5, "×")
            for name in OTHERS]
    out += [(f"{name}, 100000 to 8", figures[f"{name}/100000 to 8"], 1.5, "×") for name in LARGE]
    out += [(f"{name}, 10000 to 9", figures[f"{name}/10000 to 9 rules"], 1.5, "×") for name in GRIDS]
    out.append(("canonical form of a token URL", figures["canonicalise"], 300, "ns"))
    out.append(("compiling 10000 rules", figures["compile/10000"] / 1e6, 50, "ms"))
    return out


def commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=TOP, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--json")
    args = parser.parse_args()
    runs = [measure(args.program) for _ in range(args.repetitions)]
    spread = {}
    for name in (*runs[0], *ratios(runs[0])):
        values = [{**run, **ratios(run)}[name] for run in runs]
        spread[name] = {"median": median(values), "min": min(values), "max": max(values)}
    figures = {name: value["median"] for name, value in spread.items()}
    about = {"commit": commit(), "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": platform.machine(),
             "cores": os.cpu_count(), "kernel": platform.release(), "repetitions": args.repetitions}
    print("commit {commit}, {time}, {cores} cores ({machine}), kernel {kernel}, {repetitions} runs".format(**about))
    print("\n%-40s %12s %25s" % ("", "median", "min to max"))
    for name, value in spread.items():
        unit = "" if " to " in name else "bytes a rule" if name.startswith("memory") else "ns"
        print("%-40s %12.2f %25s %s" % (name, value["median"], "%.2f to %.2f" % (value["min"], value["max"]), unit))
    print()
    missed = 0
    for name, value, most, unit in goals(figures):
        missed += value > most
        print("%-40s %10.2f %-2s at most %6.1f %-2s %s" % (name, value, unit, most, unit, "MISSED" if value > most else "reached"))
    if args.json:
        Path(args.json).write_text(json.dumps({**about, "figures": spread, "goals": [
            {"name": name, "measured": value, "at_most": most, "unit": unit, "reached": value <= most}
            for name, value, most, unit in goals(figures)]}, indent=2) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
