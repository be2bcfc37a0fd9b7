# SPDX-License-Identifier: Apache-2.0
"""A backup that is taken while requests run, and what a restore makes of it: models are those of the backup, keys never go back.

Keys after the backup: one is reset, one is latched for the first time, one machine is deleted, one comes. The database that was
there is whole, then damaged, then lost.
"""
import sqlite3
import subprocess
import threading
from pathlib import Path

from lab.key_search import needles
from lab.lab import GUEST_ADDRESS, VM_ID, stop
from lab.world import poll, run
from modelled import ModelledLab, VM_ID_2, model
from own_agent import Key, OwnAgent

ADDRESSES = {"same": "10.77.0.11", "later": "10.77.0.12", "deleted": "10.77.0.13", "newer": "10.77.0.14"}
IDS = {name: VM_ID_2[:-2] + f"{n:02}" for n, name in enumerate(ADDRESSES, 11)}
CROWD = 300  # machines more, so that a backup takes several steps
FILLING = {"x": "y" * 8000}


class Backup(ModelledLab):
    # So that the agent's next poll, not somebody else's request, finds out that a key is gone.
    agent_config = {"openmsp": {"pollIntervalMilliseconds": 200}}

    @classmethod
    def prepare(cls) -> None:
        super().prepare()
        for address in ADDRESSES.values():
            run("ip", "-n", cls.lab.guest_netns, "address", "add", f"{address}/24", "dev", "eth0")
        cls.machines = {name: OwnAgent(cls.lab.outside, address) for name, address in ADDRESSES.items()}

    def apply(self, name: str) -> None:
        self.mspctl("vm", "apply", self.file(model(name, IDS[name], enabled=True, keyIncarnationId=1)), "--source-address", ADDRESSES[name])

    def latch(self, name: str) -> None:
        self.assertEqual([self.machines[name].acquire().status, self.machines[name].attest().status], [200, 200])

    def guids(self) -> dict:
        return {name: self.known(name)["keyGuid"] for name in ("vm-1", "same", "later")}

    def agents_key(self) -> Key:
        guid = self.known("vm-1")["keyGuid"]
        return Key.read(self.lab.folder / "agent" / "keys" / f"{guid}.key")

    def as_vm_1(self, key: Key) -> str:
        return OwnAgent(self.lab.outside, GUEST_ADDRESS).get(key=key).code

    def restore(self, file: Path, code: int = 0) -> str:
        done = subprocess.run([self.lab.programs / "msp-host", "--config", self.lab.host_config_file, "--restore", file],
                              capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def refused_start(self) -> str:
        done = self.lab.host_place.run([self.lab.programs / "msp-host", "--config", self.lab.host_config_file], text=True)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr

    @property
    def database(self) -> Path:
        return self.lab.folder / "host" / "host.db"

    def take_while_requests_run(self, file: Path) -> None:
        """No request may be hurt, and each copy is a whole database."""
        end, answers = threading.Event(), []

        def load() -> None:
            while not end.is_set():
                answers.append(str(self.machines["same"].get().status))
        thread = threading.Thread(target=load)
        thread.start()
        counts = []
        for _ in range(10):
            before = len(answers)
            self.mspctl("host", "backup", file)
            self.mspctl("key", "reset", "crowd-0")
            counts.append(len(answers) - before)
            with sqlite3.connect(f"file:{file}?immutable=1", uri=True) as copy:
                self.assertEqual(copy.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
                self.assertEqual(copy.execute("SELECT count(*) FROM vm").fetchone()[0], CROWD + 4)
            copy.close()
        end.set()
        thread.join()
        self.assertEqual(set(answers), {"200"})
        print(f"10 backups of {file.stat().st_size} bytes, {len(answers)} requests meanwhile, {min(counts)} at least while one was taken")
        self.assertGreater(len(answers), 10)
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)

    def test_backup_and_restore(self):
        lab, file = self.lab, self.lab.folder / "host.backup"
        self.mspctl("vm", "apply", self.file(model("vm-1", VM_ID, enabled=True, keyIncarnationId=1)), "--source-address", GUEST_ADDRESS)
        for name in ("same", "later", "deleted"):
            self.apply(name)
        crowd = [model(f"crowd-{n}", f"{VM_ID[:24]}{n:012}", enabled=False, keyIncarnationId=1) for n in range(CROWD)]
        for n, one in enumerate(crowd):
            one["tags"] = FILLING
            one["properties"]["networkProfile"] = {"networkInterfaces": [{"properties": {"ipConfigurations": [
                {"properties": {"privateIPAddress": f"10.9.{n // 250}.{n % 250 + 1}"}}]}}]}
        self.mspctl("vm", "apply", self.file({"value": crowd}))
        lab.start_agent()
        self.latch("same")
        self.latch("deleted")
        self.machines["later"].acquire()
        pending = self.machines["later"].key
        before_backup = self.agents_key()
        self.take_while_requests_run(file)
        with self.subTest("keys in it are sealed"):
            text = file.read_bytes()
            for key in (before_backup, pending, self.machines["same"].key, self.machines["deleted"].key):
                self.assertIn(key.guid.encode(), text)
                lower = text.lower()
                self.assertEqual([n.what for n in needles(key.secret) if (n.data.lower() in lower if n.any_case else n.data in text)], [])

        # What happens after the backup.
        self.mspctl("key", "reset", "vm-1")
        poll("another key", lambda: self.known("vm-1")["keyGuid"] not in (None, before_backup.guid))
        self.served(self.get)
        after_backup = self.agents_key()
        poll("the agent has heard the host sign with it", lambda: after_backup.guid in (lab.folder / "agent" / "status-signed").read_text())
        self.latch("later")
        self.mspctl("vm", "delete", "deleted")
        self.apply("newer")
        guids = self.guids()

        with self.subTest("not while a host runs"):
            self.assertIn("another process has the database open", self.restore(file, code=1))
            self.assertEqual(self.guids(), guids)
        with self.subTest("not over a database of a newer version, which is not lost"):
            stop(lab.host)
            for version, outcome in ((99, 2), (None, 0)):
                with sqlite3.connect(self.database) as database:
                    known = database.execute("PRAGMA user_version").fetchone()[0] if version else known
                    database.execute(f"PRAGMA user_version={version or known}")
                database.close()
                if outcome:
                    self.assertIn("schema 99", self.restore(file, code=outcome))
        with self.subTest("the database is whole: its keys hold, whatever the backup says"):
            self.assertIn("keyIncarnationId was raised since in 2 models", self.restore(file))
            lab.start_host()
            self.assertEqual(self.guids(), guids)
            self.served(self.get)
            self.assertEqual(self.known("vm-1")["keyIncarnationId"], 2)
            self.assertEqual(self.as_vm_1(before_backup), "key_ended", "a key that was reset does not come back")
            self.assertEqual(self.as_vm_1(after_backup), "")
            self.assertEqual([self.machines[name].get().status for name in ("same", "later")], [200, 200])
            self.assertEqual(self.machines["later"].acquire().code, "key_latched", "not handed out a second time")
            self.assertEqual(self.machines["deleted"].get().code, "key_ended", "it is back, and its key is not")
            self.assertEqual(self.machines["newer"].acquire().code, "unknown_caller")
            self.assertEqual(OwnAgent(lab.outside, ADDRESSES["later"]).get(key=pending).code, "key_ended")
        with self.subTest("a damaged database is refused at the start, and says so"):
            stop(lab.host)
            with open(self.database, "r+b") as raw:
                raw.seek(4096)
                raw.write(b"\x5a" * 40960)
            self.assertRegex(self.refused_start(), "the database is damaged|malformed")
        with self.subTest("a backup that is damaged, foreign or of another master key is refused, and nothing has changed"):
            before = self.database.read_bytes()
            bad = lab.folder / "bad.backup"
            bad.write_bytes(file.read_bytes()[:8192] + b"\x5a" * 8192 + file.read_bytes()[16384:])
            self.assertRegex(self.restore(bad, code=1), "damaged|malformed")
            bad.write_bytes(b"no database at all" * 1000)
            self.assertIn("is no backup of msp-host: it is no database", self.restore(bad, code=2))
            for nothing in (b"", bytes(4096)):
                bad.write_bytes(nothing)
                self.assertIn("is no backup of msp-host", self.restore(bad, code=2))
            master = lab.folder / "host" / "master.key"
            own = master.read_text()
            master.write_text("5a" * 32)
            self.assertIn("another master key", self.restore(file, code=2))
            master.write_text(own)
            self.assertEqual(self.database.read_bytes(), before)
        with self.subTest("the database is lost: no key of the backup holds, and each machine latches once more"):
            self.assertIn("every key has ended", self.restore(file))
            lab.start_host()
            # The agent's key came after the backup, so nothing here can sign for it: a person says that this is its host.
            poll("not believed", lambda: lab.status().get("channel", {}).get("hostCode") == "status_unsigned")
            self.assertEqual(self.get().status, 401)
            lab.stop_agent()
            (lab.folder / "agent" / "status-signed").unlink()
            lab.start_agent()
            self.served(self.get)
            self.assertNotIn(self.known("vm-1")["keyGuid"], (None, before_backup.guid, after_backup.guid))
            for key, code in ((before_backup, "key_ended"), (after_backup, "unknown_key")):
                self.assertEqual(self.as_vm_1(key), code)
            self.assertEqual(self.machines["same"].get().code, "key_ended")
            self.latch("same")
            self.assertEqual(self.machines["same"].get().status, 200)
            self.assertEqual(self.machines["same"].acquire().code, "key_latched")
            self.assertTrue(self.database.with_name("host.db.before-restore").exists())
        with self.subTest("lost again, with a backup that knows the agent's key: it latches anew by itself"):
            self.mspctl("host", "backup", file)
            ended = self.agents_key()
            stop(lab.host)
            blank = self.database.read_bytes()[:68] + bytes(4028)  # as before the first commit has left the log
            for lost in (lambda: self.database.write_bytes(blank), lambda: self.database.write_bytes(b""), self.database.unlink):
                lost()
                self.assertIn("is gone or empty", self.refused_start(), "it is not begun anew by itself")
            self.assertIn("every key has ended", self.restore(file))
            lab.start_host()
            self.served(self.get)
            self.assertNotEqual(self.known("vm-1")["keyGuid"], ended.guid)
            self.assertEqual(self.as_vm_1(ended), "key_ended")
