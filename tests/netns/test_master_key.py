# SPDX-License-Identifier: Apache-2.0
"""The host's master key as a credential of the service manager: by it and by nothing else the keys of a database are opened."""
import json
import os
import shutil

from base import LabCase
from lab.lab import stop

VERSIONS = "/metadata/versions"


class Credential(LabCase):
    @classmethod
    def prepare(cls) -> None:
        cls.folder = cls.lab.folder / "credentials"
        cls.folder.mkdir(mode=0o500)
        cls.credential = cls.folder / "master-key"
        cls.credential.write_text("5c" * 32 + "\n")
        cls.credential.chmod(0o400)
        cls.lab.environment["msp-host"] = {"CREDENTIALS_DIRECTORY": str(cls.folder)}

    def restart(self) -> None:
        stop(self.lab.host)
        self.lab.start_host()

    def refused(self, *words: str) -> None:
        stop(self.lab.host)
        self.lab.start_host(wait=False)
        self.assertNotEqual(self.lab.host.wait(10), 0)
        for word in words:
            self.assertIn(word, self.lab.log_of("msp-host", 3))

    def test_it_opens_the_database_and_nothing_else_does(self):
        lab, file = self.lab, self.lab.folder / "host" / "master.key"
        keys = lab.key_files()
        self.assertFalse(file.exists(), "the state directory holds what is sealed, and not what opens it")
        self.restart()
        lab.wait_served()
        self.assertEqual(lab.key_files(), keys, "the latch was kept")
        with self.subTest("without it"):
            moved = self.lab.folder / "moved"
            self.credential.rename(moved)
            self.refused("master key", "its credential")
            self.assertFalse(file.exists(), "no other one is made")
            moved.rename(self.credential)
        with self.subTest("another one"):
            good = self.credential.read_text()
            self.credential.write_text("5d" * 32)
            self.refused("master key is not the one")
            self.credential.write_text(good)
        with self.subTest("readable by all"):
            self.credential.chmod(0o444)
            self.refused(str(self.credential), "chmod")
            self.credential.chmod(0o400)
        with self.subTest("named beside a file"):
            config = lab.host_config_file.read_text()
            lab.host_config_file.write_text(json.dumps({**json.loads(config), "masterKeyFile": str(file)}))
            self.refused("two master keys", "take one of the two away")
            lab.host_config_file.write_text(config)
        with self.subTest("beside a file that is left over"):
            file.write_text("5e" * 32)
            file.chmod(0o600)
            self.restart()
            lab.wait_served()
            self.assertIn(f"{file} is not used", lab.log_of("msp-host"))
            file.unlink()
        with self.subTest("a file becomes the credential"):
            stop(lab.host)
            self.credential.rename(file)
            lab.start_host()
            lab.wait_served()
            shutil.move(file, self.credential)
            os.chmod(self.credential, 0o400)
            self.restart()
            lab.wait_served()
        self.assertEqual(lab.key_files(), keys)
        self.assertNotIn("5c" * 8, lab.log_of("msp-host", 10_000))
