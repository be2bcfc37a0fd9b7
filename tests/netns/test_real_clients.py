# SPDX-License-Identifier: Apache-2.0
"""Unmodified waagent and cloud-init behind the agent, under each of the two allowlists that we ship for them.

What they need passes under both, each request by the privilege that is meant for it; what else passes under the list in
the field's form, and is refused under ours with units, is tried. Audit log, msp-host's access log and what the clients
themselves say have to agree. A "unit" is a cgroup that the test makes.
"""
import json
from collections import Counter

from lab import http
from lab.fabric import CONTAINER, INSTANCE
from lab.lab import HOSTGA, IMDS, ORDINARY_USER, WIRESERVER
from lab.world import Place, poll
from real_clients import CLOUD_INIT, COMMANDS, INIT, LOCAL, WAAGENT, RealClients, end_all

SESSION = ("user.slice", "user-0.slice", "session-1.scope")
GOAL_STATE = "/machine/?comp=goalstate"
CERTIFICATES = f"/machine/{CONTAINER}/{INSTANCE}?comp=certificates&incarnation=1"
REPROVISION = "/metadata/reprovisiondata?api-version=2019-06-01"
HANDLER = "/usr/bin/python3 -u /usr/sbin/waagent -run-exthandlers"  # what the daemon starts, in its unit
# Which privilege is meant for what they ask: path, or its first segment where a comp parameter decides.
PRIVILEGES = {
    "/ versions": "versions", "/machine goalstate": "goalstate", "/machine config": "config",
    "/machine certificates": "certificates", "/machine health": "health", "/machine telemetrydata": "telemetry",
    "/remoteAccessInfoUrl remoteAccess": "remoteaccess", "/HealthService": "healthservice", "/versions": "gaVersions",
    "/health": "gaHealth", "/vmSettings": "gaVmSettings", "/status": "gaStatus",
    "/metadata 2018-02-01": "instanceAgent", "/metadata 2021-08-01": "instanceCi"}
# What one short run must have shown; telemetry is exempt, so no privilege decides it.
NEEDED = {WAAGENT: {"versions", "goalstate", "config", "certificates", "remoteaccess", "health", "healthservice",
                    "gaVersions", "gaHealth", "gaVmSettings", "gaStatus", "instanceAgent"},
          LOCAL: {"instanceCi", "goalstate", "health"}, INIT: set(), "cloud-config.service": set(),
          "cloud-final.service": set()}
# Asks as any script of root could, after it has taken waagent's name: argv is set by the caller, comm by itself.
SCRIPT = """
import sys, urllib.error, urllib.request
open('/proc/self/comm', 'w').write('waagent')
request = urllib.request.Request(sys.argv[2], method=sys.argv[1], headers={'Metadata': 'true'})
try:
    answer = urllib.request.urlopen(request, timeout=10)
except urllib.error.HTTPError as error:
    answer = error
print(answer.read().decode() + chr(10) + str(answer.status))
"""
PYTHON = ["sh", "-c", 'exec "$@"', "sh", "/usr/bin/python3", "-c", SCRIPT]
CURL = ["curl", "-s", "-m", "10", "-H", "Metadata: true", "-w", "\n%{http_code}", "-X"]
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


class Judge:
    """The tests of both lists; `column` picks what is expected of an attempt."""

    column = 0
    identities: dict = {}
    interpreter = "/usr/bin/python3.11"

    def test_cloud_init_finds_its_source_and_reports_ready(self):
        self.assertEqual(self.cloud_init_status, {unit: 0 for unit in CLOUD_INIT}, self.client_logs())
        result = json.loads((self.root.path / "run/cloud-init/result.json").read_text())["v1"]
        self.assertRegex(result["datasource"], r"^DataSourceAzure ")
        self.assertEqual(result["errors"], [])
        self.assertEqual([state for who, state in self.fabric.health if who == "Cloud-Init"], ["Ready"])

    def test_waagent_gets_ready(self):
        self.assertTrue(self.waagent_ran, "it was still there at the end")
        self.assertEqual([state for who, state in self.fabric.health if who == "WALinuxAgent"][:2], ["NotReady", "Ready"])
        self.assertEqual({s["aggregateStatus"]["guestAgentStatus"]["status"] for s in self.fabric.statuses}, {"Ready"})

    def test_all_that_they_ask_is_permitted_by_what_is_meant_for_it(self):
        for unit, records in self.seen.items():
            commands = {" ".join(["/usr/bin/python3", *COMMANDS[unit]])} | ({HANDLER} if unit == WAAGENT else set())
            for record in records:
                with self.subTest(unit=unit, target=record["target"]):
                    self.assertEqual((record["decision"], record["user"]), ("permit", "root"))
                    self.assertTrue(record["exe"].endswith(self.interpreter), record["exe"])
                    if record.get("privilege") is not None or not record["target"].endswith("telemetrydata"):
                        self.assertEqual(record.get("privilege"), PRIVILEGES.get(asked(record)))
                        self.assertEqual(record["identity"], self.identities[unit])
                    # The kernel's own list says who this was.
                    self.assertIn(self.watches[unit].processes.get(record["pid"], "nobody"), commands)
            self.assertLessEqual(NEEDED[unit], {record.get("privilege") for record in records})
        print("\n" + self.table(), flush=True)

    def table(self) -> str:
        rows = Counter((unit, r["process"], r["service"], r["method"], asked(r), r.get("privilege", "exempt"),
                        r.get("identity", ""), r["status"]) for unit, records in self.seen.items() for r in records)
        return "\n".join(f"  {count:4} {' '.join(str(cell) for cell in row)}" for row, count in rows.items())

    def test_the_host_has_verified_what_the_agent_let_through(self):
        def both() -> tuple[Counter, Counter]:
            ours = [r for r in self.lab.audit_records() if r.get("decision") == "permit" and r["status"]]
            hosts = [r for r in self.lab.host_records() if r["outcome"] in ("verified", "exempt")]
            return (Counter((r["service"], r["method"], r["target"].partition("?")[0]) for r in ours),
                    Counter((r["service"], r["method"], r["path"]) for r in hosts))
        poll("the two logs agree", lambda: len(set(map(str, map(sorted_items, both())))) == 1, 3)
        self.assertGreater(sum(both()[0].values()), 30)

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

    def attempt(self, place: Place, program: list, method: str, address: str, target: str) -> tuple[int, str, dict]:
        before = len(self.records(place))
        url = f"http://{address.removesuffix(':80')}{target}"
        body, _, status = self.root.run(place, [*program, method, url]).rstrip("\n").rpartition("\n")
        [record] = poll("its audit record", lambda: self.records(place)[before:], 3)
        code = json.loads(body).get("error", "") if body.startswith('{"error"') else ""
        return int(status), code, record

    def test_another_user_may_not(self):
        place = self.unit(WAAGENT).as_user(ORDINARY_USER)
        self.assert_refused(place.call(http.get, IMDS, "/metadata/instance?api-version=2018-02-01"), 403, "identity_mismatch")

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


class TheFieldsForm(Judge, RealClients):
    """Its identity is root's python, and nothing else can be said in this form."""

    allowlist = "waagent-cloud-init.field.json"
    column = 0
    identities = dict.fromkeys(COMMANDS, "rootPython")

    def test_waagent_by_hand(self):
        records = self.run_by_hand(lambda found: any(r["target"] == "/status" for r in found))
        self.assertEqual({r["decision"] for r in records}, {"permit"}, "as good as the service's")


class OursWithUnits(Judge, RealClients):
    allowlist = "waagent-cloud-init.units.json"
    column = 1
    identities = {WAAGENT: "waagent", LOCAL: "cloudInitLocal", INIT: "cloudInit"}

    def test_waagent_by_hand(self):
        uploads = len(self.fabric.statuses)
        records = self.run_by_hand(lambda found: len(found) >= 2)
        self.assertEqual({(r["decision"], r["status"], r["reason"]) for r in records}, {("deny", 403, "identity_mismatch")})
        self.assertEqual(len(self.fabric.statuses), uploads)


def asked(record: dict) -> str:
    path, _, query = record["target"].partition("?")
    parameters = dict(part.partition("=")[::2] for part in query.split("&"))
    what = parameters.get("comp", parameters.get("api-version", ""))
    return f"/{path.split('/')[1]} {what}" if what else path


def sorted_items(counter: Counter) -> list:
    return sorted(counter.items())
