# SPDX-License-Identifier: Apache-2.0
"""Local rule files (docs/configuration.md) on a machine whose host wants them: what they add, and that connections that live
follow every change of them.

msp-host wants them of nobody. So the id of its rules is changed on the cable into one that does, as the existing host writes it.
"""
import base64
import json
import re
import os
from pathlib import Path
from typing import NamedTuple

from lab.relay import Relay
from rule_scenarios import DENIED, INSTANCE, MISMATCH, NO_RULE, NOT_ROOT, PLUGIN, UNUSABLE, VERSIONS, WIRE, Kept, RuleSet, Scenario
from ruled import RuledLab, profile_id, rule_set_name

ELSEWHERE = "GET /metadata/elsewhere"
HOSTS = [
    RuleSet("rules-of-the-host-that-files-of-the-guest-add-to", [], {"instance": "/metadata/instance"}, {"reader": "instance"},
            {"nobody": {"userName": "nobody"}}, (("reader", "nobody"),)),
    RuleSet("wire-rules-of-the-host-that-files-of-the-guest-add-to", [], {"plugin": "/versions"}, {"reader": "plugin"},
            {"root": {"userName": "root"}}, (("reader", "root"),), service="wireServer"),
]
DESCRIPTOR = base64.b64encode(json.dumps({"id": "lab", "useLocalFileRules": True}).encode())


def ask_for_no_signature(data: bytes) -> bytes:
    """As an agent of the field would: of one that has seen a signed status, no altered one is believed."""
    return re.sub(rb"\r\nx-ms-openmsp-sign: [^\r]*", b"", data)


def alter_ids(data: bytes) -> bytes:
    """Ids of one length; what blanks are around them is no part of them."""
    for one in HOSTS:
        name = profile_id(one.name).upper().encode()
        data = data.replace(name, DESCRIPTOR.ljust(len(name)))
    return data


def large() -> str:
    """More values than a text has without limits of its own for rules, and larger than other files may be."""
    document = json.loads(local("large", "daemon"))
    document["rules"]["privileges"] += [
        {"name": f"other-{n}", "path": f"/metadata/others/with/a/longer/path/{n}", "queryParameters": {"at": str(n)}} for n in range(55_000)]
    text = json.dumps(document)
    assert len(text) > 5 << 20
    return text


def local(name: str, holder: str, path: str = "/metadata/versions", access: str | None = None, query: dict | None = None,
          role_holds: str = "versions", **ours) -> str:
    privilege = {"name": "versions", "path": path, **({"queryParameters": query} if query else {})}
    rules = {"privileges": [privilege], "roles": [{"name": "looker", "privileges": [role_holds]}],
             "identities": [{"name": "holder", "userName": holder}],
             "roleAssignments": [{"role": "looker", "identities": ["holder"], **({"openmsp": ours} if ours else {})}]}
    return json.dumps({"id": name, "rules": rules, **({"defaultAccess": access} if access else {})})


class Step(NamedTuple):
    """The file that comes (None: none any more), by what name its rules are known, and what connections see."""
    text: str | None
    known_as: str
    connections: list[Kept]
    mode: int = 0o600
    service: str = "imds"


K = Kept
GONE = ""
IMDS_STEPS = [
    Step(local("first", "daemon"), "_first", [
        K("python", "daemon", VERSIONS, None, "200"), K("client", "nobody", INSTANCE, "200", "200"),
        K("client", "nobody", VERSIONS, None, MISMATCH), K("client", "www-data", ELSEWHERE, None, NO_RULE)]),
    Step(local("second", "www-data"), "_second", [
        K("client", "daemon", VERSIONS, "200", MISMATCH), K("client", "www-data", VERSIONS, None, "200"),
        K("python", "nobody", INSTANCE, "200", "200")]),
    Step("{", GONE, [  # no JSON: closed, the host's own rules too
        K("client", "www-data", VERSIONS, "200", NO_RULE), K("python", "nobody", INSTANCE, "200", NO_RULE)]),
    Step(local("third", "daemon", access="allow"), "_third", [
        K("client", "daemon", VERSIONS, None, "200"), K("client", "www-data", ELSEWHERE, None, "404"),
        K("client", "nobody", VERSIONS, None, MISMATCH)]),
    Step(local("others-may-write", "daemon"), GONE, [
        K("client", "www-data", ELSEWHERE, "404", NO_RULE), K("client", "daemon", VERSIONS, "200", NO_RULE)], 0o666),
    Step(local("fourth", "nobody", path="/metadata/instance", effect="deny"), "_fourth", [
        K("client", "nobody", VERSIONS, None, NO_RULE), K("client", "nobody", INSTANCE, None, DENIED)]),
    Step(local("hosts-privilege", "daemon", role_holds="instance"), GONE, [  # a local role holds local privileges only
        K("client", "nobody", VERSIONS, None, NO_RULE)]),
    Step(local("fifth", "daemon"), "_fifth", [
        K("client", "nobody", INSTANCE, None, "200"), K("python", "daemon", VERSIONS, None, "200")]),
    Step(large(), "_large", [
        K("client", "nobody", INSTANCE, "200", "200"), K("python", "daemon", VERSIONS, None, "200"),
        K("client", "www-data", VERSIONS, None, MISMATCH)]),
    Step(None, GONE, [
        K("client", "nobody", INSTANCE, "200", "200"), K("client", "daemon", VERSIONS, "200", NO_RULE)]),
]
WIRE_STEPS = [
    Step(local("wire", "root", "/", query={"comp": "versions"}), "_wire", [
        K("client", "root", WIRE, None, "200", to="wireserver"), K("python", "nobody", WIRE, None, NOT_ROOT, to="wireserver"),
        K("client", "root", PLUGIN, "200", "200", to="hostga")], service="wireServer"),
    Step(local("deny", "root", "/", effect="deny"), "_deny", [
        K("client", "root", WIRE, "200", DENIED, to="wireserver"),
        K("client", "root", PLUGIN, "200", "200", to="hostga")], service="wireServer"),  # never local
]


class LocalRuleFiles(RuledLab):
    sets = HOSTS

    @classmethod
    def prepare(cls) -> None:
        super().prepare()
        relay = Relay(cls.lab, alter=ask_for_no_signature, alter_back=alter_ids)
        cls.lab.world.on_close(relay.close)
        cls.folder: Path = cls.lab.folder / "agent" / "rules"
        cls.folder.mkdir(mode=0o700)

    def put(self, step: Step) -> None:
        """A whole new file in one step; returns when the agent decides by it."""
        file = self.folder / ("IMDS_Rules.json" if step.service == "imds" else "WireServer_Rules.json")
        if step.text is None:
            file.unlink()
        else:
            fresh = file.with_suffix(".new")
            fresh.write_text(step.text)
            fresh.chmod(step.mode)
            os.replace(fresh, file)
        service = "imds" if step.service == "imds" else "wireserver"
        self.wait_rule_set(service, self.rule_set(service, step))

    @staticmethod
    def rule_set(service: str, step: Step) -> str:
        """HostGAPlugin has the host's item as it was written."""
        return DESCRIPTOR.decode().ljust(len(rule_set_name(HOSTS[1].name, service))) if service == "hostga" \
            else f"lab-useLocalFileRules-true{step.known_as}"

    def test_connections_that_live_follow_the_files(self):
        for service in ("imds", "wireserver"):
            self.wait_rule_set(service, "lab-useLocalFileRules-true")
        self.addCleanup(lambda: [file.unlink() for file in self.folder.iterdir()])
        steps = IMDS_STEPS + WIRE_STEPS
        lost = sum(self.live_through(step.connections, lambda step=step: self.put(step),
                                     lambda service, step=step: self.rule_set(service, step)) for step in steps)
        count = sum(len(step.connections) for step in steps)
        print(f"{count} connections lived through {len(steps)} local rule files: {count - lost} served on, "
              f"{lost} refused and closed", flush=True)
        self.assertGreater(lost, 10)
        self.assertGreater(count - lost, 10)


def with_identity(name: str, **identity) -> str:
    document = json.loads(local(name, "daemon"))
    document["rules"]["identities"] = [{"name": "holder", **identity}]
    return json.dumps(document)


class LocalRuleFilesOfAnAuditingHost(LocalRuleFiles):
    """A file that breaks the field's rules closes the service in the host's mode; what is wrong in ours, altogether (L.31)."""

    sets = [HOSTS[0]._replace(mode="Audit"), HOSTS[1]]

    def test_connections_that_live_follow_the_files(self):
        self.wait_rule_set("imds", "lab-useLocalFileRules-true")
        # A name between two that are closed, so that it shows when the next one holds.
        steps = [
            Step(local("zero", "daemon"), "_zero", [K("client", "www-data", VERSIONS, "200", "200")]),
            Step(with_identity("nobody-said"), GONE, [K("client", "www-data", VERSIONS, "200", "200")]),
            Step(local("first", "daemon"), "_first", []),
            Step(with_identity("misspelt", openmsp={"unti": "a.service"}), GONE, [K("client", "www-data", VERSIONS, "200", UNUSABLE)]),
            Step(local("second", "daemon"), "_second", [K("client", "www-data", VERSIONS, None, "200")]),
            Step(with_identity("null", openmsp=None), GONE, [K("client", "www-data", VERSIONS, "200", UNUSABLE)]),
            Step(local("third", "daemon"), "_third", [K("client", "www-data", VERSIONS, None, "200")]),
        ]
        self.addCleanup(lambda: [file.unlink() for file in self.folder.iterdir()])
        for step in steps:
            self.live_through(step.connections, lambda step=step: self.put(step),
                              lambda service, step=step: self.rule_set(service, step), audit_mode=True)
        self.assertIn("/rules/identities/0/openmsp/unti", self.lab.log_of("msp-agent", 4000))


class LocalRuleFilesAtOnce(LocalRuleFiles):
    """The host is asked at the start, and then not again while these tests run: what comes, the watch has seen."""

    agent_config = {"openmsp": {"pollIntervalMilliseconds": 3_600_000}}
    rewrites = 1000

    def test_a_burst_of_rewrites_ends_with_the_last_one(self):
        self.wait_rule_set("imds", "lab-useLocalFileRules-true")
        self.addCleanup(lambda: [file.unlink() for file in self.folder.iterdir()])
        self.put(Step(local("before", "daemon"), "_before", []))
        last = Step(local(f"burst-{self.rewrites}", "www-data"), f"_burst-{self.rewrites}", [
            K("client", "daemon", VERSIONS, "200", MISMATCH), K("client", "www-data", VERSIONS, None, "200")])

        def burst() -> None:
            file = self.folder / "IMDS_Rules.json"
            for count in range(1, self.rewrites):
                text = local(f"burst-{count}", ("daemon", "nobody")[count % 2])
                if count % 3 == 0:
                    file.write_text(text)  # in place: whoever reads meanwhile may find half a document
                else:
                    fresh = file.with_suffix(".new")
                    fresh.write_text(text)
                    fresh.chmod(0o600)
                    os.replace(fresh, file)
            self.put(last)
        lost = self.live_through(last.connections, burst, lambda service: self.rule_set(service, last))
        print(f"the last of {self.rewrites} rewrites decides; {lost} of {len(last.connections)} connections lost their right",
              flush=True)
        self.assertEqual(lost, 1)

    def test_a_folder_that_went_and_came_back_is_read(self):
        self.wait_rule_set("imds", "lab-useLocalFileRules-true")
        self.addCleanup(lambda: [file.unlink() for file in self.folder.iterdir()])
        self.put(Step(local("kept", "daemon"), "_kept", []))
        away = self.folder.with_name("rules-away")
        self.folder.rename(away)
        self.wait_rule_set("imds", "lab-useLocalFileRules-true")
        away.rename(self.folder)
        self.wait_rule_set("imds", "lab-useLocalFileRules-true_kept")
