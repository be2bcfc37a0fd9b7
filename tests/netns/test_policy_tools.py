# SPDX-License-Identifier: Apache-2.0
"""The tools for authors say what the programs do: explain and simulate against the answers and the log of a live agent."""
import json
import os
import subprocess
import sys

from base import LabCase
from lab import http
from lab.lab import IMDS, ORDINARY_USER, WIRESERVER
from lab.world import Place, poll

PROFILE = ("/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/lab/providers/Microsoft.Compute/galleries/"
           "policies/inVMAccessControlProfiles/imds/versions/1.0.0")
RULES = {
    "privileges": [{"name": "instance", "path": "/metadata/instance", "queryParameters": {"api-version": "2021-02-01"}},
                   {"name": "versions", "path": "/metadata/versions"}],
    "roles": [{"name": "reader", "privileges": ["instance"]}, {"name": "looker", "privileges": ["versions"]}],
    "identities": [{"name": "python", "userName": ORDINARY_USER, "exePath": os.path.realpath(sys.executable)},
                   {"name": "daemon", "userName": "daemon"}],
    "roleAssignments": [{"role": "reader", "identities": ["python"]}, {"role": "looker", "identities": ["daemon", "python"]}],
}
TARGETS = ["/metadata/instance?api-version=2021-02-01", "/metadata/instance?api-version=1999-01-01", "/metadata/versions",
           "/metadata/versionsx", "/metadata/Versions/", "/metadata/%zz", "/metadata/a/../versions",
           "/secure-channel/status", "/"]


class PolicyTools(LabCase):
    @classmethod
    def prepare(cls) -> None:
        lab = cls.lab
        cls.profile = lab.folder / "profile.json"
        cls.write_profile(RULES)
        host = json.loads(lab.host_config_file.read_text())
        host["accessControlProfiles"] = [str(cls.profile)]
        lab.host_config_file.write_text(json.dumps(host))
        model = json.loads(lab.vm_model_file.read_text())
        settings = model["properties"]["securityProfile"]["proxyAgentSettings"]
        settings["imds"] = {"inVMAccessControlProfileReferenceId": PROFILE}
        lab.vm_model_file.write_text(json.dumps(model))

    @classmethod
    def write_profile(cls, rules: dict) -> None:
        cls.profile.write_text(json.dumps({"id": PROFILE, "properties": {
            "mode": "Enforce", "defaultAccess": "Deny", "osType": "Linux", "applicableHostEndpoint": "IMDS",
            "rules": rules}}))

    def mspctl(self, *arguments) -> tuple[int, dict]:
        done = subprocess.run([self.lab.programs / "mspctl", "policy", arguments[0], "--json", *arguments[1:]],
                              capture_output=True, text=True, check=False, timeout=30)
        self.assertNotEqual(done.returncode, 2, done.stderr)
        return done.returncode, json.loads(done.stdout)

    def ask_all(self) -> int:
        """Every target by every user, with explain beside each answer. Returns how many were asked."""
        asked = 0
        for user in (ORDINARY_USER, "daemon", "root"):
            place = Place(self.lab.guest_netns, self.lab.world.cgroup("guest", "apps"), user)
            for service, address in (("imds", IMDS), ("wireserver", WIRESERVER)):
                for target in TARGETS:
                    answer = place.call(http.get, address, target)
                    rules = ["--rules", str(self.profile)] if service == "imds" else ["--no-rules"]
                    _, said = self.mspctl("explain", *rules, "--service", service, "--as", user, "--exe",
                                          os.path.realpath(sys.executable), "GET", target)
                    asked += 1
                    if said["outcome"] == "permit":
                        # The host has no such page, or has it: it was asked.
                        self.assertIn(answer.status, (200, 404), f"{user} {service} {target}: {answer.body[:200]!r}")
                    else:
                        self.assertEqual((answer.status, answer.json()["error"]), (said["status"], said["code"]),
                                         f"{user} {service} {target}")
        return asked

    def test_what_explain_and_simulate_say_is_what_the_agent_does(self):
        before = len(self.lab.audit_records())
        asked = self.ask_all()
        self.assertGreaterEqual(asked, 50)
        poll("all records are written",
             lambda: len([r for r in self.lab.audit_records()[before:] if "request_id" in r]) >= asked, 5)
        simulate = ("simulate", "--requests", str(self.lab.agent_audit), "--service", "imds", "--rules",
                    str(self.profile))
        code, said = self.mspctl(*simulate, "--expect-unchanged")
        self.assertEqual((code, said["changed"], said["unusable"]), (0, 0, 0), said["groups"])
        self.assertGreaterEqual(said["requests"], asked)
        self.assertGreater(said["outcomes"]["permit"], 0)
        self.assertGreater(said["outcomes"]["deny"], 0)
        # The same log with rules that take one right away.
        held = RULES["roleAssignments"]
        self.write_profile({**RULES, "roleAssignments": held[:1]})
        self.addCleanup(self.write_profile, RULES)
        code, said = self.mspctl(*simulate, "--expect-unchanged")
        self.assertEqual(code, 1)
        changed = {(g["user"], g["path"], g["before"], g["outcome"]) for g in said["groups"] if g["changed"]}
        self.assertEqual(changed, {(user, path, "permit", "deny") for user in (ORDINARY_USER, "daemon")
                                   for path in ("/metadata/versions", "/metadata/Versions/")})
