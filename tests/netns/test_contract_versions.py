# SPDX-License-Identifier: Apache-2.0
"""Agents of other contract versions (tests/contract) take each other's place under load, or refuse to.

MSP_UPGRADES says how often they change (ordinary run 6). The manager is a stand-in that keeps the listener, as systemd does.
"""
import os
import subprocess
import time
from collections import Counter
from pathlib import Path

from base import PROGRAMS, LabCase, number
from lab import http
from lab.lab import IMDS, ORDINARY_USER, stop
from lab.manager import Manager
from lab.world import poll

UPGRADES = number("MSP_UPGRADES", 6)
VERSIONS = "/metadata/versions"
SHIPPED, OTHERS = PROGRAMS.resolve(), PROGRAMS.resolve() / "tests" / "contract"
NEXT, ONEWAY, APART = OTHERS / "next", OTHERS / "oneway", OTHERS / "apart"
CLIENTS = 4


def ask_until(end: Path) -> tuple[Counter, float]:
    """A new connection for each request; what came of them, and the longest wait."""
    seen, worst, data = Counter(), 0.0, http.request_bytes(IMDS, VERSIONS, headers={"Connection": "close"})
    while not end.exists():
        begin = time.monotonic()
        try:
            with http.connect(IMDS) as connection:
                connection.sendall(data)
                answer = http.Reader(connection).answer()
            signed = answer.headers.get("x-ms-azure-host-authorization") == "value"
            seen["served" if answer.status == 200 and signed else f"{answer.status} {answer.code}"] += 1
        except OSError as error:
            seen[type(error).__name__] += 1
        worst = max(worst, time.monotonic() - begin)
    return seen, worst


class ContractVersions(LabCase):
    start_agent = False

    def setUp(self) -> None:
        self.manager = Manager(self.lab.folder / f"{self.id().rsplit('.')[-1][:40]}.sock")
        self.addCleanup(self.manager.close)
        self.addCleanup(self.uninstall)
        self.addCleanup(lambda: self.lab.agent and stop(self.lab.agent))
        self.serve_with(SHIPPED)
        self.unsigned_before = len(self.unsigned())

    def uninstall(self) -> None:
        subprocess.run([SHIPPED / "msp-agent", "--config", self.lab.agent_config_file, "uninstall"], check=True, capture_output=True)

    def begin(self, programs: Path) -> None:
        self.manager.said.clear()
        with open(self.lab.folder / "msp-agent.log", "ab") as log:
            self.lab.agent = self.manager.start(self.lab.agent_place, [programs / "msp-agent", "--config", self.lab.agent_config_file],
                                                {}, self.manager.kept, cwd="/", stdout=log, stderr=log)

    def serve_with(self, programs: Path) -> None:
        """Ready is said before the host has named the key: an agent that is stopped in between has nothing to sign with."""
        self.begin(programs)
        self.manager.wait_for("READY=1")
        self.lab.wait_served()

    def change_to(self, programs: Path) -> None:
        self.assertEqual(self.lab.stop_agent(), 0)
        self.serve_with(programs)
        self.assertEqual(os.readlink(f"/proc/{self.lab.worker_pid()}/exe"), str(programs / "msp-worker"))

    def refuse(self, programs: Path, *words: str) -> None:
        """It says why, ends, and leaves what is pinned and who is waiting to the next."""
        self.assertEqual(self.lab.stop_agent(), 0)
        hooks = sorted(os.listdir(self.pins / "links"))
        before = len(self.lab.log_of("msp-agent", 10_000))
        self.begin(programs)
        self.assertNotEqual(self.lab.agent.wait(10), 0)
        said = self.lab.log_of("msp-agent", 10_000)[before:]
        for word in (*words, "stays shut", "after a reboot"):
            self.assertIn(word, said)
        self.assertEqual(sorted(os.listdir(self.pins / "links")), hooks)

    @property
    def pins(self) -> Path:
        return self.lab.bpffs / "openmsp"

    def version(self) -> int:
        return self.lab.status()["contractVersion"]

    def may(self, programs: Path) -> tuple[int, str]:
        done = subprocess.run([programs / "msp-agent", "--config", self.lab.agent_config_file, "check-hooks"],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    def unsigned(self) -> list[dict]:
        return [r for r in self.lab.host_records() if r["outcome"] not in ("verified", "channel")]

    def load(self):
        """Returns a function that ends the load and says what came of it."""
        end = self.lab.folder / f"end-{self.id()}"
        children = [self.lab.guest.as_user(ORDINARY_USER).start(ask_until, end) for _ in range(CLIENTS)]

        def ended() -> tuple[Counter, float]:
            end.touch()
            results = [child.result() for child in children]
            return sum((seen for seen, _ in results), Counter()), max(worst for _, worst in results)
        return ended

    def assert_all_served(self, what: str, seen: Counter, worst: float) -> None:
        print(f"{what}: {dict(seen)}, longest wait {worst * 1000:.0f} ms", flush=True)
        self.assertEqual(set(seen), {"served"})
        self.assertGreater(seen["served"], 100)
        self.assertEqual(self.unsigned()[self.unsigned_before:][:3], [], "nothing unsigned reached the host")

    def test_up_and_down_under_load(self):
        ours, ended = self.version(), self.load()
        for change in range(UPGRADES):
            programs = (NEXT, SHIPPED)[change % 2]
            self.assertEqual(self.may(programs), (0, ""))
            self.change_to(programs)
            poll("the version that runs", lambda: self.version() == (ours + 1 if programs == NEXT else ours), 3)
            time.sleep(0.2)
        self.assert_all_served(f"{UPGRADES} changes of the contract version", *ended())

    def test_what_may_not_be_is_refused_and_nobody_gets_through(self):
        ours, ended = self.version(), self.load()
        self.assertEqual(self.may(APART)[0], 1)
        self.refuse(APART, f"contract version {ours}", f"of version {ours + 1}")
        self.serve_with(SHIPPED)
        with self.subTest("up, but not down again"):
            self.change_to(ONEWAY)
            self.assertEqual(self.may(SHIPPED)[0], 1)
            self.refuse(SHIPPED, f"contract version {ours + 1}", f"of version {ours}")
            self.serve_with(ONEWAY)
        time.sleep(0.5)
        self.assert_all_served("2 refusals and their mends", *ended())
        with self.subTest("from the other side"):
            self.assertEqual(self.lab.stop_agent(), 0)
            self.uninstall()
            self.serve_with(APART)
            self.refuse(SHIPPED, f"contract version {ours + 1}")
            self.uninstall()
            self.assertEqual(self.may(SHIPPED), (0, ""), "the remedy helps")
