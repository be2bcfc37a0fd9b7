# SPDX-License-Identifier: Apache-2.0
"""What wrk says, and figures over rounds."""
import re
from statistics import median

UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}


def micro(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * UNITS[unit]


def parse_wrk(text: str) -> dict:
    """Figures of one run; `failed` says what makes it invalid."""
    def find(pattern: str) -> str:
        found = re.search(pattern, text, re.M)
        if found is None:
            raise RuntimeError(f"wrk said:\n{text}")
        return found.group(1)

    failed = re.search(r"(Socket errors: .*|Non-2xx or 3xx responses: \d+)", text)
    return {"requests": int(find(r"(\d+) requests in")), "rps": float(find(r"Requests/sec:\s+([\d.]+)")),
            "p50_us": micro(find(r"^\s+50%\s+(\S+)")), "p99_us": micro(find(r"^\s+99%\s+(\S+)")),
            "failed": failed.group(1) if failed else ""}


def spread(values: list[float]) -> dict:
    return {"min": round(min(values), 4), "median": round(median(values), 4), "max": round(max(values), 4)}
