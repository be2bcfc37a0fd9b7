# SPDX-License-Identifier: Apache-2.0
"""A disk is re-imaged, restored, cloned, moved to another host, and the host's own is restored (docs/disks.md), each
announced and not: the commands are those of the page.
"""
import hashlib
import hmac
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from disks import Disk, DisksCase, OtherHost
from lab import http
from lab.key_search import search
from lab.lab import GUEST_ADDRESS, IMDS, VM_ID, stop
from lab.signing import string_to_sign
from lab.world import poll
from modelled import GUEST_2, VERSIONS, VM_ID_2, SecondGuest, model
from test_extensions import NONCE, Wire

REMEDY = "mspctl key reset"


def signed_with(guid: str, key: str, like: bytes) -> bytes:
    """A request of our own, endorsed with a key that somebody has copied."""
    signature = hmac.new(bytes.fromhex(key), string_to_sign(like), hashlib.sha256).hexdigest()
    return like.replace(b"\r\n\r\n", f"\r\nx-ms-azure-host-authorization: Azure-HMAC-SHA256 {guid} {signature}\r\n\r\n".encode(), 1)


class ReImage(DisksCase):
    def test_re_image(self):
        lab = self.lab
        # Not announced.
        lab.stop_agent()
        self.disk.re_image()
        lab.start_agent(wait=False)
        self.closed("key_latched", "(is the disk new, or was it re-imaged?)", REMEDY)
        self.assertEqual(lab.key_files(), [])
        said = self.run_page("look, on the host")
        self.assertIn(f"key {self.first_key} is latched (incarnation 1)", said)
        self.assertRegex(said, r"another key was asked for and refused, \d+ times?")
        self.assertIn("mspctl key reset vm-1", said)
        self.assertIn("mspctl key reset vm-1", lab.log_of("msp-host"))
        self.assertGreater(self.known("vm-1")["keyAlarms"]["askedWhileLatched"], 0)
        # The same, late: it opens by itself.
        self.run_page("re-image, on the host")
        second = self.latched(other_than=self.first_key)
        self.assertEqual(self.channel()["keyIncarnation"], 2)
        self.assertNotIn("asked for", self.run_page("look, on the host"))
        # Announced before.
        lab.stop_agent()
        refused = len(self.requests("/secure-channel/key", 403))
        self.run_page("re-image, on the host")
        self.disk.re_image()
        lab.start_agent()
        self.latched(other_than=second)
        self.assertEqual(len(self.requests("/secure-channel/key", 403)), refused, "not once refused")
        self.judge()


class Restore(DisksCase):
    def test_restore_from_a_backup(self):
        lab = self.lab
        backup = lab.folder / "backup"
        poll("it demands a signed status, and so does its backup", lambda: self.channel()["signedStatus"])
        lab.stop_agent()
        self.disk.copy_to(backup)
        # The key is still the one that the host names: nothing is to be done.
        self.disk.restore(backup)
        lab.start_agent()
        self.assertEqual(self.latched(), self.first_key)
        self.assertEqual(len(self.requests("/secure-channel/key")), 1)
        # An older key comes back, not announced.
        self.mspctl("key", "reset", "vm-1")
        poll("another key", lambda: self.channel()["keyGuid"] not in (None, self.first_key))
        second = self.latched()
        lab.stop_agent()
        self.disk.restore(backup)
        lab.start_agent(wait=False)
        self.closed("key_latched", f"the newest {self.first_key} of incarnation 1 (was the disk restored from a backup", REMEDY)
        self.assertIn(f"key {second} is latched (incarnation 2)", self.run_page("look, on the host"))
        request = signed_with(self.first_key, self.seen_keys[self.first_key], http.request_bytes(IMDS, VERSIONS))
        self.assertEqual(lab.outside.call(http.exchange, IMDS, request).code, "key_ended", "the older key is dead")
        # Announced late, with the model.
        self.put("vm-1.json", model("vm-1", VM_ID, enabled=True, keyIncarnationId=3))
        self.assertIn("keyIncarnationId: 2 -> 3", self.run_page("restore, on the host"))
        third = self.latched(other_than=second)
        # Announced before.
        lab.stop_agent()
        refused = len(self.requests("/secure-channel/key", 403))
        self.put("vm-1.json", model("vm-1", VM_ID, enabled=True, keyIncarnationId=4))
        self.run_page("restore, on the host")
        self.disk.restore(backup)
        lab.start_agent()
        self.latched(other_than=third)
        self.assertEqual(self.channel()["keyIncarnation"], 4)
        self.assertEqual(len(self.requests("/secure-channel/key", 403)), refused)
        self.judge()


class Clone(DisksCase):
    def test_clone(self):
        lab = self.lab
        copy = SecondGuest(lab)
        copied_disk = Disk(lab.folder / "agent2", lab.folder / "bpf2" / "openmsp")
        self.on_machine("vm-2", copy.config)
        self.disk.copy_to(lab.folder / "agent2")
        key = self.seen_keys[self.first_key]
        request = signed_with(self.first_key, key, http.request_bytes(IMDS, VERSIONS))
        stays = self.watch()
        # Not announced.
        copy.start_agent()
        status = poll("the copy is refused", lambda: (s := copy.status()).get("channel", {}).get("hostCode") == "unknown_caller" and s)
        self.assertTrue(status["channel"]["closed"])
        self.assertIsNone(status["channel"]["keyGuid"])
        self.assertIn("unknown_caller", status["channel"]["message"])
        said = self.run_page("look, in the guest", code=1, config=copy.config)
        self.assertIn("mspctl vm apply", said)
        self.assertEqual(copy.get().status, 410)
        self.assertEqual(copy.place.as_user("root").call(http.exchange, IMDS, request).status, 410, "the agent is in between")
        self.assertEqual(copy.outside.call(http.exchange, IMDS, request).code, "unknown_caller", "the copied key is no use")
        self.assertRegex(self.run_page("look, on the host"), rf"{GUEST_2}: \d+ requests")
        self.assertIn(f"{GUEST_2} belongs to no virtual machine", lab.log_of("msp-host"))
        # Announced.
        self.put("vm-2.json", model("vm-2", VM_ID_2, enabled=True, keyIncarnationId=1))
        self.run_page("clone, on the host")
        self.served(copy.get)
        self.note_keys(copied_disk)
        second = self.known("vm-2")["keyGuid"]
        self.assertNotEqual(second, self.first_key)
        self.assertEqual(copy.status()["channel"]["keyGuid"], second)
        self.assertNotIn(GUEST_2 + ":", self.run_page("look, on the host"))
        self.assertEqual(copy.outside.call(http.exchange, IMDS, request).code, "foreign_key")
        self.assertIn("1 request of other machines, signed with this key", self.run_page("look, on the host"))
        # The owner of the key has noticed nothing.
        stays()
        self.assertEqual(self.latched(), self.first_key)
        # Announced before: the copy of a machine that is known is latched at its first start.
        copy.stop_agent()
        self.mspctl("key", "reset", "vm-2")
        copied_disk.re_image()
        self.disk.copy_to(lab.folder / "agent2")
        stays = self.watch()
        copy.start_agent()
        self.served(copy.get)
        self.assertNotIn(self.known("vm-2")["keyGuid"], (self.first_key, second))
        stays()
        self.judge(copied_disk)


class CloneWithTheSameIdentity(DisksCase):
    def test_the_host_tells_two_agents_and_disturbs_neither(self):
        lab = self.lab
        copy = SecondGuest(lab)
        self.on_machine("vm-1", copy.config)
        poll("its status is signed", lambda: self.channel()["signedStatus"])
        # One that is restarted again and again is one.
        for _ in range(3):
            lab.stop_agent()
            lab.start_agent()
        self.assertFalse(self.known("vm-1")["keyAlarms"]["twoAgents"])
        self.disk.copy_to(lab.folder / "agent2")
        stays = self.watch()
        self.mspctl("vm", "apply", lab.folder / "vm-1.json", "--source-address", GUEST_ADDRESS, "--source-address", GUEST_2)
        copy.start_agent()
        poll("two are seen", lambda: self.known("vm-1")["keyAlarms"]["twoAgents"])
        self.assertIn("two agents take turns with this key", self.run_page("look, on the host"))
        self.assertIn("two agents take turns with its key", lab.log_of("msp-host"))
        self.served(copy.get)
        stays()
        self.assertEqual(self.latched(), self.first_key)
        # One of them is given an identity of its own.
        self.mspctl("vm", "apply", lab.folder / "vm-1.json", "--source-address", GUEST_ADDRESS)
        copy.stop_agent()
        self.on_machine("vm-2", copy.config)
        self.put("vm-2.json", model("vm-2", VM_ID_2, enabled=True, keyIncarnationId=1))
        self.run_page("clone, on the host")
        copy.start_agent()
        self.served(copy.get)
        self.assertNotEqual(self.known("vm-2")["keyGuid"], self.first_key)
        self.mspctl("key", "reset", "vm-1")
        self.latched(other_than=None)
        self.assertFalse(self.known("vm-1")["keyAlarms"]["twoAgents"])
        self.judge(Disk(lab.folder / "agent2", lab.folder / "bpf2" / "openmsp"))


class Move(DisksCase):
    def test_move_to_another_host(self):
        lab = self.lab
        other = OtherHost(lab)
        self.logs_of_hosts.append(other.log)
        key = bytes.fromhex(self.seen_keys[self.first_key])
        # Not announced: the agent keeps its key, the host serves nothing.
        other.plug_in()
        poll("refused there", lambda: self.channel().get("hostCode") == "unknown_caller")
        self.assertEqual(lab.guest_get(VERSIONS).code, "unknown_caller")
        said = self.run_page("look, in the guest", code=1)
        self.assertIn("mspctl vm import", said)
        self.assertEqual(self.channel()["keyGuid"], self.first_key)
        self.assertRegex(self.run_page("look, on the host", code=1, config=other.config), r"10\.77\.0\.2: \d+ requests")
        other.unplug()
        self.assertEqual(self.latched(), self.first_key)
        # Announced; the agent is the same process all the time.
        recipient = self.run_page("move, on the other host", config=other.config).strip()
        self.run_page("move, on the host", RECIPIENT=recipient)
        poll("refused here", lambda: lab.guest_get(VERSIONS).code == "unknown_caller")
        moved = (lab.folder / "vm-1.moved").read_bytes()
        self.assertEqual((lab.folder / "vm-1.moved").stat().st_mode & 0o777, 0o600)
        self.assertIn(self.first_key.encode(), moved)
        self.assertEqual(search(moved, key), [], "no key in what is carried")
        (lab.folder / "looked-at").mkdir()
        for file in (lab.folder / "host").glob("host.db*"):  # it is the host's alone while that runs
            shutil.copy(file, lab.folder / "looked-at")
        with closing(sqlite3.connect(lab.folder / "looked-at" / "host.db")) as database:
            self.assertEqual(database.execute("SELECT state, sealed FROM vm_key").fetchall(), [(2, b"")], "nor where it was")
        other.plug_in()
        self.assertEqual(lab.guest_get(VERSIONS).code, "unknown_caller")
        self.run_page("move back in, on the other host", config=other.config)
        self.assertEqual(self.latched(), self.first_key)
        self.assertIn(f"key {self.first_key} is latched (incarnation 1)", self.run_page("look, on the host", config=other.config))
        self.assertEqual(len(self.requests("/secure-channel/key")), 1, "nobody has asked for another key")
        # What was imported once brings nothing back.
        self.other_mspctl(other, "key", "reset", "vm-1")
        second = self.latched(other_than=self.first_key)
        self.assertIn("is here already", self.other_mspctl(other, "vm", "import", lab.folder / "vm-1.moved", code=1))
        self.assertEqual(self.known_there(other)["keyGuid"], second)
        # And back again, with the agent restarted on the way.
        here = self.mspctl("key", "recipient").strip()
        self.other_mspctl(other, "vm", "export", "vm-1", "--to", here, "--out", lab.folder / "back.moved")
        self.assertIn("sealed for another host", self.other_mspctl(other, "vm", "import", lab.folder / "back.moved", code=1))
        lab.stop_agent()
        other.unplug()
        lab.start_agent(wait=False)
        poll("refused", lambda: self.channel().get("hostCode") == "unknown_caller" and self.channel()["closed"])
        self.mspctl("vm", "import", lab.folder / "back.moved")
        self.assertEqual(self.latched(), second)
        # What went over first is older than what has been seen by now, on both.
        self.mspctl("vm", "delete", "vm-1")
        for ask in (self.mspctl, lambda *words, code: self.other_mspctl(other, *words, code=code)):
            self.assertIn("could come back", ask("vm", "import", lab.folder / "vm-1.moved", code=1))
        self.judge()

    def other_mspctl(self, other: OtherHost, *words, code: int = 0) -> str:
        mine, self.lab.host_config_file = self.lab.host_config_file, other.config
        try:
            return self.mspctl(*words, code=code)
        finally:
            self.lab.host_config_file = mine

    def known_there(self, other: OtherHost) -> dict:
        return json.loads(self.other_mspctl(other, "vm", "get", "vm-1", "--json"))


class MoveAndBack(DisksCase):
    def test_what_was_captured_before_is_worth_nothing_afterwards(self):
        lab = self.lab
        other = OtherHost(lab)
        wire = Wire(lab)
        self.addCleanup(wire.close)
        self.assertEqual(lab.guest_get(VERSIONS).status, 200)
        captured = wire.last()
        self.assertRegex(captured, NONCE)
        there, here = (self.mspctl("key", "recipient", at=at).strip() for at in (other.config, None))
        self.mspctl("vm", "export", "vm-1", "--to", there, "--out", lab.folder / "there.moved")
        self.mspctl("vm", "import", lab.folder / "there.moved", at=other.config)
        self.mspctl("vm", "export", "vm-1", "--to", here, "--out", lab.folder / "back.moved", at=other.config)
        self.mspctl("vm", "import", lab.folder / "back.moved")
        for _ in range(2):
            self.assertEqual(lab.outside.call(http.exchange, IMDS, captured).code, "nonce_stale")
        self.assertEqual(self.latched(), self.first_key)
        self.assertNotEqual(NONCE.search(wire.last()).group(1), NONCE.search(captured).group(1))
        self.judge()

    def mspctl(self, *words, at: Path | None = None, **more) -> str:
        mine = self.lab.host_config_file
        self.lab.host_config_file = at or mine
        try:
            return super().mspctl(*words, **more)
        finally:
            self.lab.host_config_file = mine


class MoveWithoutTheLatch(DisksCase):
    def test_the_model_alone_with_a_raised_incarnation(self):
        poll("the agent has seen a signature", lambda: self.channel()["signedStatus"])
        other = OtherHost(self.lab)
        self.logs_of_hosts.append(other.log)
        other.plug_in()
        poll("refused there", lambda: self.channel().get("hostCode") == "unknown_caller", 30)
        self.put("vm-1.json", model("vm-1", VM_ID, enabled=True, keyIncarnationId=2))
        self.lab.host_config_file = other.config
        self.mspctl("vm", "apply", self.lab.folder / "vm-1.json", "--source-address", GUEST_ADDRESS)
        # That host cannot prove to be the machine's own.
        poll("not believed", lambda: self.channel()["hostCode"] == "status_unsigned")
        self.assertEqual(self.lab.guest_get(VERSIONS).code, "unknown_key")
        self.assertIn("status-signed", self.run_page("look, in the guest", code=1))
        self.assertIn(f"believes what key {self.first_key} signs", (self.lab.folder / "msp-host2.log").read_text())
        self.forget_the_host()
        self.assertEqual(self.latched(other_than=self.first_key), self.known("vm-1")["keyGuid"])
        self.judge()


class HostRestored(DisksCase):
    def back_up(self, name: str) -> None:
        """The host's state as it is on its disk; it is stopped."""
        shutil.copytree(self.lab.folder / "host", self.lab.folder / name, ignore=lambda _, names: [n for n in names if n.startswith(("access", "admin"))])

    def restore(self, name: str) -> None:
        lab = self.lab
        stop(lab.host)
        for file in (lab.folder / "host").glob("host.db*"):
            file.unlink()
        for file in (lab.folder / name).glob("host.db*"):
            shutil.copy(file, lab.folder / "host" / file.name)
        lab.start_host()

    def test_the_hosts_own_database_of_an_earlier_day(self):
        lab = self.lab
        poll("the agent demands a signed status", lambda: self.channel()["signedStatus"])
        stop(lab.host)
        self.back_up("latched")
        lab.start_host()
        self.mspctl("key", "reset", "vm-1")
        poll("another key", lambda: self.channel()["keyGuid"] not in (None, self.first_key))
        second = self.latched()
        poll("the agent has heard the host sign with it", lambda: second in (lab.folder / "agent" / "status-signed").read_text())
        # It has an earlier key of the machine, and has lost the one that the agent uses.
        self.restore("latched")
        self.not_believed(second)
        # A reset alone proves nothing to the agent.
        self.run_page("host restored, on the host")
        self.not_believed(second)
        self.forget_the_host()
        third = self.latched(other_than=second)
        self.assertNotEqual(third, self.first_key)
        # The same when the agent has no key, and nothing that it demands: closed until it is said.
        self.restore("latched")
        lab.stop_agent()
        self.disk.re_image()
        lab.start_agent(wait=False)
        self.closed("key_latched", "no key is in", REMEDY)
        self.run_page("host restored, on the host")
        fourth = self.latched()
        poll("signed", lambda: self.channel()["signedStatus"])
        # A database from before the first latch: a new key.
        with closing(sqlite3.connect(lab.folder / "latched" / "host.db")) as database, database:
            database.execute("DELETE FROM vm_key")
        self.restore("latched")
        self.not_believed(fourth)
        self.forget_the_host()
        self.assertNotIn(self.latched(), (self.first_key, second, third, fourth))
        self.judge()

    def not_believed(self, guid: str) -> None:
        """The agent stays with its key, and the host, which has lost that, serves nothing."""
        lab = self.lab
        poll("not believed", lambda: self.channel()["hostCode"] == "status_unsigned")
        polls = len(self.requests("/secure-channel/status"))
        poll("more polls", lambda: len(self.requests("/secure-channel/status")) > polls + 5)
        self.assertEqual(self.channel()["keyGuid"], guid)
        self.assertEqual(lab.guest_get(VERSIONS).code, "unknown_key")
        self.assertIn(f"believes what key {guid} signs, which it never had here", lab.log_of("msp-host"))
