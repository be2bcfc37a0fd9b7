# SPDX-License-Identifier: Apache-2.0
"""What the scenarios share: a lab for a class, and how a refusal is judged."""
import json
import os
import unittest
from pathlib import Path

from lab.http import Answer
from lab.lab import SERVICES, Lab
from lab.world import poll

PROGRAMS = Path(os.environ.get("MSP_PROGRAMS", "build/release"))


def number(name: str, default: int) -> int:
    """A count that a long run raises by an environment variable."""
    return int(os.environ.get(name, default))


class LabCase(unittest.TestCase):
    """One lab for all tests of the class; class members change its configuration."""

    agent_config: dict = {}
    vm_model: dict = {}
    host_serves: tuple = tuple(SERVICES)
    start_agent = True
    lab: Lab

    @classmethod
    def give_imds_rules(cls, profile_id: str, rules: dict) -> None:
        """One access control profile, and the machine's IMDS refers to it; for prepare()."""
        lab = cls.lab
        profile = lab.folder / "profile.json"
        profile.write_text(json.dumps({"id": profile_id, "properties": {
            "mode": "Enforce", "defaultAccess": "Deny", "osType": "Linux", "applicableHostEndpoint": "IMDS", "rules": rules}}))
        host = json.loads(lab.host_config_file.read_text())
        host["accessControlProfiles"] = [str(profile)]
        lab.host_config_file.write_text(json.dumps(host))
        model = json.loads(lab.vm_model_file.read_text())
        settings = model["properties"]["securityProfile"]["proxyAgentSettings"]
        settings["imds"] = {"inVMAccessControlProfileReferenceId": profile_id}
        lab.vm_model_file.write_text(json.dumps(model))

    @classmethod
    def setUpClass(cls) -> None:
        cls.lab = Lab(PROGRAMS, "msp-test", cls.agent_config, cls.vm_model, cls.host_serves)
        cls.addClassCleanup(cls.lab.close)
        try:
            cls.prepare()
            cls.lab.start_host()
            if cls.start_agent:
                cls.lab.start_agent()
        except Exception as error:
            raise AssertionError(f"{error}\n{cls.logs()}") from error

    @classmethod
    def prepare(cls) -> None:
        """Before the programs start."""

    @classmethod
    def logs(cls) -> str:
        return "".join(f"--- {name}\n{cls.lab.log_of(name)}\n" for name in ("msp-host", "msp-agent"))

    def assert_refused(self, answer: Answer, status: int, code: str | None = None, audited: bool = True) -> dict:
        """Status, form of the body (protocol.md J.2), and an audit record that says the same. Returns the record."""
        self.assertEqual(answer.status, status, f"{answer}: {answer.body[:300]!r}")
        self.assertEqual(answer.headers.get("content-type"), "application/json")
        self.assertEqual(answer.headers.get("cache-control"), "no-store")
        document = answer.json()
        self.assertEqual(sorted(document), ["error", "error_description", "request_id"])
        self.assertRegex(document["error"], r"^[a-z0-9_]+$")
        if code is not None:
            self.assertEqual(document["error"], code)
        if status == 403:
            self.assertNotIn("unreachable", document["error_description"].lower())
        return self.audit_of(document["request_id"], status, document["error"]) if audited else {}

    def audit_of(self, request_id: str, status: int, reason: str) -> dict:
        found = poll(f"audit record of request {request_id}", lambda: [
            record for record in self.lab.audit_records() if record.get("request_id") == request_id], 3)
        self.assertEqual(len(found), 1, "exactly one audit record a request")
        self.assertEqual(found[0]["status"], status)
        self.assertEqual(found[0]["decision"], "deny")
        # The client learns that the host failed; the log also knows how.
        self.assertRegex(found[0]["reason"], "^upstream_" if reason == "upstream_failed" else f"^{reason}$")
        return found[0]
