# SPDX-License-Identifier: Apache-2.0
"""Test scaffolding before msp-host: what it has no content for yet is answered here, after msp-host has verified it.

Every byte that arrives at WireServer or HostGAPlugin goes to msp-host first, which decides, logs and answers. Only
where its answer is 404 `not_found`, which it gives to nobody whose signature is not good, `content` takes its place.
So a request that msp-host refuses is refused, and its access log holds all of them.
"""
import json
import socket
import threading
from dataclasses import dataclass

from . import http
from .lab import HOSTGA, WIRESERVER, Lab
from .origin import Request, RequestReader
from .world import enter_netns, hang_up

# Where msp-host listens behind the front: service of its configuration, address, what it stands for.
BEHIND = {"wireserver": ("127.0.0.1:8081", WIRESERVER), "hostga": ("127.0.0.1:8082", HOSTGA)}
# The front asks msp-host from here, in the guest's name.
SOURCE = "127.0.0.1"
_OURS = ("content-length", "transfer-encoding", "connection")


@dataclass
class Exchange:
    service: str
    request: Request
    status: int
    by_host: bool  # msp-host's own answer, else the test's


class Front:
    """`content(service, request)` returns status, headers and body, and may be called by several threads."""

    KEPT_BODY = 1 << 20

    def __init__(self, lab: Lab, content):
        self._content = content
        self._lock = threading.Lock()
        self._seen: list[Exchange] = []
        self._listeners: list[socket.socket] = []
        self._ready = threading.Event()
        self._point_host_here(lab)
        threading.Thread(target=self._open, args=(lab.host_netns,), daemon=True).start()
        if not self._ready.wait(5):
            raise RuntimeError("the front did not start")
        lab.world.on_close(self.close)

    @staticmethod
    def _point_host_here(lab: Lab) -> None:
        config = json.loads(lab.host_config_file.read_text())
        for service, (address, _) in BEHIND.items():
            host, port = http.split_address(address)
            config["listeners"].append({"address": host, "port": port, "service": service})
        config["virtualMachines"][0]["sourceAddresses"].append(SOURCE)
        lab.host_config_file.write_text(json.dumps(config))

    def close(self) -> None:
        for listener in self._listeners:
            hang_up(listener)

    def exchanges(self) -> list[Exchange]:
        with self._lock:
            return list(self._seen)

    def _open(self, netns: str) -> None:
        enter_netns(netns)
        for service, (_, address) in BEHIND.items():
            listener = socket.create_server(http.split_address(address), backlog=256)
            self._listeners.append(listener)
            threading.Thread(target=self._accept, args=(service, listener, netns), daemon=True).start()
        self._ready.set()

    def _accept(self, service: str, listener: socket.socket, netns: str) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(service, connection, netns), daemon=True).start()

    def _talk(self, service: str, connection: socket.socket, netns: str) -> None:
        enter_netns(netns)  # for the connections to msp-host
        pieces: list[bytes] = []
        reader = RequestReader(connection, pieces.append)
        try:
            while (head := reader.head()) is not None:
                request = Request(head)
                reader.body(request, self.KEPT_BODY)
                connection.sendall(self._answer(service, request, b"".join(pieces)))
                pieces.clear()
        except (OSError, ValueError, IndexError):
            pass
        finally:
            hang_up(connection)

    def _answer(self, service: str, request: Request, data: bytes) -> bytes:
        told = http.exchange(BEHIND[service][0], data, request.method.decode())
        if told.status == 0:
            raise ConnectionError(told.error)  # msp-host is not there: neither are we
        status, headers, body = told.status, told.headers, told.body
        by_host = (status, told.code) != (404, "not_found")
        if not by_host:
            status, headers, body = self._content(service, request)
        if not request.target.startswith(b"/secure-channel/"):
            with self._lock:
                self._seen.append(Exchange(service, request, status, by_host))
        lines = [f"HTTP/1.1 {status} -"] + [f"{k}: {v}" for k, v in headers.items() if k.lower() not in _OURS]
        return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode("latin-1") + body
