# SPDX-License-Identifier: Apache-2.0
"""The agent under a service manager: when it says ready, what it leaves with it, and when its heart stops.

The manager is a stand-in (lab/manager.py) that hears and keeps what systemd would; scripts/service-check has the real one.
"""
import ctypes
import json
import os
import pwd
import signal
import socket
import time
from pathlib import Path

from base import LabCase
from lab import http
from lab.lab import IMDS, ORDINARY_USER, stop
from lab.manager import Manager
from lab.world import poll

VERSIONS = "/metadata/versions"
LISTENER = ("127.0.0.1", 3080)
PTRACE_ATTACH, PTRACE_DETACH, WAIT_ALL = 16, 17, 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class StoppedThread:
    """One thread of another process stands still; the others run on."""

    def __init__(self, tid: int):
        self.tid = tid

    def __enter__(self) -> None:
        if _LIBC.ptrace(PTRACE_ATTACH, self.tid, None, None) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")
        os.waitpid(self.tid, WAIT_ALL)

    def __exit__(self, *_) -> None:
        _LIBC.ptrace(PTRACE_DETACH, self.tid, None, None)


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


class Service(LabCase):
    start_agent = False

    def setUp(self) -> None:
        self.manager = Manager(self.lab.folder / f"{self.id().rsplit('.')[-1][:40]}.sock")
        self.addCleanup(self.manager.close)
        self.addCleanup(lambda: self.lab.agent and stop(self.lab.agent))

    def start(self, passed: dict | None = None, **environment) -> None:
        with open(self.lab.folder / "msp-agent.log", "ab") as log:
            argv = [self.lab.programs / "msp-agent", "--config", self.lab.agent_config_file]
            self.lab.agent = self.manager.start(self.lab.agent_place, argv, environment, passed or {}, cwd="/", stdout=log,
                                                stderr=log)

    def ready(self) -> None:
        self.manager.wait_for("READY=1")

    def test_ready_means_ready_and_stopping_is_told(self):
        self.start()
        self.ready()
        # At once, without a word in between: redirected, held until there is a key, and served.
        self.assertEqual(self.lab.guest_get(VERSIONS).headers.get("x-ms-azure-host-authorization"), "value")
        order = [message.split("\n")[0] for message in self.manager.said if not message.startswith("STATUS")]
        self.assertEqual(order, ["FDSTORE=1", "BARRIER=1", "READY=1"])
        self.assertIn("latched", self.manager.wait_for("STATUS=latched"))
        self.lab.agent.terminate()
        self.manager.wait_for("STOPPING=1")
        self.assertEqual(self.lab.agent.wait(10), 0)

    def test_the_next_agent_serves_who_came_in_between(self):
        self.start()
        self.ready()
        self.lab.wait_served()
        uid = pwd.getpwnam(ORDINARY_USER).pw_uid
        [(name, kept)] = self.manager.kept.items()
        self.assertRegex(name, r"^l-\d+$")
        self.assertEqual(kept.getsockname(), LISTENER)
        for end in ("kill", "stop"):
            with self.subTest(end):
                self.lab.kill_agent() if end == "kill" else self.lab.stop_agent()
                waiting = [self.lab.guest.as_user(ORDINARY_USER).start(http.get, IMDS, VERSIONS) for _ in range(20)]
                before = len(self.lab.audit_records())
                time.sleep(0.2)  # they wait in the queue of the listener
                self.manager.said.clear()
                self.start({name: kept})
                for child in waiting:
                    answer = child.result()
                    self.assertEqual((answer.status, answer.headers.get("x-ms-azure-host-authorization")), (200, "value"))
                self.ready()
                self.assertNotIn("FDSTORE=1", "\n".join(self.manager.said), "it is kept already")
                poll("audit records of those who waited, who are known", lambda: sum(
                    r.get("uid") == uid for r in self.lab.audit_records()[before:]) == len(waiting), 3)

    def test_what_is_not_its_listener_is_not_taken(self):
        self.start()
        self.ready()
        [name] = self.manager.kept
        self.lab.stop_agent()
        self.manager.forget(name)

        def listening(port: int) -> socket.socket:
            made = socket.create_server(("127.0.0.1", port))
            self.addCleanup(made.close)
            return made
        silent = socket.socket()
        self.addCleanup(silent.close)
        # The first lives in this process's network namespace.
        for what, passed in (("another network namespace", {name: listening(3080)}), ("does not listen", {name: silent}),
                             ("", {"l-1": listening(0)})):
            with self.subTest(what):
                self.manager.said.clear()
                self.start(passed)
                self.ready()
                self.lab.wait_served()
                self.assertIn(f"FDSTOREREMOVE=1\nFDNAME={next(iter(passed))}", self.manager.said)
                self.assertEqual(self.manager.kept[name].getsockname(), LISTENER, "a new one is kept in its place")
                self.assertIn(f"not taken over: it {what}" if what.startswith("does") else what, self.lab.log_of("msp-agent"))
                self.lab.stop_agent()
                self.manager.forget(name)

    def test_a_listener_that_was_shut_down_is_bound_again(self):
        self.start()
        self.ready()
        self.lab.wait_served()
        [(name, kept)] = self.manager.kept.items()
        dead = kept.dup()
        self.addCleanup(dead.close)
        dead.shutdown(socket.SHUT_RDWR)
        self.manager.wait_for("FDSTORE=1")
        self.manager.wait_for("BARRIER=1")
        self.assertEqual(self.manager.kept[name].getsockname(), LISTENER)
        poll("served again", lambda: self.lab.guest_get(VERSIONS).status == 200, 3)
        before = cpu_ticks(self.lab.agent.pid)
        time.sleep(0.5)
        self.assertLess(cpu_ticks(self.lab.agent.pid) - before, 10, "the dead one keeps nobody busy")

    def test_the_heart_beats_while_both_loops_answer(self):
        self.start(WATCHDOG_USEC="400000")
        self.ready()
        self.lab.wait_served()
        for _ in range(5):
            self.manager.wait_for("WATCHDOG=1", 0.4)
        for process in ("worker", "monitor"):
            with self.subTest(process):
                with StoppedThread(self.lab.worker_pid() if process == "worker" else self.lab.agent.pid):
                    time.sleep(0.2)
                    self.manager.drain()
                    self.assertTrue(self.manager.silent_about("WATCHDOG=1", 0.6))
                self.manager.wait_for("WATCHDOG=1", 2)

    def test_reload(self):
        """What it takes over at once, what it says of the rest, and that a broken configuration changes nothing."""
        self.start()
        self.ready()
        self.lab.wait_served()
        config, file = self.lab.agent_config_file.read_text(), self.lab.folder / "agent" / "log" / "status.json"
        self.addCleanup(self.lab.agent_config_file.write_text, config)
        pid, said = self.lab.agent.pid, lambda: self.lab.log_of("msp-agent", 10_000)

        def reload(text: str) -> str:
            """What is logged meanwhile."""
            before = len(said())
            self.lab.agent_config_file.write_text(text)
            self.manager.said.clear()
            self.lab.agent.send_signal(signal.SIGHUP)
            self.manager.wait_for("RELOADING=1")
            self.manager.wait_for("READY=1")
            return said()[before:]

        def with_ours(**changes) -> str:
            document = json.loads(config)
            return json.dumps(document | {"openmsp": document["openmsp"] | changes})

        with self.subTest("taken over"):
            at = file.stat().st_mtime_ns
            self.assertNotIn("warn", reload(with_ours(statusIntervalSeconds=1)))
            for _ in range(3):
                at = poll("status.json is written each second", lambda: file.stat().st_mtime_ns > at and
                          file.stat().st_mtime_ns, 3)
            reload(with_ours(logLevel="error"))
            self.assertEqual(reload(with_ours(logLevel="error")), "", "no line below errors any more")
            self.assertIn("read again", reload(with_ours()))
        with self.subTest("waits for a restart"):
            self.assertIn("take effect with the next start", reload(with_ours(limits={"maxConnections": 5})))
        with self.subTest("broken"):
            for text in ("{", with_ours(unknown=1)):
                self.assertIn("not reloaded, the configuration stays as it was", reload(text))
                self.lab.wait_served()
        self.assertEqual(self.lab.agent.pid, pid)
        self.assertIsNone(self.lab.agent.poll())

    def test_no_heart_without_a_watchdog(self):
        self.start()
        self.ready()
        self.assertTrue(self.manager.silent_about("WATCHDOG=1", 0.5))
