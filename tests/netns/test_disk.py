# SPDX-License-Identifier: Apache-2.0
"""The real programs on disks that are full, fail, or lose power (docs/disk-faults.md).

MSP_POWER_ROUNDS says how often power is lost (ordinary run 6), MSP_SEED repeats the moments.
"""
import contextlib
import json
import os
import random
import subprocess
import time
from pathlib import Path

from base import LabCase, number
from disks import DisksCase
from lab import faults
from lab.faults import Faults
from lab.lab import VM_ID, stop
from lab.world import poll
from modelled import model
from test_local_rule_files import GONE, LocalRuleFiles, Step, local

ROUNDS = number("MSP_POWER_ROUNDS", 6)
SEED = number("MSP_SEED", 1)
# Of the guest: load (12 calls at a start), save (19), read again. Of the host: open and check (about 60), issue, latch.
MOST_CALLS = {"msp-agent": 50, "msp-host": 130}


class FirstBootOnABrokenDisk(LabCase):
    """What the disk does at the first boot, and what it says."""

    start_agent = False

    def boot(self, error: str, calls: int, remedy: str) -> None:
        lab = self.lab
        keys = lab.folder / "agent" / "keys"
        layer = Faults(lab, "msp-agent", keys)
        # The directory is there: the kernel says so (EEXIST) whatever the disk is like.
        layer.arm(faults.FAIL, error, calls & ~faults.MKDIR)
        # As a machine that was never latched, in the host's eyes too.
        raise_incarnation(lab)
        lab.start_agent(wait=False)
        self.addCleanup(lab.stop_agent)
        message = poll("the message names file and remedy", lambda: remedy in (m := lab.status().get("channel", {}).get("message", "")) and m)
        self.assertIn(str(keys), message)
        answer = lab.guest_get("/metadata/versions")
        self.assertEqual(answer.status, 410, "not ready, and nothing unsigned")
        self.assertEqual(list(keys.iterdir()), [], "nothing half written")
        self.assertGreater(layer.counts()[1], 0)
        layer.lift()
        lab.wait_served()  # the same process
        self.assertEqual(len(lab.key_files()), 1)
        lab.stop_agent()
        for file in keys.iterdir():
            file.unlink()

    def test_full(self):
        self.boot("ENOSPC", faults.TAKES_SPACE, "free some space")

    def test_read_only(self):
        self.boot("EROFS", faults.CHANGES_DISK, "read-only")

    def test_failing(self):
        self.boot("EIO", faults.WRITE | faults.SYNC, "dmesg")

    def test_forbidden(self):
        self.boot("EACCES", faults.CREATE, "namei")


def real_disk(lab) -> Path:
    """A file system of its own below the agent's files, which can be frozen."""
    disk, image = lab.folder / "agent", lab.folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(128 << 20)
    subprocess.run(["mkfs.btrfs", "--quiet", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, disk], check=True)
    lab.world.on_close(subprocess.run, ["umount", "-l", disk])
    for name in ("keys", "log"):
        (disk / name).mkdir(mode=0o700)
    return disk


@contextlib.contextmanager
def frozen(disk: Path):
    subprocess.run(["fsfreeze", "-f", disk], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "-u", disk], check=True)


class DiskThatStandsStill(LabCase):
    """A file system that is frozen, as for a snapshot: whoever writes to it waits, and cannot even be killed."""

    start_agent = False
    agent_config = {"openmsp": {"statusIntervalSeconds": 1, "logLevel": "debug"}}

    @classmethod
    def prepare(cls) -> None:
        cls.disk = real_disk(cls.lab)
        cls.status_file = cls.disk / "log" / "status.json"

    def test_the_agent_serves_and_answers_meanwhile(self):
        lab = self.lab
        lab.start_agent()
        lab.wait_served()
        # What is written once: the key, the marks.
        poll("all is noted", lambda: self.status_file.exists() and lab.status()["channel"]["signedStatus"])
        before = self.status_file.stat().st_mtime_ns
        with frozen(self.disk):
            for _ in range(6):  # some turns of the status file: the first one stands still
                time.sleep(0.5)
                self.assertEqual(lab.guest_get("/metadata/versions").status, 200)
                self.assertTrue(lab.status()["protected"])
        poll("the status file is kept up to date", lambda: self.status_file.stat().st_mtime_ns > before)
        lab.stop_agent()


class RulesThatChangeWhileTheDiskStandsStill(DisksCase):
    """More often than may wait: what is newest is written afterwards."""

    @classmethod
    def prepare(cls) -> None:
        super().prepare()
        cls.frozen_disk = real_disk(cls.lab)

    def mode(self, mode: str) -> None:
        document = model("vm-1", VM_ID, enabled=True, keyIncarnationId=1, imds={"mode": mode}, wireServer={"mode": "Enforce"})
        self.mspctl("vm", "apply", self.file(document))
        poll("heard", lambda: any(s["service"] == "imds" and s["mode"] == mode.lower() for s in self.lab.status()["services"]))

    def test_the_newest_is_written_afterwards(self):
        lab, log = self.lab, self.frozen_disk / "log"
        poll("all is noted", lambda: self.channel()["signedStatus"])
        with frozen(self.frozen_disk):
            for turn in range(81):
                changed_ns = time.time_ns()
                self.mode("Audit" if turn % 2 == 0 else "Enforce")

        def newest() -> Path:
            return max(log.glob("AuthorizationRules_*.json"))

        poll("a dump of the last change", lambda: int(newest().stem.rsplit("-", 1)[1]) > changed_ns)
        self.assertEqual(json.loads(newest().read_text())["computedRules"]["imds"]["mode"], "Audit")
        self.assertEqual(len(list(log.glob("AuthorizationRules_*.json"))), 5)
        poll("the status file, too", lambda: (log / "status.json").stat().st_mtime_ns > changed_ns)
        self.assertEqual(lab.log_of("msp-agent", 4000).count("dumps of rules are left out"), 1)


def raise_incarnation(lab, start: bool = True) -> None:
    """The operator's reset, by the model and a restart of the host."""
    model = json.loads(lab.vm_model_file.read_text())
    model["properties"]["securityProfile"]["proxyAgentSettings"]["keyIncarnationId"] += 1
    lab.vm_model_file.write_text(json.dumps(model))
    stop(lab.host)
    if start:
        lab.start_host()


class RuleFileOnABrokenDisk(LocalRuleFiles):
    test_connections_that_live_follow_the_files = None  # once is enough

    @classmethod
    def prepare(cls) -> None:
        super().prepare()
        cls.layer = Faults(cls.lab, "msp-agent", cls.folder)

    def test_the_service_is_closed_until_the_file_can_be_read(self):
        self.put(Step(local("file", "root"), "_file", []))
        for error, calls in (("EIO", faults.READ), ("EACCES", faults.OPEN), ("EIO", faults.STAT)):
            with self.subTest(error=error, calls=calls):
                self.layer.arm(faults.FAIL, error, calls)
                self.wait_rule_set("imds", self.rule_set("imds", Step(None, GONE, [])))
                self.assertEqual(self.lab.guest_get("/metadata/versions", user="root").status, 403)
                self.assertIn(str(self.folder / "IMDS_Rules.json"), self.lab.log_of("msp-agent"))
                self.layer.lift()
                self.wait_rule_set("imds", self.rule_set("imds", Step(None, "_file", [])))
                self.assertEqual(self.lab.guest_get("/metadata/versions", user="root").status, 200)


class HostOnABrokenDisk(LabCase):
    """The host's disk fails while it runs: no key is answered, nothing is served, and the same process goes on afterwards."""

    start_agent = False

    @classmethod
    def prepare(cls) -> None:
        cls.layer = Faults(cls.lab, "msp-host", cls.lab.folder / "host")

    def said(self) -> str:
        return self.lab.log_of("msp-host", 10_000)

    def test_no_key_is_answered_until_it_is_well(self):
        lab, database = self.lab, str(self.lab.folder / "host" / "host.db")
        for error, calls, remedy in (("ENOSPC", faults.TAKES_SPACE, "free some space"), ("EIO", faults.WRITE | faults.SYNC, "dmesg"),
                                     ("EROFS", faults.CHANGES_DISK, "dmesg")):
            with self.subTest(error):
                self.layer.lift()
                raise_incarnation(lab)
                before, at = len(self.said()), len(lab.host_records())
                self.layer.arm(faults.FAIL, error, calls)
                lab.start_agent(wait=False)
                new = poll("the host says what fails, and what to do", lambda: (m := self.said()[before:]) and
                           "issue a key for vm-1" in m and remedy in m and m)
                self.assertIn(database, new)
                self.assertEqual(lab.guest_get("/metadata/versions").status, 410, "the guest is closed")
                self.assertEqual(lab.key_files(), [])
                host = lab.host.pid
                self.layer.lift()
                lab.wait_served()
                self.assertEqual((lab.host.pid, lab.host.poll()), (host, None))
                self.assertEqual(len(lab.key_files()), 1)
                keys = lab.key_files()
                with self.subTest("and it is on the disk"):
                    stop(lab.host)
                    lab.start_host()
                    lab.wait_served()
                    self.assertEqual(lab.key_files(), keys)
                self.assertEqual([r for r in lab.host_records()[at:] if r["outcome"] == "served_unsigned"], [])
                lab.stop_agent()
                for file in (lab.folder / "agent" / "keys").iterdir():
                    file.unlink()


class PowerLoss(LabCase):
    """Again and again the operator resets the key and power goes away meanwhile: each time the machine ends latched."""

    def lose_power(self, program: str, layer: Faults) -> None:
        lab, chance = self.lab, random.Random(SEED)
        died, kept, said = 0, 0, []
        for _ in range(ROUNDS):
            at, seed = chance.randrange(MOST_CALLS[program]), chance.choice([0, 0, 1, 2, 3, chance.randrange(4, 1 << 30)])
            # The files, too: the host's log may still be on its way.
            old = {name.removesuffix(".key") for name in lab.key_files()} | set(self.attested())
            died += self.run_until_it_dies(program, layer, at)
            latched = self.latched(program, old)
            said.append(layer.lose_power(seed))
            layer.remove()
            asked = self.keys_asked_for()
            if program == "msp-agent":
                lab.start_agent(wait=False)
            else:
                lab.start_host()
            with self.subTest(at=at, seed=seed):
                lab.wait_served()
                poll("latched", lambda: self.channel().get("phase") == "latched")
                self.assertEqual([name for name in os.listdir(lab.folder / "agent" / "keys") if name.endswith(".tmp")], [])
                if latched:
                    kept += 1
                    self.assertEqual(self.channel()["keyGuid"], latched, "a latch that was answered is lost")
                    self.assertEqual(self.keys_asked_for(), asked)
        print(f"seed {SEED}: {program} lost power {ROUNDS} times, {died} times at a call of its own; {kept} times a key was latched "
              f"by then, and kept; journals: {'; '.join(said[:4])} ...", flush=True)
        self.assertGreater(died, 0)
        self.assertGreater(kept, 0)

    def run_until_it_dies(self, program: str, layer: Faults, at: int) -> bool:
        """Through a reset of the key, up to that call; or to its end 3 seconds later."""
        lab = self.lab
        if program == "msp-agent":
            lab.stop_agent()
            raise_incarnation(lab)
        else:
            raise_incarnation(lab, start=False)
        layer.install()
        layer.begin()
        layer.arm(faults.DIE, at=at, from_there_on=False)
        lab.start_agent(wait=False) if program == "msp-agent" else lab.start_host(wait=False)
        process = lab.agent if program == "msp-agent" else lab.host
        try:
            poll("the power is lost", lambda: process.poll() is not None, 3)
        except TimeoutError:
            process.kill()
            process.wait()
            return False
        return True

    def latched(self, program: str, old: set[str]) -> str:
        """The id of the new key, if its attestation was answered: by the end that is alive."""
        if program == "msp-agent":
            return next((guid for guid in self.attested() if guid not in old), "")
        channel = self.channel()
        return channel["keyGuid"] if channel["phase"] == "latched" and channel["keyGuid"] not in old else ""

    def channel(self) -> dict:
        return self.lab.status().get("channel", {})

    def attested(self) -> list[str]:
        """Ids whose attestation the host has answered with 200, in order."""
        return [r["path"].split("/")[3] for r in self.lab.host_records()
                if r.get("path", "").endswith("/key-attestation") and r.get("status") == 200]

    def keys_asked_for(self) -> int:
        return sum(r.get("path") == "/secure-channel/key" for r in self.lab.host_records())

    def test_of_the_guest(self):
        self.lose_power("msp-agent", Faults(self.lab, "msp-agent", self.lab.folder / "agent" / "keys"))

    def test_of_the_host(self):
        self.lose_power("msp-host", Faults(self.lab, "msp-host", self.lab.folder / "host", (self.lab.host_log.name,)))
