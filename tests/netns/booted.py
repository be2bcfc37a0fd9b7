# SPDX-License-Identifier: Apache-2.0
"""A Debian root that boots its own systemd, for booted_service.py, whose arguments it reads."""
import argparse
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
parser = argparse.ArgumentParser()
parser.add_argument("--programs", type=Path, required=True, help="for the host's end")
parser.add_argument("--root", type=Path, required=True)
parser.add_argument("--packages", type=Path, required=True)
parser.add_argument("--restarts", type=int, default=20)
parser.add_argument("--only", default="")
ARGUMENTS = parser.parse_args()
os.environ["MSP_PROGRAMS"] = str(ARGUMENTS.programs.resolve())

from base import LabCase  # noqa: E402
from lab import http  # noqa: E402
from lab.client_root import ClientRoot  # noqa: E402
from lab.lab import IMDS, ORDINARY_USER  # noqa: E402
from lab.world import Place, poll, run  # noqa: E402

UNIT, RETRY, HOST = "msp-agent.service", "msp-agent-retry.service", "msp-host.service"
VERSIONS = "/metadata/versions"
PINS = "/sys/fs/bpf/openmsp"
DROP_IN = f"/run/systemd/system/{UNIT}.d/hang.conf"
ENDORSED = "x-ms-azure-host-authorization"


def ask_until(stop_file: Path) -> Counter:
    """Connects, asks, closes, without pause. Only "served" is good; the longest wait is told, too."""
    seen: Counter = Counter()
    longest = 0.0
    while not stop_file.exists():
        answer = http.get(IMDS, VERSIONS)
        endorsed = answer.status == 200 and answer.headers.get(ENDORSED) == "value"
        seen["served" if endorsed else str(answer)] += 1
        longest = max(longest, answer.seconds)
    seen["longest ms"] = int(longest * 1000)
    return seen


class Load:
    """Four clients that ask without pause while something happens."""

    def __init__(self, case: "Booted"):
        self._case, self._stop = case, case.lab.folder / "stop-load"

    def __enter__(self) -> "Load":
        self._stop.unlink(missing_ok=True)
        self._children = [self._case.clients.as_user(ORDINARY_USER).start(ask_until, self._stop) for _ in range(4)]
        time.sleep(0.3)
        return self

    def __exit__(self, *_) -> None:
        time.sleep(0.3)
        self._stop.touch()
        parts = [child.result() for child in self._children]
        self.longest_ms = max(part.pop("longest ms") for part in parts)
        self.seen: Counter = sum(parts, Counter())
        self.lost = sum(self.seen.values()) - self.seen["served"]
        print(f"  {self.seen['served']} served, {self.lost} lost, longest {self.longest_ms} ms", flush=True)


class Booted(LabCase):
    start_agent = False

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        try:
            cls.boot()
        except Exception as error:
            raise AssertionError(f"{error}\n{cls.journal()}") from error

    @classmethod
    def prepare(cls) -> None:
        cls.root = ClientRoot(cls.lab, None, ARGUMENTS.root.resolve())
        # No part of the agent is what it manages: only the network that this lab gives.
        for name in ("systemd-networkd", "systemd-resolved", "systemd-timesyncd"):
            (cls.root.path / f"etc/systemd/system/{name}.service").symlink_to("/dev/null")
        for pattern, target in (("openmsp-agent_*.deb", "agent-{}.deb"), ("openmsp-host_*.deb", "host-{}.deb"),
                                ("openmsp-agent_*.tar.gz", "agent-{}.tar.gz")):
            for name, file in zip(("first", "second"), sorted(ARGUMENTS.packages.glob(pattern)), strict=True):
                shutil.copy(file, cls.root.path / "root" / target.format(name))
        cls.units_root = cls.lab.world.cgroup("guest", "booted")
        cls.clients = Place(cls.lab.guest_netns, cls.lab.world.cgroup("guest", "booted", "clients"))
        cls.install()

    @classmethod
    def install(cls) -> None:
        """Before it boots."""
        print(run("chroot", str(cls.root.path), "dpkg", "-i", "/root/agent-first.deb").strip(), flush=True)

    @classmethod
    def boot(cls) -> None:
        cls.booted = cls.root.boot(Place(cls.lab.guest_netns, cls.units_root), cls.lab.folder / "boot.log")
        cls.addClassCleanup(cls.shut_down)
        cls.init = poll("systemd is process 1", cls.pid_of_init, 10)
        poll("it has booted", lambda: cls.inside("systemctl", "is-system-running") not in ("", "starting", "initializing"), 30)

    @classmethod
    def pid_of_init(cls) -> int | None:
        for pid in (cls.units_root / "init.scope" / "cgroup.procs").read_text().split():
            if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                return int(pid)
        return None

    @classmethod
    def shut_down(cls) -> None:
        """Whatever systemd made below, too."""
        (cls.units_root / "cgroup.kill").write_text("1")
        cls.booted.wait(10)
        for folder, _, _ in os.walk(cls.units_root, topdown=False):
            if Path(folder) not in (cls.units_root, cls.clients.cgroup):
                poll(f"{folder} can be removed", lambda f=folder: os.rmdir(f) is None, 5)

    @classmethod
    def run_inside(cls, *argv: str, timeout: float = 60) -> subprocess.CompletedProcess:
        return cls.lab.outside.run(["nsenter", "--target", str(cls.init), "--all", *argv], text=True, cwd="/", timeout=timeout)

    @classmethod
    def inside(cls, *argv: str) -> str:
        return cls.run_inside(*argv).stdout.strip()

    @classmethod
    def journal(cls) -> str:
        return cls.inside("journalctl", "--no-pager", "-n", "60") if getattr(cls, "init", None) else (
            cls.lab.folder / "boot.log").read_text()

    def setUp(self) -> None:
        print(f"\n{self.id().split('.')[-1]}", flush=True)
        self.inside("systemctl", "reset-failed", UNIT)

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            print(self.journal(), flush=True)

    def must(self, *argv: str, timeout: float = 60) -> str:
        done = self.run_inside(*argv, timeout=timeout)
        self.assertEqual(done.returncode, 0, f"{argv}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def show(self, name: str, unit: str = UNIT) -> str:
        return self.inside("systemctl", "show", "-P", name, unit)

    def ask(self) -> http.Answer:
        return self.clients.as_user(ORDINARY_USER).call(http.get, IMDS, VERSIONS)

    def served(self) -> bool:
        answer = self.ask()
        return answer.status == 200 and answer.headers.get(ENDORSED) == "value"

    def main_pid(self) -> int:
        """In this process's pid namespace."""
        pids = (self.units_root / "openmsp.slice" / UNIT / "cgroup.procs").read_text().split()
        # The worker's parent; the worker is the other one.
        [pid] = [pid for pid in pids if Path(f"/proc/{pid}/comm").read_text().strip() == "msp-agent"]
        return int(pid)

    def started_anew(self, old: int) -> int | None:
        try:
            return (new := self.main_pid()) != old and self.show("ActiveState") == "active" and new
        except ValueError:
            return None  # none, at this moment

    def exists(self, path: str) -> bool:
        return self.run_inside("test", "-e", path).returncode == 0 or self.run_inside("test", "-L", path).returncode == 0

    def pinned(self) -> bool:
        return self.exists(f"{PINS}/links/connect4")

    def assert_nothing_unsigned_since(self, at: int) -> None:
        """By the host's own log, the agent's channel aside."""
        self.assertEqual([r for r in self.lab.host_records()[at:] if not r.get("path", "").startswith("/secure-channel") and
                          r.get("outcome") != "verified"][:3], [])
