# SPDX-License-Identifier: Apache-2.0
"""How soon a change of a model decides a request, at a poll interval of an hour: only the long poll can bring it.

MSP_CHANGES (10) is how many changes are made, MSP_SEED (1) the seed of the pauses between them: some changes come while
the agent waits at the host, some in the moment after the last change, in which it does not. No time is asserted; they
are printed.
"""
import random
import select
import statistics
import subprocess
import time

from base import number
from callers import PYTHON
from lab.lab import GUEST_ADDRESS, ORDINARY_USER, VM_ID
from modelled import ModelledLab, model, profile, version_id

CHANGES = number("MSP_CHANGES", 10)
SEED = number("MSP_SEED", 1)
PATIENCE = 20.0  # seconds, for a change to arrive: less than a poll is held
# Asks without pause, each time on a connection of its own, and says when the answer is another than the one before.
PROBER = r"""
import socket, time
last = None
while True:
    with socket.create_connection(("169.254.169.254", 80), 5) as connection:
        connection.sendall(b"GET /metadata/versions HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\nConnection: close\r\n\r\n")
        status = connection.recv(4096)[9:12].decode()
        at = time.monotonic()
    if status != last:
        print(at, status, flush=True)
        last = status
    time.sleep(0.001)
"""


class LongPoll(ModelledLab):
    agent_config = {"openmsp": {"pollIntervalMilliseconds": 3_600_000}}

    def test_a_change_decides_at_once_although_the_interval_is_an_hour(self):
        lab = self.lab
        refers = {"inVMAccessControlProfileReferenceId": version_id("P")}
        self.mspctl("profile", "apply", self.file(profile("P", ORDINARY_USER)))
        self.mspctl("vm", "apply", self.file(model("vm-1", VM_ID, enabled=True, imds=refers)), "--source-address", GUEST_ADDRESS)
        lab.start_agent()
        files = {}
        for user, status in ((ORDINARY_USER, "200"), ("root", "403")):
            files[status] = self.file(profile("P", user)).rename(lab.folder / f"{user}.json")
        prober = lab.guest.as_user(ORDINARY_USER).popen([PYTHON, "-c", PROBER], stdout=subprocess.PIPE, text=True, cwd="/")
        self.addCleanup(prober.stdout.close)
        self.addCleanup(prober.wait)
        self.addCleanup(prober.kill)

        def said() -> list[str]:
            self.assertTrue(select.select([prober.stdout], [], [], PATIENCE)[0], "no other answer came")
            return prober.stdout.readline().split()
        self.assertEqual(said()[1], "200")
        took, pauses = [], random.Random(SEED)
        for i in range(CHANGES):
            wanted = "403" if i % 2 == 0 else "200"
            time.sleep(pauses.uniform(0, 0.25))
            begun = time.monotonic()
            self.mspctl("profile", "apply", files[wanted])
            at, status = said()
            self.assertEqual(status, wanted, f"change {i}: one change, one other answer")
            took.append((float(at) - begun) * 1000)
        polls = sum(record.get("path") == "/secure-channel/status" for record in lab.host_records())
        print(f"seed {SEED}: {CHANGES} changes by mspctl profile apply, to the first request decided by the new rules: "
              f"median {statistics.median(took):.1f} ms, worst {max(took):.1f} ms; {polls} polls ", end="", flush=True)
        # Every change costs one poll, and a poll that is held is not made again before its time.
        self.assertLessEqual(polls, CHANGES + 10 + CHANGES // 10)
