#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The package under a real systemd: booted_service.py --programs DIR --root ROOT --packages DIR [--only PATTERN].

PACKAGES holds two versions of ours. ROOT is a Debian 12 root (scripts/service-check makes both) whose own systemd runs as process 1 of its namespaces, on a copy
that is thrown away. The package is installed into it before it boots, as an image builder does. Clients run beside it, in
the guest's network and below the cgroup in which it booted. Too long for the ordinary run, so no module of it.
"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest
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
        for kind in ("agent", "host"):
            for name, file in zip(("first", "second"), sorted(ARGUMENTS.packages.glob(f"openmsp-{kind}_*.deb")), strict=True):
                shutil.copy(file, cls.root.path / f"root/{kind}-{name}.deb")
        cls.units_root = cls.lab.world.cgroup("guest", "booted")
        cls.clients = Place(cls.lab.guest_netns, cls.lab.world.cgroup("guest", "booted", "clients"))
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

    def pinned(self) -> bool:
        return self.run_inside("test", "-e", f"{PINS}/links/connect4").returncode == 0

    def assert_nothing_unsigned_since(self, at: int) -> None:
        """By the host's own log, the agent's channel aside."""
        self.assertEqual([r for r in self.lab.host_records()[at:] if not r.get("path", "").startswith("/secure-channel") and
                          r.get("outcome") != "verified"][:3], [])


class Service(Booted):
    def test_1_started_at_boot(self):
        poll("served", self.served, 20)
        self.assertEqual(self.show("ActiveState"), "active")
        self.assertEqual(self.show("UnitFileState"), "enabled")
        self.assertEqual(self.show("NFileDescriptorStore"), "1")
        self.assertRegex(self.show("StatusText"), "^latched")
        self.assertEqual(self.must("azure-proxy-agent", "--status", "--wait", "20"), "")
        self.assertEqual(self.show("ActiveState", "azure-proxy-agent.service"), "active", "the existing agent's name")
        status = json.loads(self.inside("mspctl", "status", "--json"))
        self.assertTrue(status["protected"], status["problems"])
        self.assertEqual(self.must("systemd-analyze", "verify", UNIT, RETRY), "")
        order = self.inside("systemctl", "show", "-P", "Before", UNIT)
        self.assertIn("network-pre.target", order)
        resident = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.main_pid()}/status").read_text())[1])
        capabilities = re.search(r"CapBnd:\s+(\w+)", Path(f"/proc/{self.main_pid()}/status").read_text())[1]
        print(f"  resident {resident} kB, capabilities {capabilities}; {self.inside('systemd-analyze', 'security', UNIT).splitlines()[-1]}")
        self.assertLessEqual(resident, 9 * 1024)

    def test_2_restarts_under_load_lose_nothing(self):
        poll("served", self.served, 20)
        at, pid = len(self.lab.host_records()), self.main_pid()
        with Load(self) as load:
            for _ in range(ARGUMENTS.restarts):
                self.must("systemctl", "reset-failed", UNIT)
                self.must("systemctl", "restart", UNIT)
                self.assertNotEqual(self.main_pid(), pid)
                pid = self.main_pid()
                time.sleep(0.1)
        self.assertEqual(load.lost, 0, load.seen)
        self.assertGreater(load.seen["served"], 50 * ARGUMENTS.restarts)
        self.assert_nothing_unsigned_since(at)
        self.assertEqual(self.show("NFileDescriptorStore"), "1")

    def test_3_killed_it_comes_back(self):
        poll("served", self.served, 20)
        at = len(self.lab.host_records())
        with Load(self) as load:
            for _ in range(5):
                self.must("systemctl", "reset-failed", UNIT)
                pid = self.main_pid()
                os.kill(pid, signal.SIGKILL)
                begin = time.monotonic()
                poll("a new one", lambda: self.started_anew(pid), 5)
                self.assertLess(time.monotonic() - begin, 1.0)
        self.assertLessEqual(load.lost, 5 * 4, "at most what was in flight")
        self.assertEqual([what for what in load.seen if "refused" in what.lower()], [])
        self.assert_nothing_unsigned_since(at)

    def test_4_stopped_the_gate_is_shut(self):
        poll("served", self.served, 20)
        self.must("systemctl", "stop", UNIT)
        answer = self.ask()
        self.assertIn("ConnectionRefused", answer.error)
        self.assertLess(answer.seconds, 0.5, "refused at once")
        self.assertTrue(self.pinned())
        self.assertEqual(self.show("NFileDescriptorStore"), "0")
        self.must("systemctl", "start", UNIT)
        poll("served", self.served, 20)

    def test_5_the_watchdog_ends_one_that_stands_still(self):
        poll("served", self.served, 20)
        pid = self.main_pid()
        os.kill(pid, signal.SIGSTOP)
        begin = time.monotonic()
        poll("a new one", lambda: self.started_anew(pid), 20)
        print(f"  {time.monotonic() - begin:.1f} s until a new one served")
        poll("served", self.served, 20)
        self.assertIn("watchdog", self.inside("journalctl", "-u", UNIT, "--no-pager", "-n", "20").lower())

    def test_6_a_hang_at_start_is_bounded_and_tried_again(self):
        poll("served", self.served, 20)
        self.must("mkdir", "-p", os.path.dirname(DROP_IN))
        self.must("sh", "-c", f"printf '[Service]\\nExecStart=\\nExecStart=/bin/sleep 1000\\n' >{DROP_IN}")
        self.must("systemctl", "daemon-reload")
        begin = time.monotonic()
        self.must("systemctl", "restart", "--no-block", UNIT)
        poll("it hangs", lambda: self.show("ActiveState") == "activating", 5)
        answer = self.ask()
        held = time.monotonic() - begin
        print(f"  refused after {held:.1f} s: {answer.error}")
        self.assertEqual(answer.status, 0)
        self.assertLess(held, 9)
        poll("the unit has failed: the retry unit takes over", lambda: self.show("ActiveState") == "failed", 5)
        self.assertIn("ConnectionRefused", self.ask().error)
        poll("the retry waits", lambda: self.show("ActiveState", RETRY) == "activating", 3)
        with self.subTest("stopped by hand: no further try"):
            self.must("systemctl", "stop", UNIT)
            poll("it is called off", lambda: self.show("ActiveState", RETRY) == "inactive", 3)
        self.inside("systemctl", "reset-failed", UNIT)
        self.must("systemctl", "start", "--no-block", UNIT)
        poll("given up again", lambda: self.show("ActiveState", RETRY) == "activating", 12)
        self.must("rm", DROP_IN)
        self.must("systemctl", "daemon-reload")
        poll("it is back by itself", self.served, 45)
        self.assertEqual(self.show("ActiveState"), "active")


class Package(Booted):
    CONFIG = "/etc/azure/proxy-agent.json"

    def test_1_an_upgrade_loses_nothing_and_keeps_what_was_edited(self):
        poll("served", self.served, 20)
        edited = json.loads(self.inside("cat", self.CONFIG)) | {"pollKeyStatusIntervalInSeconds": 5}
        self.must("sh", "-c", f"cat >{self.CONFIG} <<'END'\n{json.dumps(edited)}\nEND")
        at, pid = len(self.lab.host_records()), self.main_pid()
        with Load(self) as load:
            for name in ("second", "first", "second"):
                self.must("dpkg", "--force-confold", "-i", f"/root/agent-{name}.deb")
                self.assertNotEqual(self.main_pid(), pid)
                pid = self.main_pid()
        self.assertEqual(load.lost, 0, load.seen)
        self.assertGreater(load.seen["served"], 100)
        self.assert_nothing_unsigned_since(at)
        self.assertEqual(json.loads(self.inside("cat", self.CONFIG)), edited)
        self.assertEqual(self.inside("dpkg-query", "-W", "-f", "${Version}", "openmsp-agent"), "0.0.2")

    def test_2_one_that_was_stopped_or_disabled_stays_so(self):
        self.must("systemctl", "disable", "--now", UNIT)
        self.must("dpkg", "-i", "/root/agent-first.deb")
        self.assertEqual(self.show("ActiveState"), "inactive")
        self.assertEqual(self.show("UnitFileState"), "disabled")
        self.assertTrue(self.pinned())
        self.assertIn("ConnectionRefused", self.ask().error, "the gate stays shut")
        self.must("systemctl", "enable", "--now", UNIT)
        poll("served", self.served, 20)

    def test_3_removed_nothing_is_hooked_and_the_key_stays(self):
        poll("served", self.served, 20)
        keys = self.inside("ls", "/var/lib/azure-proxy-agent/keys")
        self.assertIn(".key", keys)
        self.must("dpkg", "-r", "openmsp-agent")
        self.assertNotEqual(self.run_inside("test", "-e", PINS).returncode, 0, "the hooks are gone")
        answer = self.ask()
        self.assertIn(answer.status, (401, 403), f"the host itself refuses: {answer}")
        self.assertNotIn(ENDORSED, answer.headers)
        self.assertEqual(self.show("LoadState"), "not-found")
        self.must("test", "-e", self.CONFIG)
        self.assertEqual(self.inside("ls", "/var/lib/azure-proxy-agent/keys"), keys)
        self.must("dpkg", "-i", "/root/agent-first.deb")
        poll("served, with the key that was there", self.served, 20)
        self.assertEqual(self.inside("ls", "/var/lib/azure-proxy-agent/keys"), keys)

    def test_4_removed_while_it_is_stopped(self):
        self.must("systemctl", "stop", UNIT)
        self.assertTrue(self.pinned())
        self.must("dpkg", "-r", "openmsp-agent")
        self.assertNotEqual(self.run_inside("test", "-e", PINS).returncode, 0, "the hooks are gone")
        self.must("dpkg", "-i", "/root/agent-first.deb")
        poll("served", self.served, 20)

    def test_5_a_broken_configuration_does_not_keep_it(self):
        self.must("sh", "-c", f"echo '{{' >{self.CONFIG}")
        self.assertNotEqual(self.run_inside("systemctl", "restart", UNIT).returncode, 0)
        self.must("dpkg", "-r", "openmsp-agent")
        self.assertNotEqual(self.run_inside("test", "-e", PINS).returncode, 0, "the hooks are gone")

    def test_6_purged_nothing_is_left(self):
        self.must("dpkg", "-P", "openmsp-agent")
        for path in (self.CONFIG, "/var/lib/azure-proxy-agent", "/var/log/azure-proxy-agent", "/var/log/openmsp", "/run/openmsp",
                     "/usr/sbin/azure-proxy-agent", PINS, f"/etc/systemd/system/multi-user.target.wants/{UNIT}",
                     "/etc/systemd/system/azure-proxy-agent.service"):
            self.assertNotEqual(self.run_inside("test", "-e", path).returncode, 0, path)
            self.assertNotEqual(self.run_inside("test", "-L", path).returncode, 0, path)
        self.assertEqual(self.inside("sh", "-c", "find / -xdev -name '*openmsp*' -not -path '/proc/*' -not -path '/root/*'"
                                     " -not -path '/sys/*' -not -path '/var/lib/dpkg/*'"), "")

    def test_7_the_hosts_package(self):
        self.must("dpkg", "-i", "/root/host-first.deb")
        self.assertEqual(self.show("ActiveState", HOST), "inactive", "nothing says yet what it shall serve")
        self.must("sh", "-c", "mkdir /etc/msp-host && cp /usr/share/doc/openmsp-host/msp-host.example* /etc/msp-host")
        config = {"listeners": [{"address": "127.0.0.2", "port": 8080, "service": "wireserver"}],
                  "accessLog": "/var/log/msp-host/access.jsonl", "accessControlProfiles": ["msp-host.example.profiles.json"],
                  "virtualMachines": [{"model": "msp-host.example.vm.json", "sourceAddresses": ["127.0.0.1"]}]}
        self.must("sh", "-c", f"echo '{json.dumps(config)}' >/etc/msp-host/msp-host.json")
        self.must("systemctl", "enable", "--now", HOST)
        answers = ("curl", "-sf", "http://127.0.0.2:8080/secure-channel/status", "-H", "Metadata: true")
        poll("it answers", lambda: self.run_inside(*answers).returncode == 0, 5)
        pid = self.show("MainPID", HOST)
        self.must("dpkg", "-i", "/root/host-second.deb")
        poll("the next version answers", lambda: self.run_inside(*answers).returncode == 0, 5)
        self.assertNotEqual(self.show("MainPID", HOST), pid)
        self.must("dpkg", "-P", "openmsp-host")
        self.assertNotEqual(self.run_inside(*answers).returncode, 0)
        self.assertNotEqual(self.run_inside("test", "-e", "/var/lib/msp-host").returncode, 0)


if __name__ == "__main__":
    loader = unittest.defaultTestLoader
    cases = [case for group in (Service, Package) for case in loader.loadTestsFromTestCase(group)
             if ARGUMENTS.only in case.id()]
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=1).run(unittest.TestSuite(cases))
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if cases and result.wasSuccessful() and not result.skipped else 1)
