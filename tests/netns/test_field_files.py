# SPDX-License-Identifier: Apache-2.0
"""The files that the existing agent leaves for others (protocol.md H.3, H.5, H.6), as the agent writes them."""
import json
import re
import shutil
import stat
from pathlib import Path

from lab.lab import stop
from lab.world import poll
from rule_scenarios import RuleSet
from ruled import RuledLab, rule_set_name

SETS = [RuleSet(f"dumped-{i}", [], {"instance": "/metadata/instance"}, {"reader": "instance"}, {"app": {"userName": "nobody"}},
                (("reader", "app"),)) for i in range(7)]
STAMP = r"\d{4}-\d\d-\d\dT\d\d[:.]\d\d[:.]\d\d\.\d{3}"


class FieldFiles(RuledLab):
    sets = SETS

    def dumps(self) -> list[Path]:
        return sorted((self.lab.folder / "agent" / "log").glob("AuthorizationRules_*.json"))

    def newest_is(self, one: RuleSet) -> dict | None:
        files = self.dumps()
        document = json.loads(files[-1].read_text()) if files else {}
        name = document.get("computedRules", {}).get("imds", {}).get("id")
        return document if name == rule_set_name(one.name, "imds") else None

    def test_1_rules_are_dumped_and_five_dumps_stay(self):
        for one in SETS:
            self.write_model(one)
            stop(self.lab.host)
            self.lab.start_host()
            document = poll(f"a dump of {one.name}", lambda one=one: self.newest_is(one), 10)
            self.assertEqual(list(document), ["inputRules", "computedRules"])
            item, computed = document["inputRules"]["imds"], document["computedRules"]["imds"]
            self.assertEqual(item["id"], computed["id"], "the effective one")
            self.assertEqual(list(computed), ["id", "defaultAllowed", "mode", "privileges", "privilegeAssignments", "identities"])
            self.assertEqual((computed["mode"], computed["privilegeAssignments"]), ("Enforce", {"instance": ["app"]}))
            self.assertEqual(computed["identities"], {"app": {"name": "app", "userName": "nobody"}})
        files = self.dumps()
        self.assertEqual(len(files), 5)
        for file in files:
            self.assertRegex(file.name, rf"^AuthorizationRules_{STAMP.replace(':', '')}-\d{{19}}\.json$")
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o640)

    def test_2_tags_say_how_provisioning_ended(self):
        keys = self.lab.folder / "agent" / "keys"
        poll("provisioned", lambda: (keys / "provisioned.tag").exists(), 10)
        self.assertEqual((keys / "status.tag").read_text(), "")
        self.assertRegex((keys / "provisioned.tag").read_text(), f"^{STAMP}$")
        for name in ("provisioned.tag", "status.tag"):
            self.assertEqual(stat.S_IMODE((keys / name).stat().st_mode), 0o600, name)
        self.assertFalse((keys / "status.tag.tmp").exists())

    def test_2_the_status_file_follows_the_state(self):
        lab = self.lab
        file = lab.folder / "agent" / "log" / "status.json"

        def latch() -> tuple[str, str]:
            latch = json.loads(file.read_text())["proxyAgentStatus"]["keyLatchStatus"]
            return latch["status"], latch["states"].get("keyGuid", "")
        lab.stop_agent()
        file.unlink()
        lab.start_agent(wait=False)
        guid = poll("latched", lambda: lab.status().get("channel", {}).get("keyGuid"))
        # Nobody waits for the next interval, which is a minute.
        poll("the file says so", lambda: file.exists() and latch() == ("RUNNING", guid), 5)
        stop(lab.host)
        poll("silent", lambda: not lab.status()["channel"]["hostAnswers"], 20)
        before = lab.status()["channel"]["message"]
        poll("the file says so", lambda: before in file.read_text() or lab.status()["channel"]["message"] in file.read_text(), 5)
        lab.start_host()
        poll("well again", lambda: latch() == ("RUNNING", guid) and lab.status()["channel"]["message"] in file.read_text(), 20)

    def test_2_the_log_has_the_fields_form(self):
        file = self.lab.folder / "agent" / "log" / "ProxyAgent.log"
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o640)
        text = file.read_text()
        for line in text.splitlines():
            self.assertRegex(line, rf"^{STAMP} \[(ERROR|WARN|INFO|DEBUG)\] +")
            self.assertRegex(line[:34], r"\] +$", "a header of 34 characters")
            self.assertNotEqual(line[34], " ")
        self.assertIn("] ".ljust(5) + "ready: listening on 127.0.0.1:3080", text)
        # What stands on standard error stands there, from the moment at which it is the only agent.
        said = [line[30:] for line in self.lab.log_of("msp-agent", 10_000).splitlines()]
        self.assertEqual([line[34:] for line in text.splitlines()], said)

    def test_3_none_before_there_is_a_key(self):
        home = self.lab.folder / "agent"
        self.lab.stop_agent()
        stop(self.lab.host)
        shutil.rmtree(home / "keys")
        (home / "keys").mkdir(mode=0o700)
        self.lab.start_agent(wait=False)
        poll("closed: it was latched before", lambda: self.lab.status().get("channel", {}).get("closed"), 10)
        self.assertEqual([file.name for file in (home / "keys").iterdir()], [], "provisioning is not over")

    def test_4_what_cannot_be_written_harms_nothing(self):
        self.lab.stop_agent()
        config = json.loads(self.lab.agent_config_file.read_text())
        (self.lab.folder / "nowhere").write_text("where its folder should be")
        config["openmsp"]["statusFile"] = str(self.lab.folder / "nowhere" / "status.json")
        self.lab.agent_config_file.write_text(json.dumps(config))
        self.lab.start_agent(wait=False)
        poll("it runs", lambda: self.lab.status().get("pid"), 10)
        said = lambda: len(re.findall("the status file is not kept up to date", self.lab.log_of("msp-agent")))
        poll("it says so", said, 10)
        self.assertEqual(said(), 1)

    def test_5_after_two_minutes_provisioning_is_over_whatever_happens(self):
        # Nothing changes meanwhile: the host is silent, and no status file is written.
        home = self.lab.folder / "agent"
        self.lab.stop_agent()
        shutil.rmtree(home / "keys")
        (home / "keys").mkdir(mode=0o700)
        config = json.loads(self.lab.agent_config_file.read_text())
        config["openmsp"]["statusFile"] = ""
        self.lab.agent_config_file.write_text(json.dumps(config))
        self.lab.start_agent(wait=False)
        poll("the tag", (home / "keys" / "provisioned.tag").exists, 130)
        self.assertIn("keyLatchStatus - ", (home / "keys" / "status.tag").read_text())
