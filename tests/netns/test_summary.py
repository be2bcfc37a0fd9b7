# SPDX-License-Identifier: Apache-2.0
"""Who asked what how often: the connection summaries in status.json and at /gpa-aggregated-status, for the readers of the
existing agent (docs/status.md). Real callers; what they say is compared with what was asked."""
import grp
import json
import os
import resource
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
        self.assertEqual(lab.guest_get("/provision", LISTENER).status, 200)
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
        self.assertEqual(lab.guest_get("/gpa-aggregated-status", LISTENER).status, 403)


def cpu_ms(pid: int) -> float:
    """What all threads of a process have used so far."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


class RefusedForEver(LabCase):
    """Clients that are refused ask again, as waagent does: each second, for as long as it lives."""

    agent_config = {"openmsp": {"statusIntervalSeconds": 1}}

    def test_it_costs_less_than_the_client_and_is_seen(self):
        lab, times = self.lab, 25
        unsigned = lambda: len([record for record in lab.host_records() if record.get("reason") == "unsigned"])
        before_all = unsigned()
        ours = [lab.agent.pid, lab.worker_pid(), lab.host.pid]
        curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{WIRESERVER}{VERSIONS}"]
        around = lab.outside.as_user(ORDINARY_USER)
        for name, place, status in (("the agent", lab.guest.as_user(ORDINARY_USER), "403"), ("the host", around, "401")):
            with self.subTest(name):
                before = sum(map(cpu_ms, ours))
                client = resource.getrusage(resource.RUSAGE_CHILDREN)
                for _ in range(times):
                    self.assertEqual(place.run(curl).stdout.decode(), status)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                cost = sum(map(cpu_ms, ours)) - before
                of_curl = 1000 * (after.ru_utime + after.ru_stime - client.ru_utime - client.ru_stime)
                print(f"{times} requests that {name} refuses: {cost:.1f} ms of agent, worker and host, {of_curl:.0f} ms of the client", end=" ",
                      flush=True)
                self.assertLess(cost, of_curl / 2)
        self.assertEqual(lab.status()["counters"]["outcomes"]["denied"], times)
        self.assertEqual(lab.status()["lastRefusals"][0]["reason"], "not_elevated")

        def failed() -> list[int]:
            document = json.loads((lab.folder / "agent" / "log" / "status.json").read_text())
            return [row["count"] for row in document["failedAuthenticateSummary"] if row["userName"] == ORDINARY_USER]
        poll("who it is and how often", lambda: failed() == [times])
        poll("what the host refused", lambda: unsigned() == before_all + times)
