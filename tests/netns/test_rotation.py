# SPDX-License-Identifier: Apache-2.0
"""The key is rotated again and again while programs ask without a pause (docs/channel.md, "Rotation"): none is refused.

MSP_ROTATIONS is how often (ordinary run 2; the long run 24: one a month for two years). MSP_SEED is that of the moments.
"""
import json
import os
import random
import time
from collections import Counter

from base import number
from lab import http
from lab.lab import GUEST_ADDRESS, IMDS, ORDINARY_USER, VM_ID, stop
from lab.world import poll
from modelled import VERSIONS, ModelledLab, model
from test_host_restart import ask_anew, ask_on

ROTATIONS = number("MSP_ROTATIONS", 2)
SEED = number("MSP_SEED", 11)
MOST_KEY_FILES = 9  # the agent keeps eight old ones


def ask_until(file: str, kept: bool) -> Counter:
    """Until the file is there."""
    seen: Counter = Counter()
    while not os.path.exists(file):
        until = time.time() + 0.5
        seen += ask_on(IMDS, VERSIONS, until, 0.002) if kept else ask_anew(IMDS, VERSIONS, until)
    return seen


class Rotation(ModelledLab):
    def setUp(self) -> None:
        if not json.loads(self.mspctl("vm", "list", "--json"))["value"]:
            self.mspctl("vm", "apply", self.file(model("vm-1", VM_ID, enabled=True, imds={"mode": "Enforce"})),
                        "--source-address", GUEST_ADDRESS)
        self.lab.start_agent()
        self.addCleanup(self.lab.stop_agent)

    def keys(self) -> tuple[str | None, str | None]:
        """The latched one, and the one that is on its way out."""
        machine = self.known("vm-1")
        return machine["keyGuid"], machine["keyOutgoing"]

    def test_a_rotation_under_load_refuses_nothing_and_a_reset_does(self):
        lab, chance = self.lab, random.Random(SEED)
        user, enough = lab.guest.as_user(ORDINARY_USER), lab.folder / "enough"
        began = len(lab.host_records())
        askers = [user.start(ask_until, str(enough), kept) for kept in (True, True, False)]
        keys, took = [self.keys()[0]], []
        for i in range(ROTATIONS):
            time.sleep(chance.random())
            begin = time.monotonic()
            self.mspctl("key", "rotate", "vm-1")
            poll("another key", lambda: (now := self.keys()[0]) is not None and now != keys[-1], 10, 0.005)
            took.append(time.monotonic() - begin)
            outgoing, keys = keys[-1], [*keys, self.keys()[0]]
            self.assertEqual(self.keys(), (keys[-1], outgoing))
            self.assertIn(f"key {outgoing} is on its way out", self.mspctl("key", "get", "vm-1"))
            again = self.mspctl("key", "rotate", "vm-1", code=1)
            self.assertIn("the key of vm-1 is being rotated", again)
            self.assertIn("-> wait until the agent has latched another", again)
            poll("the old key is over", lambda: self.keys()[1] is None, 30, 0.1)
        enough.touch()
        seen = sum((one.result() for one in askers), Counter())
        print(f"seed {SEED}: {ROTATIONS} rotations, the agent had another key after {sorted(took)[len(took) // 2] * 1000:.0f} ms "
              f"(median), {max(took) * 1000:.0f} ms (worst); requests: {dict(seen)}", flush=True)
        self.assertEqual([what for what in seen if what.startswith("failed")], [])
        self.assertGreater(seen["served"], 100 * ROTATIONS)
        self.assertEqual(len(set(keys)), ROTATIONS + 1)
        self.assertLessEqual(len(lab.key_files()), MOST_KEY_FILES)
        records = [r for r in lab.host_records()[began:] if r.get("path") == VERSIONS]
        self.assertEqual([r for r in records if r["outcome"] != "verified"][:3], [])
        self.assertGreaterEqual(len(records), seen["served"])

        # The same load, the one thing changed: a reset ends the key at once.
        enough.unlink()
        began = len(lab.host_records())
        askers = [user.start(ask_until, str(enough), kept) for kept in (True, False)]
        time.sleep(0.5)
        self.mspctl("key", "reset", "vm-1")
        poll("another key", lambda: self.keys()[0] not in (None, keys[-1]), 10, 0.005)
        poll("served again", lambda: user.call(http.get, IMDS, VERSIONS).status == 200, 10)
        enough.touch()
        seen = sum((one.result() for one in askers), Counter())
        self.assertTrue([what for what in seen if what.startswith("failed") and "401" in what], seen)
        self.assertEqual({r["reason"] for r in lab.host_records()[began:] if r.get("path") == VERSIONS and r["outcome"] == "refused"},
                         {"key_ended"})
        for _ in range(5):  # refusals of the dead key say nothing of the one that is in use
            self.assertEqual(user.call(http.get, IMDS, VERSIONS).status, 200)
            time.sleep(1)
            self.assertFalse(lab.status()["channel"]["keyRefused"])
            self.assertTrue(lab.status()["protected"], lab.status()["problems"])

    def test_a_rotated_key_is_dead_when_the_host_was_restarted_and_the_agent_gets_another(self):
        lab = self.lab
        before = self.keys()[0]
        stop(lab.agent)
        self.mspctl("key", "rotate", "vm-1")
        self.assertEqual(self.keys(), (None, before))
        stop(lab.host)
        lab.start_host()
        self.assertEqual(self.keys(), (None, None))
        lab.start_agent()
        self.assertNotIn(self.keys()[0], (None, before))
        self.assertEqual(lab.guest.as_user(ORDINARY_USER).call(http.get, IMDS, VERSIONS).status, 200)
