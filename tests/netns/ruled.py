# SPDX-License-Identifier: Apache-2.0
"""A lab whose host knows many rule sets: which one a service has is changed in the VM model, as its owner would do it."""
import json
from pathlib import Path

from base import LabCase
from callers import C_CLIENT, PYTHON, PYTHON_CLIENT, Crowd, Living, Said, build
from lab import http
from lab.lab import SERVICES, stop
from lab.world import Place, poll
from rule_scenarios import Kept, RuleSet, Scenario

ENDPOINTS = {"imds": "imds", "wireServer": "wireserver"}  # of the VM model: name of the service
PROBE = "/metadata/versions?probe"


def profile_id(name: str) -> str:
    return f"/inVMAccessControlProfiles/{name}/versions/1"


def rule_set_name(name: str, service: str) -> str:
    """As audit records have it: msp-host writes ids in upper case, and no machine of its has local rule files."""
    return profile_id(name).upper() + ("" if service == "hostga" else "-useLocalFileRules-false")


class RuledLab(LabCase):
    """`sets` are the rule sets that the host knows; the first of each service holds at the start."""

    sets: list[RuleSet] = []
    agent_config = {"openmsp": {"pollIntervalMilliseconds": 50}}
    start_agent = False  # wait_served() asks as a user; the first rules may refuse that one

    @classmethod
    def prepare(cls) -> None:
        lab = cls.lab
        cls.root = lab.world.cgroup("guest", "units")
        cls.make_programs(lab.folder / "bin")
        profiles = lab.folder / "profiles.json"
        profiles.write_text(json.dumps([cls.resource(one) for one in cls.sets]))
        config = json.loads(lab.agent_config_file.read_text())
        config["openmsp"]["referenceCgroup"] = str(cls.root)
        lab.agent_config_file.write_text(json.dumps(config))
        host = json.loads(lab.host_config_file.read_text())
        host["accessControlProfiles"] = [str(profiles)]
        lab.host_config_file.write_text(json.dumps(host))
        cls.held: dict[str, str] = {}
        for one in reversed(cls.sets):
            cls.write_model(one)

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.lab.start_agent(wait=False)

    @classmethod
    def make_programs(cls, folder: Path) -> None:
        """The C program, and a copy of it that is called like another program."""
        (folder / "other").mkdir(parents=True)
        build(C_CLIENT, folder / "client")
        (folder / "other" / "curl").write_bytes((folder / "client").read_bytes())
        (folder / "other" / "curl").chmod(0o755)
        cls.bin = folder
        cls.programs = {"curl": ["curl"], "python": [PYTHON, "-c", PYTHON_CLIENT], "client": [folder / "client"],
                        "copy": [folder / "other" / "curl"]}

    @classmethod
    def resource(cls, one: RuleSet) -> dict:
        rules = {} if one.privileges is None else {"rules": one.document(str(cls.bin))}
        return {"id": profile_id(one.name), "properties": {"mode": one.mode, "defaultAccess": one.access, "osType": "Linux", **rules}}

    @classmethod
    def write_model(cls, one: RuleSet) -> None:
        model = json.loads(cls.lab.vm_model_file.read_text())
        settings = model["properties"]["securityProfile"]["proxyAgentSettings"]
        settings[one.service] = {"inVMAccessControlProfileReferenceId": profile_id(one.name)}
        cls.lab.vm_model_file.write_text(json.dumps(model))
        cls.held[one.service] = one.name

    def apply(self, one: RuleSet) -> None:
        """The VM model refers to this set; returns when the agent decides by it."""
        if self.held[one.service] != one.name:
            stop(self.lab.host)
            self.write_model(one)
            self.lab.start_host()
        service = ENDPOINTS[one.service]
        if one.mode == "Disabled":
            poll(f"the agent leaves {service} alone", lambda: [item["redirected"] for item in self.lab.status()["services"]
                                                               if item["service"] == service] == [False])
            # Nothing of this service is audited any more; with this the records of what came before are complete.
            self.wait_rule_set("wireserver", rule_set_name(self.held["wireServer"], "wireserver"))
            return
        self.wait_rule_set(service, rule_set_name(one.name, service))

    def wait_rule_set(self, service: str, name: str) -> None:
        before = len(self.lab.audit_records())

        def decided() -> bool:
            self.lab.guest.call(http.get, SERVICES[service], PROBE)
            return any(record.get("service") == service and record.get("rule_set") == name
                       for record in self.lab.audit_records()[before:])
        poll(f"the agent decides by {name}", decided)

    def place(self, user: str | int, at: str = "", groups: tuple = ()) -> Place:
        cgroup = self.lab.world.cgroup("guest", "units", *filter(None, at.split("/")))
        if groups:
            return Crowd(self.lab.guest_netns, cgroup, user, groups)
        return Place(self.lab.guest_netns, cgroup, user)

    def living(self, who: str, user: str | int, at: str = "", to: str = "imds") -> Living:
        program = Living(self.place(user, at), self.programs[who], SERVICES[to])
        self.addCleanup(program.close)
        return program

    def records(self, since: int, count: int) -> list[dict]:
        """What was asked since then, in its order: every record after so many lines of the audit log but those of apply()."""
        def come() -> list[dict] | None:
            found = [record for record in self.lab.audit_records()[since:] if record.get("target") not in (None, PROBE)]
            return found if len(found) >= count else None
        found = poll(f"{count} audit records", come, 3)
        self.assertEqual(len(found), count, "exactly one record a request")
        return found

    def check_record(self, rule_set: str, asked: Scenario | Kept, said: Said, record: dict, audit_mode: bool) -> None:
        """The agent's record says what the client saw, by these rules, of this caller and request."""
        refused = said.status in ("403", "410")
        method, target = asked.request.split()
        expected = {"status": int(said.status), "service": asked.to, "method": method, "target": target}
        if said.status != "410":  # there nothing was decided
            expected["rule_set"] = rule_set
        if audit_mode and not refused and record.get("reason"):
            expected["decision"] = "audit"
        else:
            expected |= {"decision": "deny" if refused else "permit", "reason": said.error.get("error") if refused else None}
        self.assertEqual({key: record.get(key) for key in expected}, expected)
        if refused:
            self.assertEqual(record["request_id"], said.error["request_id"])
        self.assertEqual(record.get("user", record["uid"]), asked.user)
        self.assertEqual(record["cgroup_id"], self.place(asked.user, asked.at).cgroup.stat().st_ino)

    def check_names(self, by: str, record: dict) -> None:
        named = "/".join(record.get(key, "") for key in ("privilege", "role", "identity")).rstrip("/")
        self.assertTrue(named.startswith(by) if by.endswith("/") else named == by, f"{named} decided, not {by}")

    def live_through(self, connections: list[Kept], change, rule_set, audit_mode: bool = False) -> int:
        """Every connection asks, change() is called, and every one asks again by `rule_set(service)`; how many were refused."""
        lives = [self.living(kept.who, kept.user, kept.at, kept.to) for kept in connections]
        for kept, life in zip(connections, lives, strict=True):
            if kept.before is not None:
                self.assertEqual(str(life.ask(kept.request)), kept.before, f"before {rule_set(kept.to)}: {kept}")
        change()
        if not lives:
            return 0
        since = len(self.lab.audit_records())
        answers = [life.ask(kept.request) for kept, life in zip(connections, lives, strict=True)]
        records = self.records(since, len(answers))
        for kept, life, said, record in zip(connections, lives, answers, records, strict=True):
            with self.subTest(f"{rule_set(kept.to)}: {kept}"):
                self.assertEqual(str(said), kept.after, f"{said.body[:300]} {record}")
                self.check_record(rule_set(kept.to), kept, said, record, audit_mode)
                again = str(life.ask(kept.request))
                self.assertEqual(again, "closed" if said.status in ("403", "410") else kept.after, "the connection afterwards")
        return sum(said.status == "403" for said in answers)
