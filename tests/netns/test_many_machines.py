# SPDX-License-Identifier: Apache-2.0
"""Many machines are enabled in one moment and latch at once, while models change, keys are reset and the host is killed and
restarted: each ends with a key of its own that it alone ever had.

MSP_MACHINES says how many (ordinary run 60, three of them real agents with namespaces of their own; the long run 1,000 with
20), MSP_SEED repeats the changes. The others are the agent's own channel code over TCP from an address each.
"""
import json
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from contextlib import closing

from base import PROGRAMS, number
from lab import http
from lab.lab import IMDS
from lab.world import poll
from machines import Fleet, machine_model
from modelled import VERSIONS, ModelledLab, profile, version_id

MACHINES = number("MSP_MACHINES", 60)
REAL = max(3, MACHINES // 50)
SEED = number("MSP_SEED", 1000)
PATIENCE = 30 + MACHINES // 4  # seconds, for all to have latched
INTERVAL_MS = 1000


class Changer(threading.Thread):
    """The operator: resets keys and changes models without pause. Knows what the host last said of each machine."""

    def __init__(self, case: "ManyMachines", addresses: list[str]):
        super().__init__()
        self._case, self._addresses = case, addresses
        self._chance = random.Random(SEED)
        self._ended = threading.Event()
        self.incarnations = dict.fromkeys(range(len(addresses)), 1)
        self.done: Counter = Counter()
        self.fault = ""

    def model(self, machine: int, **imds) -> dict:
        return machine_model(machine, self._addresses[machine], enabled=True, keyIncarnationId=self.incarnations[machine],
                             imds={"mode": "Enforce", **imds}, wireServer={"mode": "Enforce"})

    def run(self) -> None:
        try:
            while not self._ended.is_set():
                self._change()
                self._ended.wait(0.02)
        except Exception as error:  # of a thread: the test says it
            self.fault = f"{type(error).__name__}: {error}"

    def finish(self) -> None:
        self._ended.set()
        self.join(60)

    def _change(self) -> None:
        machines = self._chance.sample(sorted(self.incarnations), 5)
        if self._chance.random() < 0.5:
            code = self._case.try_mspctl("key", "reset", f"vm-{machines[0]}")
            self._settled("reset", machines[:1], code, 1)
        else:
            other = self._chance.choice([{"mode": "Audit"}, {"inVMAccessControlProfileReferenceId": version_id("P")}])
            code = self._case.try_mspctl("vm", "apply", self._case.file([self.model(machine, **other) for machine in machines]))
            self._settled("apply", machines, code, 0)

    def _settled(self, what: str, machines: list[int], code: int, raised: int) -> None:
        """A host that was killed in between may have done it or not: it is asked when it is back."""
        self.done[what if code == 0 else f"{what}, host away"] += 1
        if code == 0:
            for machine in machines:
                self.incarnations[machine] += raised
        elif code == 2:
            known = poll("the host is back", self._case.machines, 60)
            for machine in machines:
                self.incarnations[machine] = known[machine]["keyIncarnationId"]
        else:
            raise AssertionError(f"{what} of {machines} was refused")


class ManyMachines(ModelledLab):
    agent_config = {"openmsp": {"pollIntervalMilliseconds": INTERVAL_MS}}

    def try_mspctl(self, *words) -> int:
        return subprocess.run([self.lab.programs / "mspctl", *map(str, words), "--config", self.lab.host_config_file],
                              capture_output=True, check=False, timeout=60).returncode

    def machines(self) -> dict[int, dict]:
        """What the host knows of each; nothing while it is away."""
        done = subprocess.run([self.lab.programs / "mspctl", "vm", "list", "--json", "--config", self.lab.host_config_file],
                              capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            return {}
        return {int(vm["name"].removeprefix("vm-")): vm for vm in json.loads(done.stdout)["value"]}

    def latched(self) -> int:
        return sum(vm["keyGuid"] is not None for vm in self.machines().values())

    def restart_at(self, latches: int, how: int) -> tuple[int, float]:
        """When so many have latched; how many had by then, and how long the host was away."""
        poll(f"{latches} latches", lambda: self.fleet.many.latches() >= latches, PATIENCE, 0.002)
        begin = time.monotonic()
        self.lab.host.send_signal(how)
        at = self.fleet.many.latches()
        self.lab.host.wait(30)
        self.lab.start_host()
        return at, time.monotonic() - begin

    def current(self) -> dict[int, str] | None:
        """The key of each as host and machine have it; nothing while they differ."""
        known, own = self.machines(), [keys[-1].guid if keys else None for keys in self.fleet.history()]
        guids = {machine: vm["keyGuid"] for machine, vm in known.items()}
        self.differing = [machine for machine in range(MACHINES) if not guids.get(machine) or guids[machine] != own[machine]]
        return guids if not self.differing else None

    def test_all_latch_at_once_while_models_change_and_the_host_is_restarted(self):
        self.mspctl("profile", "apply", self.file(profile("P", "root")))
        self.fleet = Fleet(self.lab, PROGRAMS / "tests" / "component" / "many_channels", MACHINES, REAL, INTERVAL_MS)
        addresses = self.fleet.addresses
        self.mspctl("vm", "apply", self.file([machine_model(i, at, enabled=False) for i, at in enumerate(addresses)]))
        poll("each machine has asked", lambda: sum(vm["requests"]["all"] > 0 for vm in self.machines().values()) == MACHINES, PATIENCE)
        changer = Changer(self, addresses)
        begin = time.monotonic()
        self.mspctl("vm", "apply", self.file([changer.model(machine) for machine in range(MACHINES)]))
        changer.start()
        self.addCleanup(changer.finish)
        killed = self.restart_at(MACHINES // 3, signal.SIGKILL)
        restarted = self.restart_at(MACHINES * 2 // 3, signal.SIGTERM)
        poll("all have latched", lambda: self.latched() >= MACHINES - 2, PATIENCE, 0.05)
        all_after = time.monotonic() - begin
        poll("enough changes", lambda: changer.done.total() >= 20, 60)
        changer.finish()
        self.assertEqual(changer.fault, "")
        self.differing = []
        try:
            guids = poll("each machine has the key that the host says", self.current, PATIENCE, 0.2)
        except TimeoutError as error:
            raise AssertionError(f"{error}: machines {self.differing}") from error
        print(f"seed {SEED}: {MACHINES} machines, {REAL} of them real agents, all latched {all_after:.1f} s after they were "
              f"enabled; host killed with {killed[0]} latched (away {killed[1]:.1f} s), restarted with {restarted[0]} (away "
              f"{restarted[1]:.1f} s); changes: {dict(changer.done)}", flush=True)
        self.mspctl("vm", "apply", self.file([changer.model(machine) for machine in range(MACHINES)]))
        self.judge_keys(guids)
        self.judge_requests(guids)
        self.judge_database(guids)

    def judge_keys(self, guids: dict[int, str]) -> None:
        """Whatever any machine ever had: no secret under two ids, no id and no secret at two machines."""
        owners: dict[object, set] = {}
        seen = 0
        for machine, (keys, home) in enumerate(zip(self.fleet.history(), self.fleet.homes())):
            for file in (home / "keys").glob("*.key"):
                document = json.loads(file.read_text())
                owners.setdefault(bytes.fromhex(document["key"]), set()).add((machine, document["guid"]))
                owners.setdefault(document["guid"], set()).add((machine, document["guid"]))
            for key in keys:
                owners.setdefault(key.secret, set()).add((machine, key.guid))
                owners.setdefault(key.guid, set()).add((machine, key.guid))
            seen += len({key.guid for key in keys})
            self.assertEqual(keys[-1].guid, guids[machine])
        self.assertEqual([who for who in owners.values() if len(who) != 1], [], "a key at two machines, or under two ids")
        print(f"{len(owners) // 2} keys seen at machines, {seen} of them in use there, each at one only", flush=True)

    def judge_requests(self, guids: dict[int, str]) -> None:
        """The key of each signs for it, and for no other; keys of before are dead; nothing is served unsigned."""
        history = self.fleet.history()
        signed = [(machine, IMDS, keys[-1].signed(IMDS, VERSIONS)) for machine, keys in enumerate(history)]
        self.assertEqual(Counter(self.fleet.ask(signed)), Counter({(200, ""): MACHINES}))
        some = random.Random(SEED).sample(range(MACHINES), 20)
        foreign = [((machine + 1) % MACHINES, IMDS, history[machine][-1].signed(IMDS, VERSIONS)) for machine in some]
        self.assertEqual(set(self.fleet.ask(foreign)), {(403, "foreign_key")})
        self.assertEqual(set(self.fleet.ask([(machine, IMDS, http.request_bytes(IMDS, VERSIONS)) for machine in some])), {(401, "unsigned")})
        dead = [(machine, IMDS, key.signed(IMDS, VERSIONS)) for machine, keys in enumerate(history)
                for key in keys if key.guid != guids[machine]]
        self.assertTrue(dead, "no key was reset")
        self.assertEqual(set(self.fleet.ask(dead)), {(401, "key_ended")})

    def judge_database(self, guids: dict[int, str]) -> None:
        """Of a key that was ever latched the signer of statuses stays, so that the file itself knows them all."""
        self.lab.host.terminate()
        self.lab.host.wait(10)
        with closing(sqlite3.connect(f"file:{self.lab.folder}/host/host.db?mode=ro", uri=True)) as database:
            latched = {guid for guid, in database.execute("SELECT guid FROM vm_key WHERE state=1")}
            ever = database.execute("SELECT vm_id, incarnation, count(*) FROM vm_key WHERE state=1 OR (state=2 AND signer<>x'') "
                                    "GROUP BY vm_id, incarnation").fetchall()
            issued, = database.execute("SELECT count(*) FROM vm_key").fetchone()
        self.assertEqual(latched, set(guids.values()))
        self.assertEqual([row for row in ever if row[2] != 1], [], "two keys latched of one incarnation")
        print(f"{issued} keys issued, {len(ever)} latched, never two of one incarnation", flush=True)
