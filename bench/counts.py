# SPDX-License-Identifier: Apache-2.0
"""Figures that do not depend on the mood of the machine: system calls a request, memory an idle connection."""
import os
import re
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from lab import http
from lab.lab import IMDS, ORDINARY_USER

FEW, MANY = 40, 140


def requests(address: str, count: int, keep_alive: bool) -> None:
    data = http.request_bytes(IMDS, "/small", headers={} if keep_alive else {"Connection": "close"})
    if keep_alive:
        with http.connect(address) as connection:
            reader = http.Reader(connection)
            for _ in range(count):
                connection.sendall(data)
                assert reader.answer().status == 200
    else:
        for _ in range(count):
            assert http.exchange(address, data).status == 200


def calls_during(subject, count: int, keep_alive: bool) -> int:
    """All threads of all the subject's processes, the audit writer's included."""
    with tempfile.NamedTemporaryFile(mode="r") as report:
        argv = ["strace", "-f", "-c", "-U", "calls,name", "-o", report.name]
        for pid in subject.pids():
            argv += ["-p", str(pid)]
        tracer = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        subject.client.as_user(ORDINARY_USER).call(requests, subject.imds, count, keep_alive)
        time.sleep(0.5)
        tracer.terminate()
        tracer.wait()
        return sum(int(n) for n, name in re.findall(r"^\s*(\d+)\s+(\w+)$", Path(report.name).read_text(), re.M) if name != "total")


def per_request(subject, keep_alive: bool) -> float:
    """The difference of two counts: what a run costs by itself falls out."""
    return (calls_during(subject, MANY, keep_alive) - calls_during(subject, FEW, keep_alive)) / (MANY - FEW)


def count_system_calls(subject) -> dict[str, float]:
    return {"keepalive": per_request(subject, True), "new_connection": per_request(subject, False)}


def idle_connection_kb(subject, count: int = 400) -> float:
    """Private memory that one idle, once used connection keeps."""
    ready, ready_child = socket.socketpair()
    end, end_child = socket.socketpair()

    def child() -> None:
        held = []
        data = http.request_bytes(IMDS, "/small")
        for _ in range(count):
            connection = http.connect(subject.imds)
            connection.sendall(data)
            assert http.Reader(connection).answer().status == 200
            held.append(connection)
        ready_child.send(b"x")
        end_child.recv(1)

    before = subject.memory_kb()["private"]
    process = subject.client.start(child)
    ready.recv(1)
    after = subject.memory_kb()["private"]
    end.send(b"x")
    process.result()
    return (after - before) / count


def unrelated_costs(program: Path, hooked, free, rounds: int, count: int = 20_000) -> dict[str, list[float]]:
    """What connections and packets that are no business of ours cost under the hooks, against without: a ratio a round.

    "... noise" is the same ratio of two runs that are both without: what the machine makes of no difference at all.
    """
    cpu = str(max(range(os.cpu_count() or 1)))

    def run(place) -> list[float]:
        done = place.run(["taskset", "-c", cpu, program, str(count)], timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stderr.decode()}")
        return [float(number) for number in done.stdout.split()]

    kinds = ("connect", "packet")
    out: dict[str, list[float]] = {name: [] for kind in kinds for name in (kind, kind + " noise")}
    for number in range(rounds):
        places = {"hooked": hooked, "free": free, "free again": free}
        order = list(places)[number % 3:] + list(places)[:number % 3]
        costs = {name: run(places[name]) for name in order}
        for i, kind in enumerate(kinds):
            out[kind].append(costs["hooked"][i] / costs["free"][i])
            out[kind + " noise"].append(costs["free again"][i] / costs["free"][i])
    return out
