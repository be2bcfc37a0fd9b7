# SPDX-License-Identifier: Apache-2.0
"""The endorsed path as the issue's table has it: who may what, what each refusal says, and that its mended twin is served."""
import errno
import json
import os
import select
import socket
import struct
import time

from base import LabCase
from lab import http
from lab.lab import HOSTGA, IMDS, ORDINARY_USER, WIRESERVER
from lab.world import poll

LISTENER = "127.0.0.1:3080"
INSTANCE = "/metadata/instance?api-version=2021-02-01"
VERSIONS = "/?comp=versions"
META = {"Metadata": "true"}


def through_v6_mapped(address: str, target: str) -> http.Answer:
    host, port = http.split_address(address)
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect((f"::ffff:{host}", port))
        connection.sendall(http.request_bytes(address, target))
        return http.Reader(connection).answer()


def fast_open(address: str, target: str) -> http.Answer:
    host, port = http.split_address(address)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 5, 0))
        connection.sendto(http.request_bytes(address, target), socket.MSG_FASTOPEN, (host, port))
        return http.Reader(connection).answer()


def ask_udp(address: str, way: str, data: bytes = b"datagram") -> bytes | str:
    """The answer, or the name of the error; b"" if none comes."""
    host, port = http.split_address(address)
    family = socket.AF_INET6 if "mapped" in way else socket.AF_INET
    to = (f"::ffff:{host}" if "mapped" in way else host, port)
    with socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.settimeout(0.5)
        try:
            if "connect" in way:
                connection.connect(to)
                connection.send(data)
            else:
                connection.sendto(data, to)
            return connection.recv(100)
        except TimeoutError:
            return b""
        except OSError as error:
            return errno.errorcode[error.errno]


def echo_udp(addresses: tuple) -> list[bytes]:
    """Answers each datagram with itself until one says "end"; what came."""
    sockets = []
    for address in addresses:
        sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sockets[-1].bind(http.split_address(address))
    came: list[bytes] = []
    while came[-1:] != [b"end"]:
        ready = select.select(sockets, [], [], 30)[0]
        if not ready:
            raise TimeoutError(f"nobody said that this is the end; came: {came}")
        for one in ready:
            data, sender = one.recvfrom(100)
            came.append(data)
            one.sendto(data, sender)
    return came


def bind_listener() -> str:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            connection.bind(("127.0.0.1", 3080))
        return "bound"
    except OSError as error:
        return error.strerror


class EndorsedPath(LabCase):
    def test_the_agent_interrupts_nobody(self):
        threads = [int(name) for name in os.listdir(f"/proc/{self.lab.agent.pid}/task")]
        self.assertGreater(len(threads), 2)
        self.assertEqual({os.sched_getscheduler(thread) for thread in threads}, {os.SCHED_BATCH})

    def ask(self, to: str, target: str, user=ORDINARY_USER, **options) -> http.Answer:
        return self.lab.guest.as_user(user).call(lambda: http.get(to, target, **options))

    def raw(self, to: str, data: bytes, user=ORDINARY_USER) -> http.Answer:
        return self.lab.guest.as_user(user).call(http.exchange, to, data)

    # --- who may what -------------------------------------------------------------------------------------------

    def test_served(self):
        for name, to, target, user in (("ordinary user, IMDS", IMDS, INSTANCE, ORDINARY_USER),
                                       ("root, IMDS", IMDS, INSTANCE, None),
                                       ("user without a name, IMDS", IMDS, INSTANCE, 54321),
                                       ("versions", IMDS, "/metadata/versions", ORDINARY_USER),
                                       ("root, WireServer", WIRESERVER, VERSIONS, None)):
            with self.subTest(name):
                answer = self.ask(to, target, user)
                self.assertEqual(answer.status, 200, f"{answer}: {answer.body[:200]!r}")
                self.assertEqual(answer.headers.get("x-ms-azure-host-authorization"), "value")

    def test_root_only_services_refuse_others_with_a_reason(self):
        for name, to in (("wireserver", WIRESERVER), ("hostga", HOSTGA)):
            with self.subTest(name):
                record = self.assert_refused(self.ask(to, VERSIONS), 403)
                self.assertEqual((record["service"], record["uid"]), (name, 65534))
        # The host may not know the document; the agent lets root through.
        self.assertNotIn(self.ask(HOSTGA, VERSIONS, None).status, (0, 401, 403))

    def test_exactly_one_record_a_request(self):
        answer = self.ask(IMDS, "/metadata/versions?one-record")
        self.assertGreater(answer.status, 0)
        found = poll("audit record", lambda: [
            r for r in self.lab.audit_records() if "one-record" in r.get("target", "")], 3)
        time.sleep(0.1)
        self.assertEqual(len(found), 1)
        self.assertEqual((found[0]["service"], found[0]["uid"], found[0]["user"], found[0]["method"]),
                         ("imds", 65534, ORDINARY_USER, "GET"))
        self.assertIn("python3", found[0]["exe"])
        self.assertEqual(found[0]["key_guid"] + ".key", self.lab.key_files()[0])

    def test_other_ways_to_connect_get_the_same_verdict(self):
        ordinary = self.lab.guest.as_user(ORDINARY_USER)
        for name, function in (("v4-mapped", through_v6_mapped), ("fast open", fast_open)):
            with self.subTest(name):
                self.assertEqual(ordinary.call(function, IMDS, INSTANCE).status, 200)
                self.assert_refused(ordinary.call(function, WIRESERVER, VERSIONS), 403)
        for spelling in ("0xa9fea9fe", "2852039166", "0251.0376.0251.0376"):
            with self.subTest(spelling):
                done = ordinary.run(["curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Metadata: true",
                                     f"http://{spelling}{INSTANCE}"])
                self.assertEqual(done.stdout, b"200", done.stderr)
        self.check_datagrams()

    def check_datagrams(self):
        dns = "168.63.129.16:53"
        ways = ("connect", "sendto", "connect mapped", "sendto mapped")
        echo = self.lab.host_place.start(echo_udp, (IMDS, dns))
        try:
            poll("echo answers", lambda: self.lab.outside.call(ask_udp, IMDS, "sendto", b"first") == b"first")
            for way in ways:
                for user in (ORDINARY_USER, None):
                    with self.subTest(f"UDP by {user}: {way}"):
                        guest = self.lab.guest.as_user(user)
                        self.assertEqual(guest.call(ask_udp, IMDS, way, b"guest"), "EPERM")
                        # The twins: around the hooks the same datagram is answered; and DNS is not guarded.
                        self.assertEqual(self.lab.outside.call(ask_udp, IMDS, way, b"outside"), b"outside")
                        self.assertEqual(guest.call(ask_udp, dns, way, b"name"), b"name")
        finally:
            self.lab.outside.call(ask_udp, IMDS, "sendto", b"end")
            came = echo.result()
        self.assertEqual((came.count(b"guest"), came.count(b"outside"), came.count(b"name")), (0, 8, 8))
        self.assertEqual(self.lab.status()["counters"]["kernel"]["refused_datagram"], 8)

    def test_around_the_agent_the_host_refuses(self):
        for name, to, target in (("imds", IMDS, INSTANCE), ("wireserver", WIRESERVER, VERSIONS)):
            with self.subTest(name):
                answer = self.lab.outside.call(http.get, to, target)
                self.assertIn(answer.status, (401, 403))
                self.assertTrue(answer.code)
        # The twin: the same request from a cgroup with hooks.
        self.assertEqual(self.ask(WIRESERVER, VERSIONS, None).status, 200)

    def test_the_channel_is_the_agents_alone(self):
        for user in (None, ORDINARY_USER):
            for target in ("/secure-channel/status", "/secure-channel/key", "/Secure-Channel/status", "/secure-channel"):
                with self.subTest(f"{user} {target}"):
                    self.assert_refused(self.ask(WIRESERVER, target, user), 403)

    # --- the listener ---------------------------------------------------------------------------------------------

    def test_straight_to_the_listener(self):
        self.assert_refused(self.ask(LISTENER, INSTANCE), 421)
        self.assert_refused(self.lab.outside.call(http.get, LISTENER, INSTANCE), 421, "no_identity")
        self.assertEqual(self.ask(LISTENER, "/provision").status, 200)

    def test_nobody_takes_the_listeners_port(self):
        self.assertEqual(self.lab.guest.as_user(ORDINARY_USER).call(bind_listener), "Operation not permitted")
        self.assertEqual(self.lab.guest.call(bind_listener), "Operation not permitted")

    # --- refusals, and what is served when the one thing is mended ------------------------------------------------

    def test_refusals_and_their_twins(self):
        head = b"Host: 169.254.169.254\r\nMetadata: true\r\n"
        for name, bad, status, code, good in (
            ("dot-dot", b"GET /metadata/../metadata/versions HTTP/1.1\r\n", 403, "path_traversal",
             b"GET /metadata/versions HTTP/1.1\r\n"),
            ("dot-dot in a name passes", b"GET /metadata//versions HTTP/1.1\r\n", 403, "path_traversal",
             b"GET /metadata/versions?x=a..b HTTP/1.1\r\n"),
            ("bad escape", b"GET /metadata/versions%zz HTTP/1.1\r\n", 400, None, b"GET /metadata/version%73 HTTP/1.1\r\n"),
            ("unknown method", b"BREW /metadata/versions HTTP/1.1\r\n", 405, None, b"GET /metadata/versions HTTP/1.1\r\n"),
            ("foreign host in absolute-form", b"GET http://example.com/metadata/versions HTTP/1.1\r\n", 400, None,
             b"GET http://169.254.169.254/metadata/versions HTTP/1.1\r\n"),
        ):
            with self.subTest(name):
                refusal = self.raw(IMDS, bad + head + b"\r\n")
                self.assert_refused(refusal, status, code)
                if status == 405:
                    self.assertEqual(refusal.headers.get("allow"), "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH")
                twin = self.raw(IMDS, good + head + b"\r\n")
                self.assertIn(twin.status, (200, 404), f"twin: {twin} {twin.body[:200]!r}")

    def test_as_many_headers_as_there_may_be(self):
        def head(count: int) -> bytes:
            more = b"".join(b"X-Number-%d: %d\r\n" % (i, i) for i in range(count - 2))
            return b"GET /metadata/versions HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\n" + more + b"\r\n"

        # The agent's own come on top: the host must take them.
        twin = self.raw(IMDS, head(100))
        self.assertEqual(twin.status, 200, f"{twin} {twin.body[:200]!r}")
        self.assert_refused(self.raw(IMDS, head(101)), 431, "too_many_headers")

    def test_a_body_above_the_limit(self):
        limit = 102400
        for name, too_much in (("content-length", {"body": b"x" * (limit + 1)}),
                               ("chunked", {"headers": {"Transfer-Encoding": "chunked"},
                                            "body": b"%x\r\n" % (limit + 1) + b"x" * (limit + 1) + b"\r\n0\r\n\r\n"})):
            with self.subTest(name):
                self.assert_refused(self.ask(WIRESERVER, "/machine?comp=x", None, method="POST", **too_much), 413)
        twin = self.ask(WIRESERVER, "/machine?comp=x", None, method="POST", body=b"x" * limit)
        self.assertNotIn(twin.status, (0, 401, 403, 413), f"twin: {twin}")

    def test_http_1_0(self):
        answer = self.raw(IMDS, b"GET /metadata/versions HTTP/1.0\r\nMetadata: true\r\n\r\n")
        self.assertEqual(answer.status, 200, answer)

    # --- the local endpoints --------------------------------------------------------------------------------------

    def test_local_endpoints(self):
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
            self.assertEqual(self.ask(LISTENER, "/provision", method=method).status, 200, method)
        self.assertIn("finished", self.ask(LISTENER, "/provision").json())
        self.assertEqual(self.raw(LISTENER, b"GET /provision HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").status, 400)
        self.assert_refused(self.ask(LISTENER, "/gpa-aggregated-status"), 403)
        self.assertEqual(self.ask(LISTENER, "/gpa-aggregated-status", None).status, 200)
        for host in ("169.254.169.254", "attacker.example", "127.0.0.1:80"):
            self.assert_refused(self.ask(LISTENER, "/provision", headers={"Host": host}), 400, "host_foreign")
        self.assertEqual(self.ask(LISTENER, "/provision", headers={"Host": "localhost:3080"}).status, 200)

    def test_paths_of_local_endpoints_are_the_services_own_for_who_asks_a_service(self):
        for target in ("/provision", "/gpa-aggregated-status"):
            for to, user in ((IMDS, ORDINARY_USER), (IMDS, None), (WIRESERVER, None)):
                with self.subTest(f"{to} {target} {user}"):
                    answer = self.ask(to, target, user)
                    self.assertEqual((answer.status, "x-ms-azure-host-authorization" in answer.headers), (404, True), answer)
            self.assert_refused(self.ask(WIRESERVER, target), 403, "not_elevated")
        asked = [record for record in self.lab.host_records() if record.get("path") in ("/provision", "/gpa-aggregated-status")]
        self.assertTrue(asked, "the host has seen them")

    # --- what the operator sees -----------------------------------------------------------------------------------

    def test_mspctl_status_shows_it_and_never_the_key(self):
        status = self.lab.status()
        guid = self.lab.key_files()[0].removesuffix(".key")
        secret = json.loads((self.lab.folder / "agent" / "keys" / f"{guid}.key").read_text())["key"]
        self.assertEqual((status["problems"], status["protected"]), ([], True))
        self.assertEqual((status["channel"]["keyGuid"], status["channel"]["phase"]), (guid, "latched"))
        self.assertTrue(all(hook["attached"] and hook["pinned"] for hook in status["interception"]["hooks"]))
        self.assert_refused(self.ask(WIRESERVER, VERSIONS), 403)
        refusal = self.lab.status()["lastRefusals"][0]
        self.assertEqual((refusal["status"], refusal["uid"], refusal["user"]), (403, 65534, ORDINARY_USER))
        # Every counter that the kernel keeps (bpf/contract.h) is shown.
        self.assertEqual(set(status["counters"]["kernel"]), {
            "redirected", "direct", "refused_storage", "refused_squatter", "refused_flood", "refused_device",
            "refused_datagram", "bind_refused", "record_lost"})
        text = json.dumps(status)
        self.assertNotIn(secret.lower(), text.lower())
        for name in ("msp-agent", "msp-host"):
            self.assertNotIn(secret.lower(), self.lab.log_of(name, 100000).lower())
        files = [file for file in (self.lab.folder / "agent").rglob("*") if file.is_file() and file.suffix != ".key"]
        self.assertLessEqual({"status.json", "ProxyAgent.log", "audit.jsonl", "status.tag"}, {file.name for file in files})
        self.assertTrue(any(file.name.startswith("AuthorizationRules_") for file in files))
        for file in files:
            self.assertNotIn(secret.lower(), file.read_text().lower(), file.name)


class HostTrouble(LabCase):
    """The host is silent or gone: the agent says so, in the words that boot code understands (protocol.md J.2)."""

    def test_host_gone_then_agent_restarted_then_host_back(self):
        lab = self.lab
        self.assertEqual(lab.guest_get(INSTANCE).status, 200)
        lab.host.kill()
        lab.host.wait()
        with self.subTest("key in use, host gone"):
            answer = lab.guest_get(INSTANCE)
            self.assert_refused(answer, 410)
            self.assertEqual(answer.headers.get("retry-after"), "1")
            self.assert_refused(lab.guest_get(VERSIONS, WIRESERVER, None), 502)
        lab.kill_agent()
        lab.start_agent(wait=False)
        poll("listener is back", lambda: lab.guest_get("/provision", LISTENER).status == 200, 10)
        with self.subTest("latched once, not ready: held, then refused, never sent on"):
            answer = lab.guest_get(INSTANCE)
            self.assert_refused(answer, 410)
            self.assertEqual(answer.headers.get("retry-after"), "1")
            self.assertLess(answer.seconds, 2.0)
            answer = lab.guest_get(VERSIONS, WIRESERVER, None)
            self.assert_refused(answer, 503)
            self.assertEqual(answer.headers.get("retry-after"), "1")
        keys = lab.key_files()
        lab.start_host()
        with self.subTest("it opens again by itself, with the same key"):
            poll("served", lambda: lab.guest_get(INSTANCE).status == 200, 20)
            self.assertEqual(lab.key_files(), keys)


class NeverLatched(LabCase):
    """A host without the protocol never notices the agent (protocol.md L.30)."""

    start_agent = False
    vm_model = {"properties": {"securityProfile": {"proxyAgentSettings": {"enabled": False}}}}

    def test_untouched_until_the_host_says_so(self):
        self.lab.start_agent(wait=False)
        answer = poll("answered", lambda: (a := self.lab.guest_get(INSTANCE)).status == 200 and a, 10)
        self.assertNotIn("x-ms-azure-host-authorization", answer.headers)
        self.assertEqual(self.lab.key_files(), [])
