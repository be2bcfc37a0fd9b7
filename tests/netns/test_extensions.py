# SPDX-License-Identifier: Apache-2.0
"""What msp-host asks of signed requests beyond the field's protocol: nonces against replays, and who the caller is
(docs/request-extensions.md). Requests are captured on the cable between agent and host."""
import hmac
import json
import re
import subprocess
from email.utils import formatdate

from base import LabCase
from lab import http
from lab.lab import IMDS, ORDINARY_USER
from lab.relay import Relay
from lab.signing import string_to_sign
from lab.world import poll

VERSIONS = "/metadata/versions"
NONCE = re.compile(rb"\r\nx-ms-openmsp-nonce: ([0-9a-f]{16})\.([0-9a-f]{16})\.(\d+)\r\n")
ASKS = re.compile(rb"\r\nx-ms-openmsp-asks: [^\r]*", re.I)


class ExtensionLab(LabCase):
    @classmethod
    def prepare(cls) -> None:
        cls.configure(adminSocket=str(cls.lab.folder / "host" / "admin.sock"))

    @classmethod
    def configure(cls, **members) -> None:
        lab = cls.lab
        lab.host_config_file.write_text(json.dumps({**json.loads(lab.host_config_file.read_text()), **members}))

    @classmethod
    def restart_host(cls, **members) -> None:
        cls.configure(**members)
        cls.lab.host.terminate()
        cls.lab.host.wait(10)
        cls.lab.start_host()

    def mspctl(self, *words) -> str:
        return subprocess.run([self.lab.programs / "mspctl", *words, "--config", self.lab.host_config_file],
                              capture_output=True, text=True, check=True, timeout=30).stdout

    def refusals(self, reason: str) -> int:
        return sum(record.get("reason") == reason for record in self.lab.host_records())

    def replay(self, data: bytes) -> http.Answer:
        """By a process that no hook sees, as a thief on the machine would."""
        return self.lab.outside.call(http.exchange, IMDS, data)


class Wire(Relay):
    """Keeps what the guest has sent to IMDS, and can take the host's offer away."""

    def __init__(self, lab):
        self.seen: list[bytes] = []
        self.hide_offer = False
        super().__init__(lab, self._keep, self._hide)

    def _keep(self, data: bytes) -> bytes:
        self.seen.append(data)
        return data

    def _hide(self, data: bytes) -> bytes:
        return ASKS.sub(b"", data) if self.hide_offer else data

    def last(self) -> bytes:
        return [data for data in self.seen if data.startswith(b"GET /metadata/")][-1]


class Replays(ExtensionLab):
    wire: Wire

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.wire = Wire(cls.lab)
        cls.addClassCleanup(cls.wire.close)

    def test_a_captured_request_is_worth_nothing(self):
        lab = self.lab
        wire = self.wire
        self.assertEqual(lab.guest_get(VERSIONS).status, 200)
        captured = wire.last()
        self.assertRegex(captured, NONCE)
        self.assertEqual(lab.guest_get(VERSIONS).status, 200, "another one, with a nonce of its own")
        self.assertNotEqual(NONCE.search(wire.last()).groups(), NONCE.search(captured).groups())

        with self.subTest("the same bytes again"):
            self.assert_host_refuses(self.replay(captured), "replayed")
        with self.subTest("without its nonce, or with another one"):
            self.assert_host_refuses(self.replay(NONCE.sub(b"\r\n", captured)), "bad_signature")
            digit = NONCE.search(captured).end(3) - 1
            other = captured[:digit] + (b"7" if captured[digit:digit + 1] != b"7" else b"8") + captured[digit + 1:]
            self.assert_host_refuses(self.replay(other), "bad_signature")
        with self.subTest("after a restart of the host, which remembers no nonce"):
            unused = self.hold_back(wire)
            self.restart_host()
            self.assert_host_refuses(self.replay(captured), "nonce_stale")
            self.assert_host_refuses(self.replay(unused), "nonce_stale")
        with self.subTest("and the guest's next request is served at once, from the first"):
            before = self.refusals("nonce_stale")
            self.assertEqual(lab.guest_get(VERSIONS + "?first").status, 200)
            self.assertTrue(lab.audit_says(lambda r: r.get("target") == VERSIONS + "?first" and r["status"] == 200))
            poll("the host's log", lambda: self.refusals("nonce_stale") in (before, before + 1))
            self.assertEqual(lab.guest_get(VERSIONS).status, 200)

    def hold_back(self, wire: Wire) -> bytes:
        """A signed request that has never arrived."""
        original, held = wire.alter, []

        def swallow(data: bytes) -> bytes:
            if not data.startswith(b"GET /metadata/"):
                return data
            held.append(data)
            return b"GET / HTTP/1.1\r\nhost: nobody\r\n\r\n"

        wire.alter = swallow
        self.lab.guest_get(VERSIONS)
        wire.alter = original
        self.assertRegex(held[0], NONCE)
        return held[0]

    def test_required_and_offered(self):
        """Our agent, and one of the field, which knows no nonces: stood in for by what such a one would sign."""
        lab, wire = self.lab, self.wire
        self.addCleanup(self.restart_host, verification={})
        for mode, field in (("offered", 200), ("required", 401), ("off", 200)):
            with self.subTest(mode):
                self.restart_host(verification={"replayProtection": mode})
                poll("the agent has heard what is asked for", lambda: self.asked(wire, mode != "off"))
                self.assertEqual(lab.guest_get(VERSIONS).status, 200)
                answer = self.replay(self.signed_by_the_field())
                self.assertEqual(answer.status, field, answer.body)
                if field == 401:
                    self.assert_host_refuses(answer, "nonce_missing")
                if mode == "off":
                    self.assertEqual(self.replay(wire.last()).status, 200, "the control: nobody looks at nonces")

    def signed_by_the_field(self) -> bytes:
        lab = self.lab
        key = json.loads((lab.folder / "agent" / "keys" / lab.key_files()[0]).read_text())
        date = formatdate(usegmt=True)
        request = http.request_bytes(IMDS, VERSIONS, "GET", {
            "Metadata": "true", "x-ms-azure-host-claims": '{ "isRoot": "false"}', "x-ms-azure-host-date": date})
        signature = hmac.new(bytes.fromhex(key["key"]), string_to_sign(request), "sha256").hexdigest()
        line = f"x-ms-azure-host-authorization: Azure-HMAC-SHA256 {key['guid']} {signature}\r\n\r\n"
        return request[:-2] + line.encode()

    def test_nobody_on_the_cable_talks_the_agent_out_of_nonces(self):
        """The host signs what it asks for: without it, its status is not believed, and nothing changes."""
        wire = self.wire
        self.assertTrue(self.asked(wire, True))
        wire.hide_offer = True
        try:
            poll("answers are not believed", lambda: "status_wrongly_signed" in json.dumps(self.lab.status()))
            self.assertTrue(self.asked(wire, True))
        finally:
            wire.hide_offer = False
        poll("they are again", lambda: "status_wrongly_signed" not in json.dumps(self.lab.status()))

    def asked(self, wire: Wire, nonces: bool) -> bool:
        self.lab.guest_get(VERSIONS)
        return bool(NONCE.search(wire.last())) == nonces

    def test_what_a_client_sends_under_these_names_is_dropped(self):
        wire = self.wire
        poll("the agent has heard what is asked for", lambda: self.asked(wire, True))
        forged = {"X-MS-OpenMSP-Caller": "uid=0 user=root", "x-ms-openmsp-nonce": "f" * 16 + "." + "f" * 16 + ".1"}
        place = self.lab.guest.as_user(ORDINARY_USER)
        answer = place.call(http.get, IMDS, VERSIONS + "?forged", "GET", {"Metadata": "true", **forged})
        self.assertEqual(answer.status, 200)
        self.assertNotIn(b"user=root", wire.last())
        self.assertEqual(wire.last().lower().count(b"x-ms-openmsp-nonce"), 1)
        self.assertTrue(self.lab.audit_says(lambda r: r.get("target") == VERSIONS + "?forged" and r.get("stripped")))

    def assert_host_refuses(self, answer: http.Answer, reason: str) -> None:
        self.assertEqual((answer.status, answer.code), (401, reason))
        request = answer.json()["request_id"]
        poll("the host's log", lambda: any(record["request_id"] == request and record["reason"] == reason
                                           for record in self.lab.host_records()))


class Callers(ExtensionLab):
    @classmethod
    def prepare(cls) -> None:
        super().prepare()
        cls.give_imds_rules("/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/galleries/N/"
                            "inVMAccessControlProfiles/P/versions/1.0.0", {
                                "privileges": [{"name": "all", "path": "/metadata"}],
                                "roles": [{"name": "reader", "privileges": ["all"]}],
                                "identities": [{"name": "who", "userName": "root"}],
                                "roleAssignments": [{"role": "reader", "identities": ["who"]}]})
        cls.set_mode("Audit")

    @classmethod
    def set_mode(cls, mode: str) -> None:
        """Of the profile: a machine follows it."""
        path = cls.lab.folder / "profile.json"
        profile = json.loads(path.read_text())
        profile["properties"]["mode"] = mode
        path.write_text(json.dumps(profile))

    def report(self) -> dict:
        return json.loads(self.mspctl("vm", "audit", "vm-1", "--json"))

    def test_an_operator_sees_whom_enforcing_would_refuse(self):
        lab = self.lab
        self.mspctl("vm", "audit-forget", "vm-1")
        self.assertIn("no service", self.mspctl("vm", "audit", "vm-1"))
        self.assertEqual(lab.guest_get(VERSIONS, user="root").status, 200)
        self.assertIn("would have refused none", self.mspctl("vm", "audit", "vm-1"))
        for _ in range(3):
            self.assertEqual(lab.guest_get(VERSIONS).status, 200, "audit lets it pass")
        self.assertEqual(lab.outside.call(http.get, IMDS, VERSIONS).status, 200, "unsigned, but audit")
        report = self.report()
        self.assertEqual((report["requests"], report["namesCallers"], report["others"]), (5, True, 0))
        by_rules, by_host = sorted(report["value"], key=lambda row: row["by"] == "host")
        self.assertEqual((by_rules["by"], by_rules["reason"], by_rules["count"]), ("rules", "identity_mismatch", 3))
        caller = by_rules["caller"]
        self.assertEqual((caller["user"], caller["uid"]), (ORDINARY_USER, 65534))
        self.assertRegex(caller["executable"], "/python3")
        self.assertEqual((by_host["by"], by_host["reason"], by_host["count"], by_host["caller"]), ("host", "unsigned", 1, None))
        self.assertEqual({row["outcome"] for row in report["value"]}, {"would be refused"})
        text = self.mspctl("vm", "audit", "vm-1")
        self.assertRegex(text, rf"imds identity_mismatch: would be refused by the rules, 3 times\n.* user={ORDINARY_USER} exe=/\S*python3")
        self.assertRegex(self.mspctl("vm", "list"), r"vm-1 .* latched +0 +20\d\d-")
        record = [r for r in lab.host_records() if r.get("user") == ORDINARY_USER][-1]
        self.assertEqual((record["outcome"], record["denied"], record["uid"]), ("verified", "identity_mismatch", 65534))

        with self.subTest("the same callers, enforced: those of the report are refused, the other is not"):
            self.set_mode("Enforce")
            self.restart_host()
            self.addCleanup(self.restart_host)
            self.addCleanup(self.set_mode, "Audit")
            poll("the new rules hold", lambda: lab.guest_get(VERSIONS).code == "identity_mismatch")
            self.assertEqual(lab.guest_get(VERSIONS, user="root").status, 200)
            self.see_a_refusal()

        with self.subTest("nobody is named where nobody asks, and always where the configuration says so"):
            last = [r for r in lab.host_records() if r["outcome"] == "verified"][-1]
            self.assertNotIn("user", last)
            self.restart_host(verification={"callerHeader": "always"})
            self.addCleanup(self.configure, verification={})
            poll("the host knows who asks", lambda: lab.guest_get(VERSIONS, user="root").status == 200 and
                 [r for r in lab.host_records() if r["outcome"] == "verified"][-1].get("user") == "root")
            nothing = lab.guest_get("/metadata/nothing", user="root")
            self.assertEqual(nothing.status, 404)
            row = self.row("not_found")
            self.assertEqual((row["outcome"], row["caller"]["user"], row["caller"]["uid"]), ("refused", "root", 0))
            self.assertEqual(row["lastRequest"]["path"], "/metadata/nothing")

    def row(self, reason: str) -> dict:
        return next(row for row in self.report()["value"] if row["reason"] == reason)

    def see_a_refusal(self) -> None:
        """What an operator finds of a machine that enforces, by mspctl alone."""
        self.mspctl("vm", "audit-forget", "vm-1")
        self.assertIn("nothing was refused", self.mspctl("vm", "audit", "vm-1"))
        before = json.loads(self.mspctl("vm", "get", "vm-1", "--json"))["requests"]
        answer = self.lab.outside.call(http.get, IMDS, VERSIONS)
        self.assertEqual(answer.code, "unsigned")
        row = self.row("unsigned")
        self.assertEqual((row["outcome"], row["by"], row["service"], row["count"], row["caller"]),
                         ("refused", "host", "imds", 1, None))
        self.assertEqual(row["lastRequest"], {"id": answer.json()["request_id"], "method": "GET", "path": VERSIONS})
        text = self.mspctl("vm", "audit", "vm-1")
        self.assertIn("imds unsigned: was refused by the host, 1 time\n", text)
        self.assertRegex(text, r"  -> .*mspctl status in the machine")
        after = json.loads(self.mspctl("vm", "get", "vm-1", "--json"))["requests"]
        self.assertEqual(after["refused"], before["refused"] + 1)
        self.assertGreaterEqual(after["last"], row["last"])
        self.assertIn("mspctl vm audit VM", self.mspctl("vm", "list"))
