# SPDX-License-Identifier: Apache-2.0
"""Unmodified waagent and cloud-init behind the agent, under each of the two allowlists that we ship for them.

What they need passes under both, each request by the privilege that is meant for it; what else passes under the list in
the field's form, and is refused under ours with units, is tried. Audit log, msp-host's access log and what the clients
themselves say have to agree. A "unit" is a cgroup that the test makes.
"""
import json

from client_judge import CLOUD_INIT_NEEDS, WAAGENT_NEEDS, Judge
from lab import http
from lab.lab import HOSTGA, IMDS, ORDINARY_USER, VM_ID, WIRESERVER
from lab.world import Place, poll
from real_clients import COMMANDS, INIT, LOCAL, WAAGENT, RealClients, end_all
from scripts_of_root import CURL, PYTHON

SESSION = ("user.slice", "user-0.slice", "session-1.scope")
GOAL_STATE = "/machine/?comp=goalstate"
CERTIFICATES = f"/machine/{VM_ID}/any._vm-1?comp=certificates&incarnation=1"
REPROVISION = "/metadata/reprovisiondata?api-version=2019-06-01"
NEEDED = {unit: set() for unit in COMMANDS} | {WAAGENT: WAAGENT_NEEDS, LOCAL: CLOUD_INIT_NEEDS}
PERMIT, NOT_THEIRS, NO_RULE = ("permit", ""), ("deny", "identity_mismatch"), ("deny", "no_rule")
# What is tried: by which program, in which cgroup, what; what becomes of it under the field's form, and under ours.
ATTEMPTS = [
    ("a script of root named waagent: goal state", PYTHON, SESSION, "GET", WIRESERVER, GOAL_STATE, PERMIT, NOT_THEIRS),
    ("the same script in waagent's unit", PYTHON, (WAAGENT,), "GET", WIRESERVER, GOAL_STATE, PERMIT, PERMIT),
    ("a script of root: certificates and keys", PYTHON, SESSION, "GET", WIRESERVER, CERTIFICATES, PERMIT, NOT_THEIRS),
    ("a script of root: HostGAPlugin's settings", PYTHON, SESSION, "GET", HOSTGA, "/vmSettings", PERMIT, NOT_THEIRS),
    ("a script of root: instance metadata", PYTHON, SESSION, "GET", IMDS, "/metadata/instance?api-version=2021-08-01",
     PERMIT, NOT_THEIRS),
    ("a script in another service", PYTHON, ("backup.service",), "GET", WIRESERVER, GOAL_STATE, PERMIT, NOT_THEIRS),
    ("waagent's unit: what only cloud-init needs", PYTHON, (WAAGENT,), "GET", IMDS, REPROVISION, PERMIT, NOT_THEIRS),
    ("cloud-init's unit: the same", PYTHON, (LOCAL,), "GET", IMDS, REPROVISION, PERMIT, PERMIT),
    ("cloud-init's unit: HostGAPlugin's settings", PYTHON, (LOCAL,), "GET", HOSTGA, "/vmSettings", PERMIT, NOT_THEIRS),
    ("waagent's unit: another method", PYTHON, (WAAGENT,), "DELETE", WIRESERVER, GOAL_STATE, PERMIT, NO_RULE),
    ("curl of root", CURL, SESSION, "GET", WIRESERVER, GOAL_STATE, NOT_THEIRS, NOT_THEIRS),
    ("curl in waagent's unit", CURL, (WAAGENT,), "GET", WIRESERVER, GOAL_STATE, NOT_THEIRS, PERMIT),
    ("a path of nobody's", PYTHON, (WAAGENT,), "GET", WIRESERVER, "/machine?comp=other", NO_RULE, NO_RULE),
]


class Attempts(Judge):
    """What else is tried; `column` picks what is expected."""

    column = 0

    def test_who_else_may_ask(self):
        for what, program, where, method, address, target, *expected in ATTEMPTS:
            with self.subTest(what):
                decision, reason = expected[self.column]
                place = self.unit(*where)
                status, code, record = self.attempt(place, program, method, address, target)
                self.assertEqual((record["decision"], record.get("reason", "")), (decision, reason))
                self.assertEqual((record["status"], record["user"]), (status, "root"))
                if decision == "deny":
                    self.assertEqual((status, code), (403, reason))
                if program is PYTHON:
                    self.assertEqual(record["process"], "waagent")
                print(f"\n  {what}: {decision} {reason or record.get('privilege')} (status {status})", end="", flush=True)
                if what == ATTEMPTS[0][0]:
                    print(f"\n    {json.dumps(record)}", end="")

    def attempt(self, place: Place, program: list, method: str, address: str, target: str) -> tuple[int, str, dict]:
        before = len(self.records(place))
        url = f"http://{address.removesuffix(':80')}{target}"
        body, _, status = self.root.run(place, [*program, method, url]).rstrip("\n").rpartition("\n")
        [record] = poll("its audit record", lambda: self.records(place)[before:], 3)
        code = json.loads(body).get("error", "") if body.startswith('{"error"') else ""
        return int(status), code, record

    def test_another_user_may_not(self):
        place = self.unit(WAAGENT).as_user(ORDINARY_USER)
        answer = place.call(http.get, IMDS, "/metadata/instance?api-version=2018-02-01")
        self.assert_refused(answer, 403, "identity_mismatch")

    def run_by_hand(self, good) -> list[dict]:
        """waagent itself, started from root's session, until good(its records)."""
        self.root.forget_waagent()
        place = self.unit(*SESSION[:2], "session-2.scope")
        process = self.start_client(place, COMMANDS[WAAGENT], "by-hand")
        try:
            poll("waagent, started by hand", lambda: good(self.records(place)), 40)
        finally:
            end_all(place, process)
        return self.records(place)


class TheFieldsForm(Attempts, RealClients):
    """Its identity is root's python, and nothing else can be said in this form."""

    allowlist = "waagent-cloud-init.field.json"
    column = 0
    needed, interpreter = NEEDED, "/usr/bin/python3.11"
    identities = dict.fromkeys(COMMANDS, "rootPython")

    def test_waagent_by_hand(self):
        records = self.run_by_hand(lambda found: any(r["target"] == "/status" for r in found))
        self.assertEqual({r["decision"] for r in records}, {"permit"}, "as good as the service's")


class OursWithUnits(Attempts, RealClients):
    allowlist = "waagent-cloud-init.units.json"
    column = 1
    needed, interpreter = NEEDED, "/usr/bin/python3.11"
    identities = {WAAGENT: "waagent", LOCAL: "cloudInitLocal", INIT: "cloudInit"}

    def test_waagent_by_hand(self):
        uploads = self.uploads()
        records = self.run_by_hand(lambda found: len(found) >= 2)
        self.assertEqual({(r["decision"], r["status"], r["reason"]) for r in records}, {("deny", 403, "identity_mismatch")})
        self.assertEqual(self.uploads(), uploads)
