# SPDX-License-Identifier: Apache-2.0
"""Bodies and connections: large, chunked, absent, cut, slow; in constant memory; both ends closing early."""
import hashlib
import socket
import time
from pathlib import Path

from base import LabCase
from lab import http
from lab.lab import HOSTGA, IMDS, ORDINARY_USER, WIRESERVER
from lab.origin import Origin
from lab.world import poll

MB = 1 << 20
LARGE = 100 * MB  # the limit of exempt bodies
ALLOWED_GROWTH_KB = 8192
PIECE = bytes(range(256)) * 256


def upload(chunked: bool, total: int) -> http.Answer:
    framing = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(total)}
    with http.connect(HOSTGA, 60) as connection:
        connection.sendall(http.request_bytes(HOSTGA, "/vmAgentLog", "PUT", framing))
        for at in range(0, total, len(PIECE)):
            piece = PIECE[:total - at]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            connection.sendall(b"0\r\n\r\n")
        return http.Reader(connection).answer()


def download(total: int) -> tuple[int, int]:
    with http.connect(IMDS, 60) as connection:
        connection.sendall(http.request_bytes(IMDS, f"/large?size={total}"))
        head = connection.recv(65536)
        status, end = int(head.split(b" ", 2)[1]), head.index(b"\r\n\r\n") + 4
        seen = len(head) - end
        while seen < total and (piece := connection.recv(1 << 18)):
            seen += len(piece)
        return status, seen


def download_at(rate: int, seconds: float, total: int) -> int:
    """Takes so many bytes a second for a time, the rest at once; how much came. At rate 0 it does nothing for that time."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        connection.settimeout(20)
        address, _, port = IMDS.partition(":")
        connection.connect((address, int(port)))
        connection.sendall(http.request_bytes(IMDS, f"/large?size={total}"))
        data, end, pause = b"", time.monotonic() + seconds, 0.1

        def seen() -> int:
            return len(data.partition(b"\r\n\r\n")[2])

        while time.monotonic() < end:
            if rate:
                data += connection.recv(int(rate * pause))
            time.sleep(pause)
        try:
            while seen() < total and (piece := connection.recv(1 << 18)):
                data += piece
        except ConnectionResetError:
            pass
        return seen()


def several(requests: list[tuple[str, bytes]]) -> list[tuple[int, bytes]]:
    """All on one connection, one after the other."""
    with http.connect(IMDS) as connection:
        reader = http.Reader(connection)
        answers = []
        for method, data in requests:
            connection.sendall(data)
            answer = reader.answer(method)
            answers.append((answer.status, answer.body))
        return answers


def expect(address: str, target: str, body: bytes) -> tuple[list[int], http.Answer]:
    """Sends the body only after 100 Continue."""
    with http.connect(address) as connection:
        connection.sendall(http.request_bytes(address, target, "POST",
                                              {"Expect": "100-continue", "Content-Length": str(len(body))}))
        data = connection.recv(65536)
        if data.startswith(b"HTTP/1.1 100 "):
            connection.sendall(body)
            return [100], http.Reader(connection).answer()
        reader = http.Reader(connection)
        reader._buffer = data
        return [], reader.answer()


def ends_in_a_reset(target: str) -> bool:
    """As HTTP/1.0 reads an answer without a length: what else tells it that there was more?"""
    with http.connect(IMDS) as connection:
        connection.sendall(b"GET %s HTTP/1.0\r\nMetadata: true\r\n\r\n" % target.encode())
        try:
            while connection.recv(65536):
                pass
        except ConnectionResetError:
            return True
    return False


def partial(data: bytes, wait: float) -> http.Answer:
    """Sends the beginning of something and then nothing."""
    begin = time.monotonic()
    with http.connect(IMDS, wait) as connection:
        connection.sendall(data)
        answer = http.Reader(connection).answer()
    answer.seconds = time.monotonic() - begin
    return answer


def idle_until_closed(wait: float) -> float:
    with http.connect(IMDS, wait) as connection:
        connection.sendall(http.request_bytes(IMDS, "/idle"))
        http.Reader(connection).answer()
        begin = time.monotonic()
        assert connection.recv(1) == b""
        return time.monotonic() - begin


def leave_early(count: int) -> None:
    """Clients that go away in the middle of what they send or get."""
    for number in range(count):
        with http.connect(IMDS) as connection:
            connection.sendall(http.request_bytes(IMDS, "/half", "POST", {"Content-Length": "1000"}, b"x" * 10))
        with http.connect(IMDS) as connection:
            connection.sendall(http.request_bytes(IMDS, f"/large?size={4 * MB}"))
            connection.recv(1000)
            if number % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def memory_kb(pid: int, what: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith(what)).split()[1])


class Bodies(LabCase):
    host_serves = ("wireserver",)
    agent_config = {"openmsp": {"limits": {"headTimeoutMilliseconds": 1000, "idleTimeoutMilliseconds": 2000,
                                           "bodyTimeoutMilliseconds": 1000, "upstreamTimeoutMilliseconds": 1500}}}
    imds: Origin
    hostga: Origin

    @classmethod
    def prepare(cls) -> None:
        cls.imds = Origin(cls.lab)
        cls.hostga = Origin(cls.lab, HOSTGA, keep_bytes=False)

    def user(self, function, *args):
        return self.lab.guest.as_user(ORDINARY_USER).call(function, *args)

    def processes(self) -> dict[str, int]:
        """Bodies pass through the worker; the monitor shares memory with it."""
        return {"monitor": self.lab.agent.pid, "worker": self.lab.worker_pid()}

    def forget_peak(self) -> dict[str, int]:
        """Memory now; from here on VmHWM is the peak (that of the start, with the kernel's types loaded, is higher)."""
        for pid in self.processes().values():
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        return {name: memory_kb(pid, "VmRSS") for name, pid in self.processes().items()}

    def assert_not_grown(self, before: dict[str, int]) -> None:
        peak = {name: memory_kb(pid, "VmHWM") for name, pid in self.processes().items()}
        print(f"memory before {before} kB, at most {peak} kB", flush=True)
        for name, most in peak.items():
            self.assertLess(most - before[name], ALLOWED_GROWTH_KB, name)

    # --- constant memory ------------------------------------------------------------------------------------------

    def test_100_mb_up_in_constant_memory(self):
        expected = hashlib.sha256()
        for at in range(0, LARGE, len(PIECE)):
            expected.update(PIECE[:LARGE - at])
        before = self.forget_peak()
        for chunked in (False, True):
            with self.subTest(chunked=chunked):
                answer = self.lab.guest.call(upload, chunked, LARGE)
                self.assertEqual(answer.status, 200, answer)
                request = self.hostga.find(b"/vmAgentLog")[-1]
                self.assertEqual((request.body_size, request.digest.digest()), (LARGE, expected.digest()))
        self.assert_not_grown(before)

    def test_more_than_the_exempt_limit_is_refused(self):
        answer = self.lab.guest.call(lambda: http.exchange(HOSTGA, http.request_bytes(
            HOSTGA, "/vmAgentLog", "PUT", {"Content-Length": str(LARGE + 1)})))
        self.assert_refused(answer, 413)

    def test_100_mb_down_in_constant_memory(self):
        before = self.forget_peak()
        self.assertEqual(self.user(download, LARGE), (200, LARGE))
        self.assert_not_grown(before)

    # --- one connection -------------------------------------------------------------------------------------------

    def test_every_kind_of_answer_on_one_connection(self):
        kinds = [("GET", "/plain", 200, b"ok"), ("HEAD", "/plain", 200, b""), ("GET", "/204", 204, b""),
                 ("GET", "/304", 304, b""), ("GET", "/chunked", 200, b"hello world"), ("GET", "/informational", 200, b"ok"),
                 ("GET", "/until-close", 200, b"until the end"), ("GET", "/plain", 200, b"ok")]
        answers = self.user(several, [(method, http.request_bytes(IMDS, target, method)) for method, target, _, _ in kinds])
        self.assertEqual(answers, [(status, body) for _, _, status, body in kinds])

    def test_keep_alive_uses_few_upstream_connections(self):
        before = self.imds.connections
        answers = self.user(several, [("GET", http.request_bytes(IMDS, f"/keep-{n}")) for n in range(200)])
        self.assertEqual(answers, [(200, b"ok")] * 200)
        self.assertLessEqual(self.imds.connections - before, 2)

    def test_chunked_request_goes_out_with_its_length(self):
        data = http.request_bytes(IMDS, "/re-framed", "POST", {"Transfer-Encoding": "chunked"},
                                  b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        self.assertEqual(self.user(http.exchange, IMDS, data).status, 200)
        request, = self.imds.find(b"/re-framed")
        self.assertEqual((request.body, request.headers.get(b"content-length")), (b"hello world", b"11"))
        self.assertNotIn(b"transfer-encoding", request.headers)

    def test_expect_continue(self):
        seen, answer = self.user(expect, IMDS, "/expected", b"hello")
        self.assertEqual((seen, answer.status), ([100], 200))
        request, = self.imds.find(b"/expected")
        self.assertEqual(request.body, b"hello")
        self.assertNotIn(b"expect", request.headers)
        seen, answer = self.user(expect, WIRESERVER, "/machine", b"hello")
        self.assertEqual((seen, answer.status), ([], 403), "refused before the body was asked for")

    # --- trouble --------------------------------------------------------------------------------------------------

    def test_slow_clients(self):
        head = http.request_bytes(IMDS, "/slow", "POST", {"Content-Length": "10"}, b"half ")
        for name, data in (("head", head[:20]), ("body", head)):
            with self.subTest(name):
                answer = self.user(partial, data, 10)
                self.assert_refused(answer, 408)
                self.assertLess(answer.seconds, 5)
        self.assertLess(self.user(idle_until_closed, 10), 5)

    def test_who_takes_an_answer_slowly_gets_it_and_who_takes_nothing_does_not(self):
        # Slower than a third of what the kernel keeps for the agent, for several times as long as the agent waits.
        self.lab.guest.run(["sysctl", "-qw", "net.ipv4.tcp_wmem=4096 131072 131072"]).check_returncode()
        self.assertEqual(self.user(download_at, 20_000, 5.0, MB), MB)
        self.assertLess(self.user(download_at, 0, 3.0, MB), MB)

    def test_slow_host(self):
        answer = self.user(lambda: http.get(IMDS, "/hang"))
        self.assert_refused(answer, 504)
        self.assertLess(answer.seconds, 5)

    def test_host_that_closes_without_an_answer(self):
        self.imds.reset()
        self.assert_refused(self.user(lambda: http.get(IMDS, "/silent")), 410)
        self.assertLessEqual(len(self.imds.find(b"/silent")), 2, "sent once more at most")
        self.imds.reset()
        self.assert_refused(self.user(lambda: http.get(IMDS, "/silent-post", "POST", body=b"x")), 410)
        self.assertEqual(len(self.imds.find(b"/silent-post")), 1, "a POST is never repeated")

    def test_hostile_answers(self):
        for target in ("/evil-header", "/two-lengths"):
            with self.subTest(target):
                answer = self.user(lambda: http.get(IMDS, target))
                self.assertIn(answer.status, (410, 502, 503), answer)
                self.assertNotIn("x-injected", answer.headers)

    def test_an_answer_that_is_cut_is_seen_as_cut(self):
        answer = self.user(lambda: http.get(IMDS, "/cut"))
        self.assertIn("before the end of the body", answer.error)
        self.assertTrue(self.user(ends_in_a_reset, "/chunks-cut"))
        self.assertFalse(self.user(ends_in_a_reset, "/until-close"))

    def test_early_answer_and_early_leavers(self):
        answer = self.user(lambda: http.get(IMDS, "/early", "POST", body=b"x" * 1000))
        self.assertEqual(answer.status, 403)
        self.user(leave_early, 20)
        poll("the agent still serves", lambda: self.lab.guest_get("/plain").status == 200, 3)
        self.assertIsNone(self.lab.agent.poll())
