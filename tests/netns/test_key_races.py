# SPDX-License-Identifier: Apache-2.0
"""64 connections of one machine race for its key: one latch each round, and each loser is told why it has lost.

MSP_RACES says how many rounds (ordinary run 40, the long run 10,000: half an hour on a free machine), MSP_SEED repeats their kinds and
orders; how the machine interleaves the processes it cannot. Judged by what the connections were told, and in the end by the
database itself, which lies in memory here: who wins does not hang on how long a disk takes.
"""
import http.client
import json
import random
import socket
import sqlite3
import time
from collections import Counter
from contextlib import closing

from base import number
from key_racers import Said, Team
from lab.lab import GUEST_ADDRESS, VM_ID
from lab.world import run
from modelled import ModelledLab, model
from own_agent import Key

ROUNDS = number("MSP_RACES", 40)
SEED = number("MSP_SEED", 64)
CONNECTIONS, PROCESSES = 64, 4
PENDING = 16  # limits.pendingKeys, the default

# How a loser may be told; anything else is a fault. Who asks for a key when one is latched, who attests one that has died:
# by the latch of another, by the reset, or as the oldest of more than may be pending.
LATCHED, ENDED = ("acquire", 403, "key_latched"), ("attest", 401, "key_ended")


class AdminSocket(http.client.HTTPConnection):
    """What mspctl uses, without a process each time."""

    def __init__(self, path: str):
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self._path)

    def call(self, method: str, target: str) -> dict:
        self.request(method, target)
        answer = self.getresponse()
        document = json.loads(answer.read())
        if answer.status != 200:
            raise RuntimeError(f"{method} {target}: {answer.status} {document}")
        return document


class KeyRaces(ModelledLab):
    @classmethod
    def prepare(cls) -> None:
        super().prepare()
        state = cls.lab.folder / "host"
        run("mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", str(state))
        cls.lab.world.on_close(run, "umount", str(state))
        config = json.loads(cls.lab.host_config_file.read_text())
        cls.admin_socket = config["adminSocket"]

    def setUp(self) -> None:
        document = model("vm-1", VM_ID, enabled=True, keyIncarnationId=1, imds={"mode": "Enforce"}, wireServer={"mode": "Enforce"})
        self.mspctl("vm", "apply", self.file(document), "--source-address", GUEST_ADDRESS)
        self.admin = AdminSocket(self.admin_socket)
        self.addCleanup(self.admin.close)
        self.team = Team(self.lab.outside, PROCESSES, CONNECTIONS, SEED)
        self.addCleanup(self.team.close)
        self.guids: set[str] = set()
        self.secrets: set[bytes] = set()
        self.latches = 0
        self.told: Counter = Counter()

    def reset(self) -> None:
        self.admin.call("POST", "/v1/virtualMachines/vm-1/resetKey")

    # --- the kinds of rounds: what all connections were told ------------------------------------------------------

    def rush(self) -> list[Said]:
        """Each attests as soon as it has its key, while others still ask for theirs."""
        return self.team.all("acquire", True)

    def massed(self) -> list[Said]:
        """All have a key before the first attests; all but the newest have died of the bound."""
        return self.team.all("acquire", False) + self.team.all("attest_own")

    def one_key(self) -> list[Said]:
        """A key is attested on every connection: each is told that it is good, for it is."""
        said = self.team.one("acquire", False)
        key = next(Key(s.guid, s.secret) for s in reversed(said) if s.guid)
        again = self.team.all("attest_one", key)
        self.assertEqual({(s.status, s.guid) for s in again}, {(200, key.guid)})
        return said + again

    def while_reset(self) -> list[Said]:
        """The operator resets the key in the middle of a rush."""
        return self.team.all("acquire", True, meanwhile=self.reset)

    # --- judged -----------------------------------------------------------------------------------------------------

    def judge(self, said: list[Said], was_reset: bool) -> None:
        keys = {s.guid: s for s in said if s.asked == "acquire" and s.status == 200}
        handed_out = [s for s in said if s.asked == "acquire" and s.status == 200]
        self.assertEqual(len(keys), len(handed_out), "a guid was handed out twice")
        for key in handed_out:
            self.assertNotIn(key.guid, self.guids, "a guid of an earlier round")
            self.assertNotIn(key.secret, self.secrets, "a key of an earlier round, or twice")
            self.guids.add(key.guid)
            self.secrets.add(key.secret)
        winners = {s.guid for s in said if s.asked == "attest" and s.status == 200}
        incarnations = Counter(keys[guid].incarnation for guid in winners)
        self.assertEqual([n for n in incarnations.values() if n != 1], [], f"latched of one incarnation: {winners}")
        self.assertIn(len(winners), {1, 2, 0} if was_reset else {1})
        losers = [s for s in said if s.status != 200]
        self.assertEqual({(s.asked, s.status, s.code) for s in losers} - {LATCHED, ENDED}, set())
        self.told.update(f"{s.asked} {s.code or s.status}" for s in said)
        self.latches += len(winners)
        newest = max((keys[guid].incarnation for guid in winners), default=0)
        self.judge_host(next((keys[guid] for guid in winners if keys[guid].incarnation == newest), None),
                        [keys[guid] for guid in keys if guid not in winners], was_reset)

    def judge_host(self, winner: Said | None, losers: list[Said], was_reset: bool) -> None:
        """What the host says is latched signs, and a key that has lost does not."""
        latched = self.team.one("latched")
        if not was_reset:
            self.assertEqual(latched, winner.guid)
        self.assertIn(latched, {None, winner.guid if winner else None})
        if latched is not None:
            self.assertEqual(self.team.one("ask", Key(winner.guid, winner.secret)), (200, ""))
        if losers:
            loser = losers[0]
            # After a reset in the middle a key may have come too late to lose: nobody has attested it yet.
            expected = {(401, "key_ended")} | ({(401, "key_not_latched")} if was_reset else set())
            self.assertIn(self.team.one("ask", Key(loser.guid, loser.secret)), expected)

    def judge_database(self) -> None:
        """Of a key that was ever latched the signer of statuses stays, so that the file itself says how many there were."""
        self.lab.host.terminate()
        self.lab.host.wait(10)
        with closing(sqlite3.connect(f"file:{self.lab.folder}/host/host.db?mode=ro", uri=True)) as database:
            kept, = database.execute("SELECT count(*) FROM vm_key WHERE state<>0 AND signer<>x''").fetchone()
            guids = {guid for guid, in database.execute("SELECT guid FROM vm_key WHERE state=1 OR signer<>x''")}
            pending, = database.execute("SELECT count(*) FROM vm_key WHERE state=0").fetchone()
        self.assertEqual(kept, self.latches)
        self.assertLessEqual(pending, PENDING)
        self.assertEqual(guids - self.guids, set(), "a key in the database that nobody was given")

    def test_one_latch_a_round(self):
        chance, begin, kinds = random.Random(SEED), time.monotonic(), Counter()
        for round_number in range(ROUNDS):
            kind = chance.choice([self.rush, self.rush, self.massed, self.one_key, self.while_reset])
            kinds[kind.__name__] += 1
            with self.subTest(round=round_number, kind=kind.__name__):
                self.judge(kind(), kind == self.while_reset)
            self.reset()
        self.judge_database()
        print(f"seed {SEED}: {ROUNDS} rounds of {CONNECTIONS} connections ({dict(kinds)}) in {time.monotonic() - begin:.0f} s: "
              f"{len(self.guids)} keys handed out, none twice; {self.latches} latched; told: {dict(sorted(self.told.items()))}",
              flush=True)
        self.assertEqual(len(kinds), 4)
        # A race that always ends the same way is none: both ways to lose occurred.
        self.assertTrue(self.told["acquire key_latched"] and self.told["attest key_ended"], self.told)
