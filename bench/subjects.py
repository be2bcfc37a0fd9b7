# SPDX-License-Identifier: Apache-2.0
"""The four subjects of the bench, in one pair of namespaces, each in a cgroup of its own."""
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import http
from lab.lab import HOSTGA, IMDS, ORDINARY_USER, Lab
from lab.world import Place, poll

BODY = 2048
DOWN = 4 << 20
UP = 10 << 20


def process_kb(pid: int) -> dict[str, int]:
    total = {"rss": 0, "pss": 0, "private": 0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(("Rss:", "Pss:")):
            total[line[:3].lower()] += int(line.split()[1])
        elif line.startswith(("Private_Clean:", "Private_Dirty:")):
            total["private"] += int(line.split()[1])
    return total


@dataclass
class Subject:
    name: str
    client: Place      # where the load generator runs
    imds: str          # address that stands for the origin of bodies
    hostga: str        # address that takes uploads
    processes: list[subprocess.Popen]
    cgroup: Path | None  # of the subject alone; None: there is nothing in between

    def pids(self) -> list[int]:
        return [int(pid) for pid in (self.cgroup / "cgroup.procs").read_text().split()] if self.cgroup else []

    def cpu_usec(self) -> int:
        if self.cgroup is None:
            return 0
        for line in (self.cgroup / "cpu.stat").read_text().splitlines():
            if line.startswith("usage_usec"):
                return int(line.split()[1])
        raise RuntimeError("cpu.stat has no usage_usec")

    def memory_kb(self) -> dict[str, int]:
        """The largest process's rss; of all together what is theirs alone, and their proportional share."""
        each = [process_kb(pid) for pid in self.pids()]
        return {name: (max if name == "rss" else sum)(one[name] for one in each) for name in ("rss", "pss", "private")}

    def pin(self, cpus: set[int]) -> None:
        for pid in self.pids():
            for task in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(task), cpus)


class Stage:
    """Builds it all; the origin is `nginx` in the host's namespace, the key comes from msp-host."""

    def __init__(self, programs: Path, nginx: Path):
        # Polled as often as a guest is: the tests' impatience would be measured, too.
        self.lab = Lab(programs, "msp-bench", agent_config={"openmsp": {"pollIntervalMilliseconds": 15_000}},
                       host_serves=("wireserver",))
        try:
            self._build(programs, nginx.resolve())
        except BaseException:
            self.lab.close()
            raise

    def _build(self, programs: Path, nginx: Path) -> None:
        lab = self.lab
        files = lab.folder / "files"
        files.mkdir()
        for name, size in (("small", BODY), ("large", DOWN)):
            (files / name).write_bytes(os.urandom(size))
            (files / name).chmod(0o644)
        self.origin = self._nginx(nginx, "nginx-origin.conf", lab.host_place)
        lab.start_host()
        outside = lab.world.cgroup("outside")
        relay_place = Place(lab.guest_netns, lab.world.cgroup("outside", "relay"))
        nginx_place = Place(lab.guest_netns, lab.world.cgroup("outside", "nginx"))
        client = Place(lab.guest_netns, outside / "client")
        lab.world.cgroup("outside", "client")
        relay = programs / "bench" / "blind-relay"
        relays = [self._run([relay, "127.0.0.1:4001", IMDS], relay_place),
                  self._run([relay, "127.0.0.1:4011", HOSTGA], relay_place)]
        proxy = self._nginx(nginx, "nginx-proxy.conf", nginx_place)
        lab.start_agent(wait=False)
        lab.wait_served("/small")
        self.subjects = [
            Subject("direct", client, IMDS, HOSTGA, [], None),
            Subject("relay", client, "127.0.0.1:4001", "127.0.0.1:4011", relays, relay_place.cgroup),
            Subject("nginx", client, "127.0.0.1:4002", "127.0.0.1:4012", [proxy], nginx_place.cgroup),
            Subject("agent", lab.guest, IMDS, HOSTGA, [lab.agent], lab.agent_place.cgroup),
        ]
        for subject in self.subjects:
            poll(f"{subject.name} answers", lambda s=subject: self.ask(s).status == 200, 5)

    def ask(self, subject: Subject) -> http.Answer:
        data = http.request_bytes(IMDS, "/small")
        return subject.client.as_user(ORDINARY_USER).call(http.exchange, subject.imds, data)

    def _nginx(self, nginx: Path, template: str, place: Place) -> subprocess.Popen:
        text = (Path(__file__).parent / template).read_text()
        for name, value in (("@FOLDER@", str(self.lab.folder)), ("@ADDRESS@", IMDS), ("@HOSTGA@", HOSTGA)):
            text = text.replace(name, value)
        file = self.lab.folder / template
        file.write_text(f"user {ORDINARY_USER} nogroup;\n" + text)
        return self._run([nginx, "-p", self.lab.folder, "-c", file], place)

    def _run(self, argv: list, place: Place) -> subprocess.Popen:
        log = open(self.lab.folder / "bench.log", "ab")
        process = place.popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.lab.world.on_close(process.wait)
        self.lab.world.on_close(process.terminate)
        return process
