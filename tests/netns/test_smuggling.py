# SPDX-License-Identifier: Apache-2.0
"""Nothing that two parsers could read differently reaches the origin. Judged by the bytes that the origin got."""
import time

from base import LabCase
from lab import http
from lab.lab import IMDS, ORDINARY_USER
from lab.origin import Origin
from smuggling_cases import CASES, HOST, META, message

LEAST_CASES = 40
OURS = (b"x-ms-azure-host-claims", b"x-ms-azure-host-date", b"x-ms-azure-host-authorization")


def send_all(inputs: list[bytes]) -> list[http.Answer]:
    """In the guest: each input on a connection of its own."""
    return [http.exchange(IMDS, data, data.split(b" ", 1)[0].decode("latin-1"), timeout=5) for data in inputs]


def keep_alive(data: bytes, count: int) -> list[http.Answer]:
    with http.connect(IMDS) as connection:
        connection.sendall(data)
        reader = http.Reader(connection)
        return [reader.answer() for _ in range(count)]


class Smuggling(LabCase):
    host_serves = ("wireserver", "hostga")
    origin: Origin

    @classmethod
    def prepare(cls) -> None:
        cls.origin = Origin(cls.lab)

    def send(self, function, *args):
        return self.lab.guest.as_user(ORDINARY_USER).call(function, *args)

    def test_wrong_inputs_are_refused_and_their_twins_arrive(self):
        wrong, right = [], []
        for number, (_, bad, good, _) in enumerate(CASES):
            behind = message(f"GET /behind-w{number}x HTTP/1.1", HOST, META)
            wrong.append(bad.replace(b"@", b"w%dx" % number) + behind)
            right.append(good.replace(b"@", b"r%dx" % number))
        answers = self.send(send_all, wrong)
        twins = self.send(send_all, right)
        seen = self.origin.bytes()
        for number, (name, _, _, statuses) in enumerate(CASES):
            with self.subTest(name):
                self.assertNotIn(b"w%dx" % number, seen, "it reached the origin")
                self.assertIn(answers[number].status, statuses, f"answer: {answers[number]}")
                self.assert_refused(answers[number], answers[number].status)
                self.assertEqual(answers[number].headers.get("connection", "").lower(), "close")
                self.assertIn(b"r%dx" % number, seen, f"the twin did not arrive: {twins[number]}")
                self.assertEqual(twins[number].status, 200, f"the twin: {twins[number]}")
        self.assertGreaterEqual(len(CASES), LEAST_CASES)
        print(f"{len(CASES)} inputs refused, none forwarded; {len(CASES)} twins arrived", flush=True)

    def test_trailers_are_dropped_or_refused(self):
        body = "5\r\nhello\r\n0\r\n%s: t\r\n\r\n"
        plain, forged = (message(f"POST /trailers-{n} HTTP/1.1", HOST, META, "Transfer-Encoding: chunked", body=body % name)
                         for n, name in ((0, "X-Trailer"), (1, "X-Ms-Azure-Host-Claims")))
        self.assertEqual(self.send(http.exchange, IMDS, plain).status, 200)
        request, = self.origin.find(b"/trailers-0")
        self.assertEqual(request.body, b"hello")
        self.assertNotIn(b"x-trailer", self.origin.bytes().lower())
        self.assert_refused(self.send(http.exchange, IMDS, forged), 400)
        self.assertNotIn(b"/trailers-1", self.origin.bytes())

    def test_what_arrives_is_written_anew_in_one_form(self):
        fields = ("x-ms-azure-host-claims: { \"isRoot\": \"true\"}", "X-MS-Azure-Host-Date: never",
                  "X-Ms-Azure-Host-Authorization: forged", "Upgrade: h2c", "Connection: upgrade, keep-alive", "TE: trailers",
                  "Accept: a", "Keep-Alive: timeout=5", "accept: b", "X-HTTP-Method-Override: DELETE")
        data = message("GET http://169.254.169.254:80/form?b=1&a=%20 HTTP/1.1", HOST, META, *fields)
        self.assertEqual(self.send(http.exchange, IMDS, data).status, 200)
        request, = self.origin.find(b"/form?b=1&a=%20")
        head = request.head.lower()
        for name in OURS:
            self.assertEqual(head.count(b"\r\n" + name + b":"), 1, name)
        self.assertEqual(request.headers[b"x-ms-azure-host-claims"], b'{ "isRoot": "false"}')
        self.assertNotIn(b"forged", head)
        self.assertNotIn(b"never", head)
        self.assertEqual(request.headers[b"accept"], b"a, b")
        for gone in (b"upgrade", b"connection", b"te", b"keep-alive"):
            self.assertNotIn(b"\r\n" + gone + b":", head)
        self.assertTrue(self.lab.audit_says(lambda r: r.get("stripped") is True and "/form" in r.get("target", "")))

    def test_pipelined_requests_are_answered_in_order(self):
        data = b"".join(message(f"GET /pipe-{n} HTTP/1.1", HOST, META) for n in range(20))
        self.assertEqual([answer.status for answer in self.send(keep_alive, data, 20)], [200] * 20)
        targets = [r.target for r in self.origin.requests if r.target.startswith(b"/pipe-")]
        self.assertEqual(targets, [b"/pipe-%d" % n for n in range(20)])

    def test_a_body_that_looks_like_a_request_stays_a_body(self):
        inner = "GET /inner HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n"
        data = message("POST /outer HTTP/1.1", HOST, META, f"Content-Length: {len(inner)}", body=inner)
        self.assertEqual(self.send(http.exchange, IMDS, data).status, 200)
        time.sleep(0.1)
        self.assertEqual(self.origin.find(b"/inner"), [])
        self.assertEqual(self.origin.find(b"/outer")[0].body, inner.encode())
