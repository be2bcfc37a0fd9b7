# SPDX-License-Identifier: Apache-2.0
"""Judges a run of the real clients: the agent's audit log against msp-host's, the kernel's process list and the clients."""
import json
from collections import Counter

from lab.storage import NAME, SSH_KEY, TOLD
from lab.world import poll
from real_clients import LONG, WAAGENT

# What waagent starts in its own unit: its handler of extensions, and by this the extensions.
CHILDREN = {"/usr/bin/python3 -u /usr/sbin/waagent -run-exthandlers"} | ({"/usr/bin/python3 bin/ask.py"} if LONG else set())
# Which privilege is meant for what they ask: path, or its first segment where a comp parameter decides.
PRIVILEGES = {
    "/ versions": "versions", "/machine goalstate": "goalstate", "/machine config": "config",
    "/machine certificates": "certificates", "/machine health": "health", "/machine telemetrydata": "telemetry",
    "/HealthService": "healthservice", "/versions": "gaVersions",
    "/health": "gaHealth", "/vmSettings": "gaVmSettings", "/status": "gaStatus",
    "/metadata 2018-02-01": "instanceAgent", "/metadata 2021-08-01": "instanceCi"}
WAAGENT_NEEDS = {"versions", "goalstate", "config", "certificates", "health", "healthservice", "gaVersions",
                 "gaHealth", "gaVmSettings", "gaStatus", "instanceAgent"} | ({"telemetry"} if LONG else set())
CLOUD_INIT_NEEDS = {"instanceCi", "goalstate", "health"}


class Judge:
    """What has to be true of a run, whatever the list; for a class of RealClients.

    `identities`: which identity of the list each unit has to be. `needed`: which privileges a run must have used at least.
    """

    identities: dict = {}
    needed: dict = {}
    interpreter = ""

    def test_cloud_init_finds_its_source_and_reports_ready(self):
        self.assertEqual(set(self.cloud_init_status.values()), {0}, f"{self.cloud_init_status}\n{self.client_logs()}")
        result = json.loads((self.root.path / "run/cloud-init/result.json").read_text())["v1"]
        self.assertRegex(result["datasource"], r"^DataSourceAzure ")
        self.assertEqual(result["errors"], [])
        told = self.after_cloud_init
        self.assertEqual((told["state"], told["by"].split("/")[0]), ("Ready", "Cloud-Init"))

    def test_cloud_init_does_what_the_model_says(self):
        self.assertEqual((self.root.path / TOLD.lstrip("/")).read_text(), "from the model")
        self.assertIn(SSH_KEY, (self.root.path / "home/azureuser/.ssh/authorized_keys").read_text())

    def test_waagent_gets_ready(self):
        self.assertTrue(self.waagent_ran, "it was still there at the end")
        told = self.reported()
        self.assertEqual((told["provisioning"]["state"], told["provisioning"]["by"].split("/")[0]), ("Ready", "WALinuxAgent"))
        self.assertEqual(told["agent"]["state"], "Ready")
        whole = told["document"]["aggregateStatus"]
        self.assertEqual(whole["guestAgentStatus"]["status"], "Ready")
        goal_state = whole["vmArtifactsAggregateStatus"]["goalStateAggregateStatus"]
        self.assertEqual(goal_state["status"], "Success", goal_state)
        print(f"waagent {told['agent']['version']}, {self.uploads()} status documents, goal state {goal_state['status']}: ",
              end="", flush=True)
        if LONG:
            [handler] = whole["handlerAggregateStatus"]
            self.assertEqual((handler["handlerName"], handler["status"]), (NAME, "Ready"))

    def test_waagent_opens_the_certificates(self):
        """It has decrypted, with the key of its transport certificate, what only it could."""
        kept = self.root.path / "var/lib/waagent"
        self.assertTrue((kept / f"{self.thumbprint}.crt").exists(), sorted(p.name for p in kept.iterdir()))
        self.assertIn("PRIVATE KEY", (kept / f"{self.thumbprint}.prv").read_text())

    def test_all_that_they_ask_is_permitted_by_what_is_meant_for_it(self):
        for unit, records in self.seen.items():
            commands = {" ".join(["/usr/bin/python3", *self.units[unit]])} | (CHILDREN if unit == WAAGENT else set())
            for record in records:
                with self.subTest(unit=unit, target=record["target"]):
                    self.assertEqual((record["decision"], record["user"]), ("permit", "root"))
                    self.assertTrue(record["exe"].endswith(self.interpreter), record["exe"])
                    self.assertEqual(record.get("privilege", ""), PRIVILEGES.get(asked(record)))
                    self.assertEqual(record["identity"], self.identities[unit])
                    # The kernel's own list says who this was.
                    self.assertIn(self.processes.get(record["pid"], "nobody"), commands)
            self.assertLessEqual(self.needed[unit], {record.get("privilege") for record in records})
        self.assertEqual(self.strangers, [], "nobody else asked")
        print("\n" + self.table(), flush=True)

    def table(self) -> str:
        rows = Counter((unit, r["process"], r["service"], r["method"], asked(r), r.get("privilege", ""),
                        r.get("identity", ""), r["status"]) for unit, records in self.seen.items() for r in records)
        return "\n".join(f"  {count:4} {' '.join(str(cell) for cell in row)}" for row, count in rows.items())

    def test_the_host_has_verified_what_the_agent_let_through(self):
        def agreed() -> Counter | None:
            ours = Counter((r["service"], r["method"], r["target"].partition("?")[0]) for r in self.lab.audit_records()
                           if r.get("decision") == "permit" and r["status"])
            return ours if ours == Counter((r["service"], r["method"], r["path"]) for r in self.lab.host_records()
                                           if r["outcome"] in ("verified", "exempt")) else None
        self.assertGreater(sum(poll("the two logs agree", agreed, 3).values()), 30)


def asked(record: dict) -> str:
    path, _, query = record["target"].partition("?")
    parameters = dict(part.partition("=")[::2] for part in query.split("&"))
    what = parameters.get("comp", parameters.get("api-version", ""))
    return f"/{path.split('/')[1]} {what}" if what else path
