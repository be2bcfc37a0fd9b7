# SPDX-License-Identifier: Apache-2.0
"""Who asked is who connected, by the real agent's audit log, whatever becomes of the client: it hands the socket on, becomes another
program, or is gone before the connection is accepted, and its pid comes back at once as another user's.

The judge is the table of who was really started (identity_driver.py). In every other round agent and worker are stopped (SIGSTOP)
until the clients are gone. MSP_CONNECTIONS says how many (ordinary run 600), MSP_SEED repeats a run.
"""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from base import PROGRAMS, LabCase, number
from lab.world import poll

CONNECTIONS = number("MSP_CONNECTIONS", 600)
SEED = number("MSP_SEED", 7)
ROUND, FIRST_PORT = 100, 10000
RECEIVER_UID = 22000
DRIVER = Path(__file__).parent / "identity_driver.py"
CLIENT = PROGRAMS / "tests" / "bpf" / "identity_client"
SERVICE = {("169.254.169.254", 80): "imds", ("168.63.129.16", 80): "wireserver", ("168.63.129.16", 32526): "hostga"}
TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")


def speak_for_others() -> None:
    """Takes sockets that clients hand on, and sends the request that they would have sent."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind("\0msp-receiver")
        while True:
            _, descriptors, _, _ = socket.recv_fds(inbox, 1, 1)
            with socket.socket(fileno=descriptors[0]) as handed:
                port, host = handed.getsockname()[1], handed.getpeername()[0]
                handed.sendall(f"GET /metadata/versions?from={port} HTTP/1.1\r\nHost: {host}\r\nMetadata: true\r\n"
                               "Connection: close\r\n\r\n".encode())


class Identity(LabCase):
    # As fast as they can, which is not what limits are tested with.
    agent_config = {"openmsp": {"auditKeepFiles": 100}}

    def setUp(self) -> None:
        lab = self.lab
        receiver = lab.guest.as_user(RECEIVER_UID).start(speak_for_others)
        self.addCleanup(receiver.kill)
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        self.driver = lab.guest.popen(["unshare", "--pid", "--fork", "--kill-child", sys.executable, DRIVER, CLIENT.resolve(), folder, SEED],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end_driver)

    def end_driver(self) -> None:
        self.driver.stdin.close()
        self.driver.wait(10)
        self.driver.stdout.close()

    def batch(self, first: int, count: int, delayed: bool) -> list[dict]:
        stopped = (self.lab.agent.pid, self.lab.worker_pid()) if delayed else ()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            self.driver.stdin.write(f"{first} {count}\n")
            self.driver.stdin.flush()
            return json.loads(self.driver.stdout.readline())
        finally:
            for pid in reversed(stopped):
                os.kill(pid, signal.SIGCONT)

    def records(self) -> dict[int, dict]:
        found = {}
        for record in self.lab.audit_records():
            if asked := re.search(r"from=(\d+)", record.get("target") or ""):
                self.assertNotIn(int(asked[1]), found, "two records for one request")
                found[int(asked[1])] = record
        return found

    def test_nobody_is_taken_for_another(self):
        table, delayed, pids = [], 0, Counter()
        for turn, done in enumerate(range(0, CONNECTIONS, ROUND)):
            count = min(ROUND, CONNECTIONS - done)
            table += self.batch(FIRST_PORT + done, count, turn % 2 == 1)
            delayed += count if turn % 2 else 0
        self.assertEqual([entry for entry in table if entry["status"] != 0], [])
        records = poll("a record of each", lambda: len(found := self.records()) == len(table) and found, 30)
        wrong = []
        for entry in table:
            record = records[entry["port"]]
            said = (record["uid"], record["gid"], record["pid"], record["start_time_ns"] // TICK_NS, record["exe"], record["service"])
            true = (entry["uid"], entry["gid"], entry["pid"], entry["start_ticks"], entry["exe"], SERVICE[entry["address"], entry["at"]])
            if said != true:
                wrong.append((entry["way"], said, true))
            pids[entry["pid"]] += 1
        reused = sum(pids.values()) - len(pids)
        print(f"seed {SEED}: {len(table)} connections of {len({entry['uid'] for entry in table})} users, {delayed} of them accepted when "
              f"their clients were gone, {reused} pids reused, ways {dict(Counter(entry['way'] for entry in table))}; misattributed "
              f"{len(wrong)}, unattributed {len(table) - len(records)}", flush=True)
        self.assertEqual(wrong[:5], [])
        self.assertGreater(reused, 0.9 * len(table))
