# SPDX-License-Identifier: Apache-2.0
"""What programs say at their most talkative level holds no signature, query, header or body of a request; what mspctl status shows of
the running agent holds no signature, header or body either, and of queries what the audit log has.

Requests that are signed, refused, malformed, cut, and uploads, each with values in them that are found nowhere else; then
everything that both programs have written is searched for each value, in the forms that a log could give it. Only the
agent's audit log and the last refusals in the status, which root alone is told, name targets, with the values of keys that
say secret, user information and fragments replaced (docs/audit.md).
"""
import base64
import hashlib
import itertools
import json
import re
from pathlib import Path
from urllib.parse import quote

from base import LabCase
from lab import http
from lab.lab import HOSTGA, IMDS, ORDINARY_USER, WIRESERVER
from lab.origin import Origin
from lab.world import poll

# Of keys whose value the audit log replaces, in any case, percent-encoded, and behind a ";".
SECRET_KEYS = ("sig", "token", "access_token", "Client_Assertion", "%73ig", "a=1;sig", "x-ms-signature", "password", "code")
SHAPE = re.compile(rb"HMAC-SHA256\s+[0-9a-f-]{36}", re.IGNORECASE)  # a scheme with an id: what came before a signature
AUTHORIZATION = b"x-ms-azure-host-authorization"
FORGED = "Azure-HMAC-SHA256 11111111-2222-4333-8444-555555555555 "
LOGS = ("msp-agent.log", "msp-host.log", "agent/log/ProxyAgent.log", "agent/log/status.json", "host/access.jsonl")


class Planted:
    """Values that are found nowhere else: `hidden` belong nowhere, `shown` in targets of the audit log and of the status."""

    def __init__(self):
        self.hidden: dict[str, bytes] = {}
        self.shown: dict[str, bytes] = {}
        self._numbers = itertools.count(1)

    def value(self, what: str, shown: bool = False) -> str:
        number = next(self._numbers)
        text = hashlib.sha256(f"{what} {number}".encode()).hexdigest()[:24]
        (self.shown if shown else self.hidden)[f"{what} {number}"] = text.encode()
        return text

    def query(self) -> str:
        secrets = "&".join(f"{key}={self.value(f'query {key}')}" for key in SECRET_KEYS)
        return (f"?plain={self.value('plain query', True)}&{secrets}&last={self.value('plain query', True)}"
                f"#access_token={self.value('fragment')}")

    def headers(self) -> dict[str, str]:
        """A client's own secrets, and what only an agent may say."""
        digits = self.value("forged signature") + "0" * 40
        return {"Authorization": "Bearer " + self.value("bearer"), "Cookie": "c=" + self.value("cookie"),
                "x-ms-azure-host-authorization": FORGED + digits, "x-ms-azure-host-claims": self.value("forged claims"),
                "x-own": self.value("header")}

    def body(self) -> bytes:
        return json.dumps({"password": self.value("body")}).encode()


def forms(value: bytes) -> set[bytes]:
    """In lower case: as it is, percent-encoded, in hex, and in base64 wherever it begins there."""
    found = {value, quote(value, safe="").encode(), value.hex().encode()}
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + value).rstrip(b"=")
        found.add(text[(shift * 8 + 5) // 6:-1])
    return {form.lower() for form in found}


def say(address: str, *requests: bytes) -> list[int]:
    """One after the other, each on a connection of its own; 0: no answer."""
    return [http.exchange(address, data, data.split(b" ", 1)[0].decode("latin-1"), 5, close_write=True).status
            for data in requests]


class LogSecrecy(LabCase):
    host_serves = ("wireserver", "hostga")
    agent_config = {"fileLogLevel": "Trace", "enableHttpProxyTrace": True,
                    "openmsp": {"logLevel": "debug", "statusIntervalSeconds": 1, "limits": {
                        "maxSignedBodyBytes": 4096, "bodyTimeoutMilliseconds": 500, "upstreamTimeoutMilliseconds": 1000}}}
    imds: Origin

    @classmethod
    def prepare(cls) -> None:
        cls.imds = Origin(cls.lab)
        host = json.loads(cls.lab.host_config_file.read_text())
        cls.lab.host_config_file.write_text(json.dumps({**host, "logLevel": "debug"}))
        cls.planted = Planted()

    def ask(self, user: str, address: str, *requests: bytes) -> list[int]:
        return self.lab.guest.as_user(user).call(say, address, *requests)

    def request(self, address: str, path: str, method: str = "GET", body: bytes | None = None, **headers) -> bytes:
        """With secrets everywhere that a request can have them."""
        return http.request_bytes(address, path + self.planted.query(), method, {**self.planted.headers(), **headers}, body)

    def send_what_is_served(self) -> None:
        planted = self.planted
        served = [self.request(IMDS, "/plain"), *(self.request(IMDS, path, method, planted.body()) for path, method in
                                                  (("/plain", "POST"), ("/chunked", "PUT"), ("/early", "POST")))]
        self.assertEqual(self.ask(ORDINARY_USER, IMDS, *served), [200, 200, 200, 403])
        # The real host, with and without an answer for it.
        self.assertNotIn(0, self.ask("root", WIRESERVER, *(self.request(WIRESERVER, path) for path in ("/machine", "/nowhere"))))
        body = planted.body()
        chunks = http.request_bytes(HOSTGA, "/vmAgentLog", "PUT", {**planted.headers(), "Transfer-Encoding": "chunked"},
                                    b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        upload = http.request_bytes(HOSTGA, "/vmAgentLog", "PUT", planted.headers(), planted.body())
        self.assertEqual(self.ask("root", HOSTGA, upload, chunks), [200, 200])

    def send_what_is_refused(self) -> None:
        """By rules, for the path, the body, the addressee; by the host of who comes around the agent."""
        planted = self.planted
        denied = self.request(WIRESERVER, "/machine", "POST", planted.body())
        self.assertEqual(self.ask(ORDINARY_USER, WIRESERVER, denied), [403])
        refused = self.ask(ORDINARY_USER, IMDS, self.request(IMDS, "/a/../b"), self.request(IMDS, "/secure-channel/key"),
                           self.request(IMDS, "/x", Host="evil.example"),
                           self.request(IMDS, "/large-body", "POST", planted.body() * 100))
        self.assertTrue(all(400 <= status < 500 for status in refused), refused)
        outside = self.lab.outside.as_user("root").call(say, WIRESERVER, self.request(WIRESERVER, "/machine"))
        self.assertEqual([status // 100 for status in outside], [4])

    def send_what_is_broken(self) -> None:
        """Heads that nobody can read, cut requests, and answers that fail after all was signed."""
        planted = self.planted
        line = b"GET /x" + planted.query().encode()
        headers = "".join(f"{name}: {value}\r\n" for name, value in planted.headers().items()).encode()
        fields = b"Host: 169.254.169.254\r\nMetadata: true\r\n" + headers
        user = planted.value("user information").encode()
        broken = [line + b" HTTP/9.9\r\n" + fields + b"\r\n",
                  line + b"\x01 HTTP/1.1\r\n" + fields + b"\r\n",
                  line + b" HTTP/1.1\r\n" + fields + b"no colon " + planted.value("bad header").encode() + b"\r\n\r\n",
                  line + b" HTTP/1.1\r\n" + fields + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
                  line + b" HTTP/1.1\r\n" + fields,
                  line + b" HTTP/1.1\r\n" + fields + b"Content-Length: 500\r\n\r\n" + planted.body(),
                  b"GET http://user:" + user + b"@169.254.169.254/x HTTP/1.1\r\n" + fields + b"\r\n",
                  b"GET http://user:p@" + user + b"@169.254.169.254/x HTTP/1.1\r\n" + fields + b"\r\n",
                  b"CONNECT user:p@" + user + b"@169.254.169.254:80 HTTP/1.1\r\n" + fields + b"\r\n",
                  planted.value("method").encode() + b"\0" + line]
        for status in self.ask(ORDINARY_USER, IMDS, *broken):
            self.assertTrue(status == 0 or status >= 400, status)
        failing = [self.request(IMDS, path, *more) for path in ("/silent", "/hang", "/evil-header", "/two-lengths", "/cut")
                   for more in ((), ("POST", planted.body()))]
        self.assertNotIn(403, self.ask(ORDINARY_USER, IMDS, *failing))

    def signatures(self) -> dict[str, bytes]:
        """What the origin was given: the whole value, and its last part alone."""
        found = {}
        for number, request in enumerate(self.imds.requests):
            value = request.headers.get(AUTHORIZATION, b"")
            if value:
                found[f"authorization {number}"] = value
                found[f"signature {number}"] = value.rsplit(b" ", 1)[1]
        self.assertGreater(len(found), 10, "the origin was asked with signatures")
        return found

    def written(self) -> dict[str, bytes]:
        """All that both programs have written but the audit log. The configuration is the test's own."""
        lab = self.lab
        files = [path for path in lab.folder.rglob("*") if path.is_file() and not path.is_relative_to(lab.folder / "bpf")]
        return {str(path.relative_to(lab.folder)): path.read_bytes() for path in files if not self.is_audit(path)}

    def told(self, *words: str, code: int) -> bytes:
        """What mspctl says of the agent, which runs."""
        done = self.lab.agent_place.run([self.lab.programs / "mspctl", *words, "--config", self.lab.agent_config_file])
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def is_audit(self, path: Path) -> bool:
        return path.name.startswith(self.lab.agent_audit.name)

    @staticmethod
    def hits(data: dict[str, bytes], values: dict[str, bytes]) -> list[str]:
        return [f"{what} in {name}" for name, content in data.items() for what, value in values.items()
                if any(form in content.lower() for form in forms(value))]

    def check_status(self, signatures: dict[str, bytes]) -> None:
        """While the agent runs: docs/status.md. Targets of refusals are there, as in the audit log, and nothing else is."""
        planted = self.planted
        refusals = self.lab.status()["lastRefusals"]
        self.assertTrue(any("&sig=redacted&" in refusal["target"] for refusal in refusals), refusals[:5])
        told = {"status": self.told("status", code=0), "status --json": self.told("status", "--json", code=0)}
        self.assertEqual(self.hits(told, {**planted.hidden, **signatures}), [])
        self.assertEqual([name for name, content in told.items() if SHAPE.search(content)], [])
        for name, content in told.items():
            self.assertTrue(self.hits({name: content}, planted.shown), f"{name}: the search finds what is there")
        doctor = self.told("doctor", code=1)  # no systemd is there
        self.assertRegex(doctor, rb"ok +agent +msp-agent \S+ runs,")
        self.assertEqual(self.hits({"doctor": doctor}, {**planted.hidden, **planted.shown, **signatures}), [])

    def test_nothing_of_a_request_is_in_a_log(self):
        lab, planted = self.lab, self.planted
        self.send_what_is_served()
        self.send_what_is_refused()
        self.send_what_is_broken()
        last = self.planted.value("last", True)
        lab.guest_get(f"/last?last={last}")
        self.assertTrue(lab.audit_says(lambda record: last in record.get("target", "")))
        signatures = self.signatures()
        self.check_status(signatures)
        status = lab.folder / "agent" / "log" / "status.json"
        before = status.stat().st_mtime_ns
        poll("a status after all that", lambda: status.stat().st_mtime_ns != before, 10)
        self.assertEqual(lab.stop_agent(), 0)  # what waits in it is written
        written = self.written()
        for expected in LOGS:
            self.assertTrue(written.get(expected), f"{expected} is searched")
        self.assertIn(b"debug", written["msp-agent.log"].lower(), "at the most talkative level")
        audit = {lab.agent_audit.name: lab.agent_audit.read_bytes()}
        self.assertEqual(self.hits(written, {**planted.hidden, **planted.shown, **signatures})[:20], [])
        self.assertEqual([name for name, content in written.items() if SHAPE.search(content)], [])
        # docs/audit.md: targets are there, secrets in them are not; the search finds what is there.
        self.assertEqual(self.hits(audit, {**planted.hidden, **signatures}), [])
        self.assertGreater(len(self.hits(audit, planted.shown)), 20)
        targets = [record.get("target", "") for record in lab.audit_records()]
        self.assertTrue(any("&sig=redacted&token=redacted&" in target for target in targets), targets[:5])
        print(f"{len(planted.hidden) + len(planted.shown) + len(signatures)} values, {len(written)} files: none found", flush=True)
