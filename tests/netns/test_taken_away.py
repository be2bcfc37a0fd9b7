# SPDX-License-Identifier: Apache-2.0
"""What root takes away or damages under an agent: pins, key, mark. It is put back, or told."""
import json
import shutil

from base import LabCase
from lab import http
from lab.lab import IMDS, ORDINARY_USER
from lab.world import poll

VERSIONS = "/metadata/versions"


class TakenAway(LabCase):
    def problems(self) -> str:
        return json.dumps(self.lab.status().get("problems", []))

    def served(self) -> bool:
        return self.lab.guest_get(VERSIONS).status == 200

    def test_1_pins_are_put_back_and_a_kill_opens_nothing(self):
        lab = self.lab
        for what in ("links", "maps", ""):
            with self.subTest(what or "all"):
                hooks = lab.status()["interception"]["hooks"]
                shutil.rmtree(lab.bpffs / "openmsp" / what)
                poll("pinned again", lambda hooks=hooks: lab.status()["interception"]["hooks"] == hooks, 5)
                self.assertTrue(lab.status()["protected"])
                lab.kill_agent()
                for _ in range(20):
                    self.assertIn("Connection refused", str(lab.guest.as_user(ORDINARY_USER).call(http.get, IMDS, VERSIONS)))
                lab.start_agent()
                self.assertTrue(self.served())
        self.assertIn("they are pinned again", lab.log_of("msp-agent"))

    def test_1_a_second_agent_finds_the_lock_on_the_folder_that_was_made_again(self):
        lab = self.lab
        shutil.rmtree(lab.bpffs / "openmsp")
        poll("pinned again", lambda: "they are pinned again" in lab.log_of("msp-agent") and (lab.bpffs / "openmsp" / "links").exists(), 5)
        done = lab.agent_place.run([lab.programs / "msp-agent", "--config", lab.agent_config_file], cwd="/")
        self.assertIn("another agent holds the hooks", (done.stdout + done.stderr).decode())
        self.assertTrue(self.served())

    def test_2_a_key_that_is_gone_is_told(self):
        lab = self.lab
        keys = lab.folder / "agent" / "keys"
        keys.rename(keys.with_name("keys-away"))
        poll("told", lambda: "there is no" in self.problems() or "No such file" in self.problems(), 5)
        said = lab.agent_place.run([lab.programs / "mspctl", "doctor", "--config", lab.agent_config_file], cwd="/")
        self.assertIn("what a restart needs is not on the disk", said.stdout.decode())
        self.assertTrue(self.served())
        keys.with_name("keys-away").rename(keys)
        poll("well again", lambda: lab.status()["protected"], 5)
        keys.chmod(0o755)
        poll("told", lambda: f"chmod 0700 {keys}" in self.problems(), 5)
        keys.chmod(0o700)
        poll("well again", lambda: lab.status()["protected"], 5)

    def test_2_the_marks_come_back(self):
        poll("signed", lambda: self.lab.status()["channel"]["signedStatus"])
        for name in ("ever-latched", "status-signed"):
            mark = self.lab.folder / "agent" / name
            mark.unlink()
            poll("written again", mark.exists, 5)

    def test_3_a_key_file_of_other_digits_closes_until_it_is_put_right(self):
        lab = self.lab
        poll("signed", lambda: lab.status()["channel"]["signedStatus"])
        lab.stop_agent()
        file = lab.folder / "agent" / "keys" / lab.key_files()[0]
        good = file.read_text()
        digits = json.loads(good)["key"]
        file.write_text(good.replace(digits, ("0" if digits[0] != "0" else "1") + digits[1:]))
        lab.start_agent(wait=False)
        poll("told", lambda: "holds another key than the one that" in self.problems())
        self.assertTrue(lab.status()["channel"]["closed"])
        self.assertFalse(self.served())
        file.write_text(good)
        poll("served again", self.served)
        self.assertTrue(lab.status()["protected"])
