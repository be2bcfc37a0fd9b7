# SPDX-License-Identifier: Apache-2.0
"""IMDS beyond the instance, through the agent: a scheduled event and its approval, an attested document that openssl
verifies, limits on how often a machine may ask."""
import base64
import json
import subprocess
import time

from base import LabCase
from lab import http
from lab.lab import IMDS
from lab.world import poll
from real_clients import change

EVENTS = "/metadata/scheduledevents?api-version=2020-07-01"
INSTANCE = "/metadata/instance?api-version=2021-02-01"
TOKEN = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.example"


class Documents(LabCase):
    @classmethod
    def prepare(cls) -> None:
        change(cls.lab.host_config_file, lambda config: config.update(adminSocket=str(cls.lab.folder / "host" / "admin.sock")))

    def mspctl(self, *words: str) -> dict:
        done = subprocess.run([self.lab.programs / "mspctl", "vm", *words, "--json", "--config", self.lab.host_config_file],
                              check=True, capture_output=True, text=True, timeout=10)
        return json.loads(done.stdout)

    def approve(self, event: str) -> http.Answer:
        body = json.dumps({"StartRequests": [{"EventId": event}]}).encode()
        return self.lab.guest.call(http.exchange, IMDS, http.request_bytes(IMDS, EVENTS, "POST", None, body))

    def test_an_event_is_scheduled_approved_and_over(self):
        before = self.lab.guest_get(EVENTS).json()
        self.assertEqual(before["Events"], [])
        [event] = self.mspctl("event", "vm-1", "--schedule", "Reboot", "--in", "600", "--description", "new kernel")["value"]
        told = self.lab.guest_get(EVENTS).json()
        self.assertGreater(told["DocumentIncarnation"], before["DocumentIncarnation"])
        [seen] = told["Events"]
        self.assertEqual((seen["EventId"], seen["EventType"], seen["EventStatus"], seen["Resources"], seen["Description"]),
                         (event["id"], "Reboot", "Scheduled", ["vm-1"], "new kernel"))
        self.assertEqual(self.approve("none").status, 400)
        self.assertEqual(self.approve(event["id"]).status, 200)
        self.assertEqual(self.lab.guest_get(EVENTS).json()["Events"][0]["EventStatus"], "Started")
        [event] = self.mspctl("event", "vm-1")["value"]
        self.assertEqual(event["status"], "Started")
        self.assertEqual(self.mspctl("event", "vm-1", "--end", event["id"])["value"], [])
        self.assertEqual(self.lab.guest_get(EVENTS).json()["Events"], [])
        self.assertEqual(self.lab.outside.call(http.get, IMDS, EVENTS).code, "unsigned")

    def test_the_attested_document_verifies(self):
        told = self.lab.guest_get("/metadata/attested/document?api-version=2020-09-01&nonce=abc123").json()
        signed, certificate = self.lab.folder / "signed.der", self.lab.folder / "host" / "attested.pem"
        signed.write_bytes(base64.b64decode(told["signature"]))

        def verify() -> subprocess.CompletedProcess:
            return subprocess.run(["openssl", "cms", "-verify", "-inform", "DER", "-in", signed, "-CAfile", certificate, "-purpose",
                                   "any", "-binary"], capture_output=True, text=True, check=False)
        done = verify()
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads(done.stdout)
        self.assertEqual(document["nonce"], "abc123")
        altered = signed.read_bytes().replace(b"abc123", b"abc124")
        signed.write_bytes(altered)
        self.assertNotEqual(verify().returncode, 0)


class Limits(LabCase):
    @classmethod
    def prepare(cls) -> None:
        change(cls.lab.host_config_file, lambda config: config.update(limits={"imdsPerSecond": 4, "identityPerSecond": 2}))

    def test_too_many_are_told_when_to_come_again(self):
        for target, good, bound in ((INSTANCE, 200, 4), (TOKEN, 400, 2)):
            with self.subTest(target):
                begun = time.monotonic()
                answers = [self.lab.guest_get(target) for _ in range(12)]
                most = bound * (1 + time.monotonic() - begun) + 1
                refused = [a for a in answers if a.status == 429]
                served = [a for a in answers if a.status == good]
                self.assertEqual(len(refused) + len(served), 12, [str(a) for a in answers])
                self.assertLessEqual(len(served), most)
                self.assertEqual({a.headers["retry-after"] for a in refused}, {"1"})
                poll("it is served again", lambda t=target, s=good: self.lab.guest_get(t).status == s, 5, pause=0.3)
        self.assertTrue(any(r.get("reason") == "too_many_requests" for r in self.lab.host_records()))

    def test_tokens_are_counted_apart(self):
        time.sleep(1.2)  # what was asked before is forgotten
        answers = [self.lab.guest_get(TOKEN).status for _ in range(8)]
        self.assertIn(429, answers)
        self.assertEqual(self.lab.guest_get(INSTANCE).status, 200)

    def test_what_is_not_endorsed_uses_nothing_up(self):
        poll("it is served", lambda: self.lab.guest_get(INSTANCE).status == 200, 5, pause=0.3)
        refused = {self.lab.outside.call(http.get, IMDS, INSTANCE).code for _ in range(40)}
        self.assertEqual(refused, {"unsigned"}, "not one of them got as far as the limit")
        poll("it is served", lambda: self.lab.guest_get(INSTANCE).status == 200, 5, pause=0.3)
