# SPDX-License-Identifier: Apache-2.0
"""msp-host in front of a metadata service that knows nothing of MSP: Python's own HTTP server, in a namespace behind the host that
guests do not reach. The service writes down every head it gets."""
import hashlib
import http.client
import http.server
import json
import os
import re
import select
import socket
import threading
import time
from pathlib import Path

from base import LabCase
from lab import http as client
from lab.lab import GUEST_ADDRESS, HOSTGA, IMDS, ORDINARY_USER, VM_ID, WIRESERVER
from lab.world import Place, enter_netns, poll, run
from own_agent import AUTHORIZATION, CLAIMS, DATE, Key

SERVICE, HOST_SIDE = "10.88.0.2", "10.88.0.1"
PORTS = {"imds": 8775, "wireserver": 8776, "hostga": 8777}
PIECE = bytes(range(256)) * 256
LARGE = 32 * 1024 * 1024
TIMEOUT = 2
SLOWLY = 15_000  # bytes a second


class Behind(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list = []
    go_on = threading.Event()
    first_piece = threading.Event()
    received = 0
    let_go = threading.Event()

    def _note(self) -> None:
        self.seen.append((self.command, self.path, [(name.lower(), value) for name, value in self.headers.items()]))

    def _plain(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._note()
        if self.path.startswith("/large"):
            self.send_response(200)
            self.send_header("Content-Length", str(LARGE))
            self.end_headers()
            for _ in range(LARGE // len(PIECE)):
                self.wfile.write(PIECE)
        elif self.path.startswith("/pieces"):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nfirst\r\n")
            self.go_on.wait(10)
            self.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")
        elif self.path.startswith("/cut"):
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"only this")
            self.close_connection = True
        elif self.path.startswith("/stalls"):
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"only this")
            self.go_on.wait(10)
        elif self.path.startswith("/slow"):
            self.go_on.wait(10)
        elif self.path.startswith("/silent"):
            self.close_connection = True
        elif self.path.startswith("/switch"):
            self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\nnot http")
            self.close_connection = True
        elif self.path.startswith("/interim"):
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * int(self.path.rsplit("/", 1)[1]))
            self._plain(200, b"after all")
        elif self.path.startswith("/none"):
            self.wfile.write(b"what is this\r\n\r\n")
            self.close_connection = True
        elif self.path.startswith("/teapot"):
            self._plain(418, b"short and stout", X_Own="kept", X_Hop="1", x_ms_azure_host_authorization="forged",
                        Connection="X-hop, content-length, date")
        else:
            self._plain(200, f"behind: {self.path}".encode())

    do_HEAD = do_GET

    def _take(self, most: int) -> bytes:
        if self.headers.get("X-Way") == "slowly":
            time.sleep(most / SLOWLY)
        return self.rfile.read1(most)

    def _answer_before_the_end(self, way: str) -> None:
        """"echo": each piece as it comes; "refuses": at once, reads nothing, and says when the host ends it; "accepts": at once, and reads on."""
        left = int(self.headers["Content-Length"])
        self.send_response({"echo": 200, "refuses": 413, "accepts": 202}[way])
        self.send_header("Content-Length", str(left) if way == "echo" else "5")
        self.end_headers()
        self.wfile.write(b"" if way == "echo" else b"early")
        if way == "refuses":
            waiting = select.poll()
            waiting.register(self.connection, select.POLLRDHUP)
            if waiting.poll(10_000):
                self.let_go.set()
        type(self).received = 0
        while way != "refuses" and left > 0 and (piece := self.rfile.read1(min(left, 65536))):
            left -= len(piece)
            type(self).received += len(piece)
            if way == "echo":
                self.wfile.write(piece)
        self.close_connection = True

    def do_PUT(self) -> None:
        self._note()
        if (way := self.headers.get("X-Way")) and way != "slowly":
            self._answer_before_the_end(way)
            return
        left, chunked = int(self.headers.get("Content-Length", 0)), self.headers.get("Transfer-Encoding") == "chunked"
        type(self).received = 0
        while True:
            if chunked:
                left = int(self.rfile.readline(), 16)
            while left > 0:
                piece = self._take(min(left, 4096 if self.headers.get("X-Way") == "slowly" else 65536))
                if not piece:
                    return
                left -= len(piece)
                type(self).received += len(piece)
                self.first_piece.set()
            if chunked:
                self.rfile.readline()
                if type(self).received and self.rfile.peek(1)[:1] == b"0":
                    self.rfile.readline()
                    self.rfile.readline()
                    break
                continue
            break
        self._plain(201, str(type(self).received).encode(), x_ms_azure_host_authorization="forged", x_openmsp_z="forged", X_Own="kept")

    do_POST = do_PUT

    def log_message(self, *_) -> None:
        """Nobody reads it."""


class Upstream(LabCase):
    vm_model = {"properties": {"securityProfile": {"proxyAgentSettings": {"wireServer": {"mode": "Enforce"}}}}}

    @classmethod
    def prepare(cls) -> None:
        lab = cls.lab
        cls.behind = lab.world.netns("behind")
        run("ip", "-n", cls.behind, "link", "add", "eth0", "type", "veth", "peer", "name", "up0", "netns", lab.host_netns)
        for netns, device, address in ((lab.host_netns, "up0", HOST_SIDE), (cls.behind, "eth0", SERVICE)):
            run("ip", "-n", netns, "address", "add", f"{address}/24", "dev", device)
            run("ip", "-n", netns, "link", "set", device, "up")
        config = json.loads(lab.host_config_file.read_text())
        config["upstream"] = {name: {"address": SERVICE, "port": port} for name, port in PORTS.items()}
        config["upstream"]["imds"]["forwardedFor"] = True
        config["upstream"]["timeoutSeconds"] = TIMEOUT
        config["limits"]["identityPerSecond"] = 1
        lab.host_config_file.write_text(json.dumps(config))
        cls.servers = {name: cls.serve(port) for name, port in PORTS.items()}

    @classmethod
    def serve(cls, port: int) -> http.server.ThreadingHTTPServer:
        made: list = []

        def work() -> None:
            enter_netns(cls.behind)
            server = http.server.ThreadingHTTPServer((SERVICE, port), Behind)
            server.daemon_threads = True
            made.append(server)
            server.serve_forever(poll_interval=0.05)
        threading.Thread(target=work, daemon=True).start()
        server = poll("the service behind", lambda: made and made[0], 5)
        cls.lab.world.on_close(server.server_close)
        cls.lab.world.on_close(server.shutdown)
        return server

    def setUp(self) -> None:
        Behind.seen.clear()
        Behind.go_on.clear()
        Behind.first_piece.clear()
        self.addCleanup(Behind.go_on.set)
        self._records = len(self.lab.host_records())

    def ask(self, target: str, to: str = IMDS, user: str | None = ORDINARY_USER, **more) -> client.Answer:
        return self.lab.guest.as_user(user).call(ask, to, target, more)

    def record(self, path: str) -> dict:
        [record] = poll(f"the host's line of {path}", lambda: [
            r for r in self.lab.host_records()[self._records:] if r.get("path") == path], 5)
        return record

    def heads(self, path: str) -> dict:
        [(_, _, headers)] = [seen for seen in Behind.seen if seen[1].split("?")[0] == path]
        return dict(headers)

    def test_verified_stripped_and_passed_on(self):
        answer = self.ask("/latest/meta-data/x?a=B%2f&a", headers={"X-Note": "kept", CLAIMS: '{ "isRoot": "true"}', "x-openmsp-vm-id": "me"})
        self.assertEqual((answer.status, answer.body), (200, b"behind: /latest/meta-data/x?a=B%2f&a"))
        headers = self.heads("/latest/meta-data/x")
        self.assertEqual({n: v for n, v in headers.items() if n.startswith(("x-ms-", "x-openmsp", "x-forwarded", "forwarded"))},
                         {"x-openmsp-vm-id": VM_ID, "x-forwarded-for": GUEST_ADDRESS})
        self.assertEqual((headers["x-note"], headers["metadata"], headers["host"]), ("kept", "true", IMDS.split(":")[0]))
        record = self.record("/latest/meta-data/x")
        self.assertEqual((record["outcome"], record["status"]), ("verified", 200))

    def test_what_is_not_endorsed_never_gets_there(self):
        rows = [("unsigned", 401, client.request_bytes(IMDS, "/secret"))]
        stranger = Key("7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11", b"x" * 32)
        rows.append(("unknown_key", 401, stranger.signed(IMDS, "/secret")))
        for code, status, data in rows:
            answer = self.lab.outside.call(client.exchange, IMDS, data)
            self.assertEqual((answer.status, answer.code), (status, code))
        answer = self.ask("/secret", headers={"X-Forwarded-For": "10.0.0.1"})
        self.assertEqual(answer.status, 400)
        self.assertEqual([seen for seen in Behind.seen if seen[1] == "/secret"], [])
        self.assertEqual(self.ask("/secret").status, 200)

    def test_the_channel_stays_the_hosts_own(self):
        answer = self.lab.outside.call(client.get, WIRESERVER, "/secure-channel/status")
        self.assertEqual((answer.status, answer.json()["authorizationScheme"]), (200, "Azure-HMAC-SHA256"))
        for spelled in ("//secure-channel/status", "/Secure-Channel/status", "/secure%2dchannel/status", "/a/../secure-channel/status",
                        "/Secure-Channel//../status", "/secure%2dchannel//../status", "/secure%2Dchannel/../x",
                        "/secure%2dchannel/;/../status", "/secure-channel%00/x", "/secure-channel%3f/status",
                        "/secure-channel%20/status", "/secure%25252dchannel/status", "/machine/secure_channel"):
            with self.subTest(spelled):
                answer = self.lab.outside.call(client.get, WIRESERVER, spelled)
                self.assertEqual((answer.status, answer.code), (404, "not_found"))
                self.assertEqual(Behind.seen, [], "nothing of it gets there")
        self.assertEqual(self.ask("/machine?comp=goalstate", WIRESERVER, None).body, b"behind: /machine?comp=goalstate")
        self.assertEqual([seen[1] for seen in Behind.seen], ["/machine?comp=goalstate"])

    def test_so_many_interim_answers_and_no_more(self):
        answer = self.ask("/interim/8")
        self.assertEqual((answer.status, answer.body), (200, b"after all"))
        answer = self.ask("/interim/9")
        self.assertEqual((answer.status, answer.code), (502, "upstream_bad_answer"))

    def test_a_host_for_who_names_none(self):
        answer = self.lab.outside.call(client.exchange, HOSTGA, b"PUT /vmAgentLog HTTP/1.0\r\ncontent-length: 1\r\n\r\nx")
        self.assertEqual(answer.status, 201)
        self.assertEqual(self.heads("/vmAgentLog")["host"], HOSTGA)
        self.assertEqual(self.record("/vmAgentLog")["body_bytes"], 1)

    def test_limits_hold_before_it_as_well(self):
        answers = [self.ask("/metadata/identity/oauth2/token").status for _ in range(6)]
        self.assertEqual(sorted(set(answers)), [200, 429], answers)

    def test_other_answers_go_through_as_they_are(self):
        answer = self.ask("/teapot")
        self.assertEqual((answer.status, answer.body, answer.headers["x-own"]), (418, b"short and stout", "kept"))
        self.assertNotEqual(answer.headers.get(AUTHORIZATION), "forged")
        self.assertNotIn("x-hop", answer.headers, "its connection is not the guest's")
        self.assertIn("date", answer.headers)
        self.assertEqual(answer.headers["content-length"], "15", "the length is the host's own word")
        answer = self.ask("/teapot", method="HEAD")
        self.assertEqual((answer.status, answer.body, answer.headers["content-length"]), (418, b"", "15"))
        two = self.lab.guest.as_user(ORDINARY_USER).call(ask_twice, IMDS, ["/one", "/two"])
        self.assertEqual([a.body for a in two], [b"behind: /one", b"behind: /two"], "the connection goes on")

    def test_an_answer_streams(self):
        memory = self.peak()
        expected = hashlib.sha256(PIECE * (LARGE // len(PIECE))).hexdigest()
        self.assertEqual(self.lab.guest.as_user(ORDINARY_USER).call(ask_large, IMDS), (200, LARGE, expected))
        self.assertLess(self.peak() - memory, LARGE // 4, "it is not kept")
        pieces = self.lab.guest.start(ask_pieces, IMDS, str(self.lab.folder / "first"))
        poll("the first piece is there before the second is sent", lambda: (self.lab.folder / "first").exists(), 5)
        Behind.go_on.set()
        self.assertEqual(pieces.result(), b"firstsecond")

    def peak(self) -> int:
        text = Path(f"/proc/{self.lab.host.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", text).group(1)) * 1024

    def test_a_request_streams(self):
        """A log of an agent goes unsigned and may be large."""
        memory = self.peak()
        answer = self.lab.outside.call(put_log, HOSTGA, LARGE, False)
        self.assertEqual((answer.status, answer.body), (201, str(LARGE).encode()))
        self.assertEqual({name: value for name, value in answer.headers.items() if name.startswith("x-")}, {"x-own": "kept"},
                         "nobody takes what the service says for the host's own word")
        self.assertLess(self.peak() - memory, LARGE // 4, "it is not kept")
        record = self.record("/vmAgentLog")
        self.assertEqual((record["outcome"], record["body_bytes"]), ("exempt", LARGE))
        Behind.first_piece.clear()
        sender = self.lab.outside.start(put_slowly, HOSTGA, str(self.lab.folder / "go"))
        self.assertTrue(Behind.first_piece.wait(5), "the first piece is there before the last is sent")
        (self.lab.folder / "go").touch()
        self.assertEqual(sender.result().status, 201)
        self.assertEqual(self.lab.outside.call(put_log, HOSTGA, 100_000, True).body, b"100000", "chunked as well")
        self.assertEqual(self.lab.outside.call(put_log, HOSTGA, 200 << 20, False).code, "body_too_large")

    def test_an_answer_may_come_before_the_request_has_ended(self):
        size = 8 << 20
        expected = hashlib.sha256(PIECE * (size // len(PIECE))).hexdigest()
        self.assertEqual(self.lab.outside.call(put_and_read, HOSTGA, size, "echo", size), (200, size, expected))
        begin = time.monotonic()
        status, got, _ = self.lab.outside.call(put_and_read, HOSTGA, size, "refuses", len(PIECE))
        self.assertEqual((status, got), (413, 5), "the rest is not waited for")
        self.assertLess(time.monotonic() - begin, TIMEOUT)
        status, got, _ = self.lab.outside.call(put_and_read, HOSTGA, size, "accepts", size)
        self.assertEqual((status, got), (202, 5))
        poll("what was accepted early arrives whole", lambda: Behind.received == size, 5)

    def test_a_service_that_takes_a_request_slowly_gets_it_and_is_waited_for(self):
        """Slower than a third of what the kernel keeps for the host in that time, and with more than that at the end."""
        size = 3 * len(PIECE)
        run("ip", "netns", "exec", self.lab.host_netns, "sysctl", "-qw", "net.ipv4.tcp_wmem=4096 131072 131072")
        # What it takes is acknowledged in small parts; others are to send at once.
        listener = self.servers["hostga"].socket
        self.addCleanup(listener.setsockopt, socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        status, got, _ = self.lab.outside.call(put_and_read, HOSTGA, size, "slowly", size)
        self.assertEqual((status, got), (201, 6))
        self.assertEqual(Behind.received, size)

    def test_an_early_refusal_ends_the_request_at_once(self):
        """The guest says nothing more and holds its connection: nothing of it has to run out before that ends."""
        Behind.let_go.clear()
        go = self.lab.folder / "refused"
        holder = self.lab.outside.start(put_and_hold, HOSTGA, str(go))
        try:
            begin = time.monotonic()
            self.assertTrue(Behind.let_go.wait(5), "the service is let go")
            record = self.record("/vmAgentLog")
            self.assertEqual((record["outcome"], record["status"]), ("exempt", 413))
            self.assertLess(time.monotonic() - begin, 5)
        finally:
            go.touch()
        self.assertEqual(holder.result(), 413)

    def test_slow_broken_and_no_http(self):
        rows = [("/slow", 504, "upstream_slow"), ("/silent", 410, "upstream_down"), ("/none", 502, "upstream_bad_answer"),
                ("/switch", 502, "upstream_bad_answer")]
        for path, status, code in rows:
            with self.subTest(path):
                begin = time.monotonic()
                answer = self.ask(path)
                self.assertEqual((answer.status, answer.code), (status, code))
                self.assertLess(time.monotonic() - begin, TIMEOUT + 3)
                self.assertEqual((self.record(path)["outcome"], self.record(path)["reason"]), ("verified", code))
        Behind.go_on.clear()
        for path, reason in (("/cut", "upstream_down"), ("/stalls", "upstream_slow")):
            with self.subTest(path):
                answer = self.ask(path)
                self.assertIn("before the end of the body", answer.error, "nobody takes a part for the whole")
                record = self.record(path)
                self.assertEqual((record["status"], record["reason"]), (200, reason))
        self.assertEqual(self.ask("/after").status, 200)

    def test_y_nobody_answers_the_connection(self):
        """A full queue of connections: the kernel of the service drops whoever asks for another one."""
        self.servers["hostga"].shutdown()
        self.servers["hostga"].server_close()
        made: list = []

        def work() -> None:
            enter_netns(self.behind)
            listener = socket.create_server((SERVICE, PORTS["hostga"]), backlog=0)
            made.append(listener)
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex((SERVICE, PORTS["hostga"]))
                made.append(filler)
        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        worker.join()
        try:
            begin = time.monotonic()
            answer = self.ask("/health/full", HOSTGA, None)
            self.assertEqual((answer.status, answer.code), (504, "upstream_slow"))
            self.assertTrue(2.5 < time.monotonic() - begin < 6, time.monotonic() - begin)
        finally:
            for each in made:
                each.close()

    def test_z_dead(self):
        """Nobody listens; then somebody does again."""
        self.servers["imds"].shutdown()
        self.servers["imds"].server_close()
        answer = self.ask("/dead")
        self.assertEqual((answer.status, answer.code, answer.headers["retry-after"]), (410, "upstream_down", "1"))
        self.assertEqual(self.record("/dead")["reason"], "upstream_down")
        self.servers["wireserver"].shutdown()
        self.servers["wireserver"].server_close()
        self.assertEqual((self.ask("/dead", WIRESERVER, None).status), 502)
        self.serve(PORTS["imds"])
        self.assertEqual(self.ask("/dead/no/more").status, 200)


def ask(address: str, target: str, more: dict) -> client.Answer:
    return client.get(address, target, more.get("method", "GET"), more.get("headers"))


def ask_large(address: str) -> tuple:
    connection = http.client.HTTPConnection(*client.split_address(address), timeout=20)
    connection.request("GET", "/large", headers={"Metadata": "true"})
    answer = connection.getresponse()
    size, digest = 0, hashlib.sha256()
    while piece := answer.read(1 << 16):
        size += len(piece)
        digest.update(piece)
    return answer.status, size, digest.hexdigest()


def ask_twice(address: str, targets: list) -> list:
    with client.connect(address) as connection:
        reader = client.Reader(connection)
        answers = []
        for target in targets:
            connection.sendall(client.request_bytes(address, target))
            answers.append(reader.answer())
        return answers


def ask_pieces(address: str, told: str) -> bytes:
    """Says, by a file, when the first piece of the body is here."""
    with client.connect(address) as connection:
        connection.sendall(client.request_bytes(address, "/pieces"))
        data = b""
        while b"\r\nfirst\r\n" not in data:
            data += connection.recv(65536)
        Path(told).touch()
        while not data.endswith(b"0\r\n\r\n"):
            data += connection.recv(65536)
        return b"".join(word for word in (b"first", b"second") if word in data)


def put_log(address: str, size: int, chunked: bool) -> client.Answer:
    framing = "transfer-encoding: chunked" if chunked else f"content-length: {size}"
    with client.connect(address, 30) as connection:
        connection.sendall(f"PUT /vmAgentLog HTTP/1.1\r\nhost: 168.63.129.16\r\n{framing}\r\n\r\n".encode())
        try:
            while size > 0:
                piece = PIECE[:size]
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
                size -= len(piece)
            if chunked:
                connection.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused early
        return client.Reader(connection).answer()


def put_and_read(address: str, size: int, way: str, sends: int) -> tuple:
    """Says that it sends `size` bytes, sends `sends` of them, and reads meanwhile."""
    def send() -> None:
        try:
            for _ in range(sends // len(PIECE)):
                connection.sendall(PIECE)
        except OSError:
            pass  # refused early
    with client.connect(address, 30) as connection:
        connection.sendall(f"PUT /vmAgentLog HTTP/1.1\r\nhost: 168.63.129.16\r\nx-way: {way}\r\ncontent-length: {size}\r\n\r\n"
                           .encode())
        sender = threading.Thread(target=send)
        sender.start()
        answer = client.Reader(connection).answer()
        sender.join()
        return answer.status, len(answer.body), hashlib.sha256(answer.body).hexdigest()


def put_and_hold(address: str, go: str) -> int:
    with client.connect(address, 30) as connection:
        connection.sendall(b"PUT /vmAgentLog HTTP/1.1\r\nhost: 168.63.129.16\r\nx-way: refuses\r\ncontent-length: 8000000\r\n\r\n" + PIECE)
        answer = client.Reader(connection).answer()
        poll("the test says go", lambda: os.path.exists(go), 20)
        return answer.status


def put_slowly(address: str, go: str) -> client.Answer:
    with client.connect(address, 30) as connection:
        connection.sendall(b"PUT /vmAgentLog HTTP/1.1\r\nhost: 168.63.129.16\r\ncontent-length: 20\r\n\r\n" + b"x" * 10)
        poll("the test says go", lambda: os.path.exists(go), 10)
        connection.sendall(b"x" * 10)
        return client.Reader(connection).answer()
