# SPDX-License-Identifier: Apache-2.0
"""Somebody on the cable changes one byte of a signed request: the host refuses it, unless nothing that is signed changed.

Each alteration has its own freshly signed request. MSP_ALTERATIONS says how many (ordinary run 300), MSP_SEED repeats a
run. What the protocol signs alike (case of header names and of query keys, a tab for a blank, the version digit) is
made, listed, and must be served.

Refused means: an answer with the host's own body, and the access log has it as refused for the reason that the body names.
- What is still a request is refused with 401 or 403: its signature, key or authorization header is wrong.
- What is no request any more may be refused with 400 before anybody looks at its signature: request line, target, header
  line, line end, a byte that no header may hold, length, host; an HTTP version that does not exist with 505.
- What has lost its end of head is no whole request: the host may close without an answer. That is not counted.
"""
import json
import random
import re
import socket
import threading
import time
from collections import Counter

from base import LabCase, number
from lab import http
from lab.http import split_address
from lab.lab import IMDS, WIRESERVER
from lab.relay import Relay
from lab.signing import AUTHORIZATION, Malformed, parse, same_to_the_host
from lab.world import hang_up, poll

COUNT = number("MSP_ALTERATIONS", 300)
SEED = number("MSP_SEED", 20251)
MARK = re.compile(rb"mark=(\d+)")
# Each is served with 200 when nobody touches it.
TEMPLATES = [
    (IMDS, "GET", "/metadata/instance?api-version=2021-02-01&mark=@", {"X-Note": "some value"}, None),
    (IMDS, "GET", "/metadata/versions?mark=@&flag", {"Accept": "application/json"}, b'{"body": "is signed, too"}'),
    (WIRESERVER, "GET", "/?comp=versions&mark=@", {"x-ms-version": "2012-11-30"}, None),
]
NOT_ENDORSED = (401, 403)
NO_REQUEST = (400, 505, *NOT_ENDORSED)
END_OF_HEAD = "end of head"
LEAST_REFUSED = 200


def build(template: tuple, mark: int) -> tuple[str, bytes]:
    address, method, target, headers, body = template
    return address, http.request_bytes(address, target.replace("@", str(mark)), method, headers, body)


def send(requests: list[tuple[str, bytes]]) -> list[http.Answer]:
    return [http.exchange(address, data) for address, data in requests]


def is_a_request(data: bytes) -> bool:
    try:
        return sum(name == b"host" for name, _ in parse(data)[2]) == 1
    except Malformed:
        return False


def signed_headers(data: bytes) -> set[str]:
    return {name.decode() for name, _ in parse(data)[2] if name != AUTHORIZATION}


def part_of(data: bytes, offset: int) -> str:
    """What the byte belongs to, in words."""
    head, _, _ = data.partition(b"\r\n\r\n")
    if offset >= len(head) + 4:
        return "body"
    if offset >= len(head):
        return END_OF_HEAD
    start = 0
    for number, line in enumerate(head.split(b"\r\n")):
        if offset < start + len(line):
            at = offset - start
            return request_line_part(line, at) if number == 0 else header_part(line, at)
        start += len(line) + 2
        if offset < start:
            break
    return "line end"


def request_line_part(line: bytes, at: int) -> str:
    method, target, _ = line.split(b" ")
    if at < len(method):
        return "method"
    at -= len(method) + 1
    if at >= len(target):
        return "version"
    return "path" if at < target.find(b"?") else "query"


def header_part(line: bytes, at: int) -> str:
    name, value = line.split(b":", 1)
    text = name.decode().lower()
    if at <= len(name):
        return f"name of {text}"
    if text != "x-ms-azure-host-authorization":
        return f"value of {text}"
    words = value.split(b" ")  # an empty one first: there is a blank behind the colon
    before_guid = len(name) + 1 + len(words[1]) + 2
    return "scheme" if at < before_guid else "guid" if at < before_guid + len(words[2]) else "signature"


def replacement(byte: int, chance: random.Random) -> int:
    """Often the neighbours that a sloppy reader takes for the same: other case, tab for blank, next digit."""
    choices = [byte ^ 0x01, byte ^ 0x20, chance.randrange(0x21, 0x7f)]
    if byte == 0x20:
        choices = [0x09, 0x21]
    elif byte in b"\r\n":
        choices = [0x20, 0x0a if byte == 0x0d else 0x0d, 0x41]
    pick = chance.choice(choices)
    return pick if pick != byte else byte ^ 0x02


class Tamperer(Relay):
    """Takes each request whole, changes one byte, and asks the host on a connection of its own."""

    def __init__(self, lab):
        self.chance = random.Random(SEED)
        self.results: dict[int, dict] = {}
        self.headers: set[str] = set()  # that were signed
        self.touch = True
        self._spread: Counter = Counter()
        super().__init__(lab)

    def _accept(self, listener: socket.socket, address: str) -> None:
        client, _ = listener.accept()
        threading.Thread(target=self._serve, args=(client, address), daemon=True).start()

    def _serve(self, client: socket.socket, address: str) -> None:
        with client:
            try:
                data = self._request(client)
                mark = MARK.search(data)
                sent = self._alter(data, int(mark.group(1))) if mark and self.touch else data
                with socket.create_connection(split_address(address), 5) as host:
                    host.sendall(sent)
                    host.shutdown(socket.SHUT_WR)
                    answer = b""
                    while piece := host.recv(65536):
                        answer += piece
                if mark and self.touch:
                    result = self.results[int(mark.group(1))]
                    result["status"] = int(answer.split(b" ", 2)[1]) if answer else 0
                    result["body"] = answer.partition(b"\r\n\r\n")[2]
                client.sendall(answer or b"HTTP/1.1 400 Closed\r\ncontent-length: 0\r\n\r\n")
            except OSError:
                pass
            hang_up(client)

    @staticmethod
    def _request(client: socket.socket) -> bytes:
        data = b""
        while True:
            piece = client.recv(65536)
            if not piece:
                raise ConnectionError("closed")
            data += piece
            head, end, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"\r\ncontent-length: (\d+)", head, re.I)
            if end and len(body) >= (int(length.group(1)) if length else 0):
                return data

    def _alter(self, data: bytes, mark: int) -> bytes:
        # Parts that were hit least come first, so that short ones (method, guid) are not missed.
        offsets = [self.chance.randrange(len(data)) for _ in range(12)]
        offset = min(offsets, key=lambda o: self._spread[part_of(data, o)])
        part = part_of(data, offset)
        self._spread[part] += 1
        byte = replacement(data[offset], self.chance)
        altered = data[:offset] + bytes([byte]) + data[offset + 1:]
        self.headers |= signed_headers(data)
        self.results[mark] = {"part": part, "status": 0, "body": b"", "served": same_to_the_host(data, altered),
                              "request": is_a_request(altered),
                              "what": f"{data[max(0, offset - 12):offset + 12]!r} at 12: {bytes([data[offset]])!r} -> {bytes([byte])!r}"}
        return altered


class Alterations(LabCase):
    def test_one_byte_changed_on_the_wire(self):
        with Tamperer(self.lab) as relay:
            relay.touch = False
            untouched = self.lab.guest.call(send, [build(t, n) for n, t in enumerate(TEMPLATES)])
            self.assertEqual([a.status for a in untouched], [200] * len(TEMPLATES), "nothing is changed: all are served")
            relay.touch = True
            before = self.verified()
            answers = self.lab.guest.call(send, [build(TEMPLATES[n % len(TEMPLATES)], n) for n in range(COUNT)])
            results = dict(relay.results)
        self.assertEqual([(n, a.status, a.body) for n, a in enumerate(answers) if n not in results], [],
                         "every request was seen on the cable")
        refused, equal, unanswered = Counter(), [], 0
        for mark, result in sorted(results.items()):
            with self.subTest(f"{mark}: {result['part']}: {result['what']}"):
                if result["served"]:
                    equal.append(result)
                    self.assertEqual(result["status"], 200, "nothing that is signed has changed")
                elif result["part"] == END_OF_HEAD and result["status"] == 0:
                    unanswered += 1
                else:
                    self.assertIn(result["status"], NOT_ENDORSED if result["request"] else NO_REQUEST)
                    self.check_refusal(result)
                    refused[result["part"]] += 1
        print(f"seed {SEED}: {sum(refused.values())} alterations refused {dict(sorted(refused.items()))}; "
              f"{unanswered} without an end of head were not answered")
        print(f"{len(equal)} that sign alike were served:")
        for result in equal:
            print(f"  {result['part']}: {result['what']}")
        self.assertEqual(self.verified() - before, len(equal), "nothing else was taken for endorsed, answered or not")
        kinds = ["method", "path", "query", "body", "guid", "signature"]
        kinds += [f"{side} of {name}" for name in relay.headers for side in ("name", "value")]
        self.assertGreaterEqual(relay.headers, {"host", "x-ms-azure-host-claims", "x-ms-azure-host-date", "x-note", "x-ms-version"})
        self.assertEqual([kind for kind in kinds if refused[kind] == 0], [], "each kind was hit and refused")
        self.assertGreaterEqual(sum(refused.values()), LEAST_REFUSED)

    def verified(self) -> int:
        """Requests that the host took for endorsed, once its log (which a thread writes) has come to rest."""
        seen = []
        while len(seen) < 2 or seen[-1] != seen[-2]:
            time.sleep(0.5)
            seen.append(sum(record["outcome"] == "verified" for record in self.lab.host_records()))
        return seen[-1]

    def check_refusal(self, result: dict) -> None:
        """The host's own body, and the same reason in its access log."""
        body = json.loads(result["body"])
        self.assertEqual(sorted(body), ["error", "error_description", "request_id"])
        record = poll("line in the host's access log", lambda: self.host_record(body["request_id"]), 3)
        self.assertEqual((record["outcome"], record["status"], record["reason"]), ("refused", result["status"], body["error"]))

    def host_record(self, request_id: str) -> dict | None:
        if request_id not in self._records:
            self._records = {record["request_id"]: record for record in self.lab.host_records()}
        return self._records.get(request_id)

    def setUp(self) -> None:
        self._records: dict[str, dict] = {}
