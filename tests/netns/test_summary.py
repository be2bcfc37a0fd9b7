# SPDX-License-Identifier: Apache-2.0
"""Who asked what how often: the connection summaries in status.json and at /gpa-aggregated-status, for the readers of the
existing agent (docs/status.md). Real callers; what they say is compared with what was asked."""
import grp
import json
import os
import stat
import sys
from pathlib import Path

from base import LabCase
from lab import http
from lab.lab import IMDS, ORDINARY_USER, WIRESERVER
from lab.world import poll

INSTANCE = "/metadata/instance?api-version=2021-02-01"
VERSIONS = "/?comp=versions"
LISTENER = "127.0.0.1:3080"
MEMBERS = ["userName", "ip", "port", "processCmdLine", "responseStatus", "count", "userGroups", "processFullPath"]


class Summary(LabCase):
    agent_config = {"openmsp": {"statusIntervalSeconds": 1}}

    def rows(self, name: str, document: dict) -> dict[tuple, int]:
        for row in document[name]:
            self.assertEqual(list(row), MEMBERS)
        return {(row["userName"], row["ip"], row["port"], row["responseStatus"]): row["count"] for row in document[name]}

    def test_summaries_say_who_asked_what_and_how_often(self):
        lab, file = self.lab, self.lab.folder / "agent" / "log" / "status.json"
        def summarized() -> dict | None:
            """Of what starting the lab has asked."""
            records = [record for record in lab.audit_records() if record.get("service") in ("imds", "wireserver")]
            rows = self.rows("proxyConnectionSummary", json.loads(file.read_text()))
            return rows if sum(rows.values()) == len(records) else None
        before = poll("a summary of all that was asked before", summarized)
        for _ in range(5):
            self.assertEqual(lab.guest_get(INSTANCE).status, 200)
        for _ in range(3):
            self.assertEqual(lab.guest_get(VERSIONS, WIRESERVER).status, 403)
        self.assertEqual(lab.guest_get(VERSIONS, WIRESERVER, None).status, 200)
        self.assertEqual(lab.guest_get("/metadata/a/../b").status, 403)
        self.assertEqual(lab.guest_get("/metadata/%zz").status, 400)
        self.assertEqual(lab.guest_get("/provision").status, 200)
        asked = {(ORDINARY_USER, "169.254.169.254", 80, "200 OK"): 5, (ORDINARY_USER, "168.63.129.16", 80, "403 Forbidden"): 3,
                 ("root", "168.63.129.16", 80, "200 OK"): 1, (ORDINARY_USER, "169.254.169.254", 80, "403 Forbidden"): 1}

        def counted() -> bool:
            rows = self.rows("proxyConnectionSummary", json.loads(file.read_text()))
            return {key: count - before.get(key, 0) for key, count in rows.items() if count != before.get(key, 0)} == asked
        poll("the summary is what was asked", counted)
        document = json.loads(file.read_text())
        # A path that climbs is refused whatever rules say.
        self.assertEqual(self.rows("failedAuthenticateSummary", document),
                         {(ORDINARY_USER, "168.63.129.16", 80, "403 Forbidden"): 3})
        row = document["failedAuthenticateSummary"][0]
        self.assertEqual(row["processFullPath"], os.path.realpath(sys.executable))
        self.assertEqual(row["processCmdLine"], Path("/proc/self/comm").read_text().strip())
        self.assertEqual(row["userGroups"], [grp.getgrgid(65534).gr_name])
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o640)

        asked_locally = lab.guest.as_user(None).call(http.get, LISTENER, "/gpa-aggregated-status")
        self.assertEqual(asked_locally.status, 200)
        self.assertEqual(self.rows("failedAuthenticateSummary", asked_locally.json()),
                         self.rows("failedAuthenticateSummary", document))
        self.assertEqual(lab.guest_get("/gpa-aggregated-status", IMDS).status, 403)
