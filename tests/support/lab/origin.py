# SPDX-License-Identifier: Apache-2.0
"""An origin in the host's namespace that keeps every byte it gets, before it makes anything of it.

What it answers is chosen by the target; see _answer(). It reads requests in the plainest way: a head up to an empty
line, a body by content-length or chunked. Bytes are logged as they come from the socket, so the log is the judge of
what was forwarded, whatever this reader thinks of it.
"""
import hashlib
import socket
import threading

from .http import split_address
from .lab import IMDS, Lab
from .world import enter_netns, hang_up

PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n"
           b"x-trailer: dropped\r\n\r\n")


class Request:
    def __init__(self, head: bytes):
        self.head = head
        line, *fields = head.split(b"\r\n")
        self.method, self.target = line.split(b" ")[:2]
        self.headers: dict[bytes, bytes] = {}
        for text in fields:
            if b":" in text:
                name, value = text.split(b":", 1)
                self.headers[name.lower()] = value.strip()
        self.body_size, self.digest = 0, hashlib.sha256()
        self.body = b""  # the first bytes only


class Origin:
    KEPT_BODY = 1 << 16

    def __init__(self, lab: Lab, address: str = IMDS, keep_bytes: bool = True):
        self.address, self._keep = address, keep_bytes
        self._lock = threading.Lock()
        self._log: list[bytes] = []
        self.requests: list[Request] = []
        self.connections = 0
        self._ready = threading.Event()
        self._listener: socket.socket | None = None
        threading.Thread(target=self._serve, args=(lab.host_netns,), daemon=True).start()
        if not self._ready.wait(5):
            raise RuntimeError("the origin did not start")
        lab.world.on_close(self.close)

    def close(self) -> None:
        assert self._listener is not None
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def bytes(self) -> bytes:
        with self._lock:
            return b"".join(self._log)

    def reset(self) -> None:
        with self._lock:
            self._log.clear()
            self.requests.clear()

    def find(self, target: bytes) -> list[Request]:
        with self._lock:
            return [request for request in self.requests if request.target == target]

    def _serve(self, netns: str) -> None:
        enter_netns(netns)
        self._listener = socket.create_server(split_address(self.address), backlog=1024)
        self._ready.set()
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            try:
                reader = RequestReader(connection, self._record)
                while (head := reader.head()) is not None:
                    request = Request(head)
                    early = request.target.startswith(b"/early")
                    if early:
                        connection.sendall(PLAIN.replace(b"200 OK", b"403 Forbidden"))
                    reader.body(request, self.KEPT_BODY)
                    with self._lock:
                        self.requests.append(request)
                    if not early and not self._answer(connection, request):
                        return
            except (OSError, ValueError, IndexError):
                pass
            finally:
                hang_up(connection)

    def _record(self, data: bytes) -> None:
        if self._keep:
            with self._lock:
                self._log.append(data)

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        """False: the connection ends here."""
        target = request.target
        if request.method == b"HEAD":
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        elif target.startswith(b"/204"):
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif target.startswith(b"/304"):
            connection.sendall(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\netag: \"x\"\r\n\r\n")
        elif target.startswith(b"/chunked"):
            connection.sendall(CHUNKED)
        elif target.startswith(b"/until-close"):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nuntil the end")
            return False
        elif target.startswith(b"/cut"):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")
            return False
        elif target.startswith(b"/chunks-cut"):
            connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nonly this\r\n")
            return False
        elif target.startswith(b"/silent"):
            return False
        elif target.startswith(b"/hang"):
            connection.recv(1)  # until the other side gives up
            return False
        elif target.startswith(b"/informational"):
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + PLAIN)
        elif target.startswith(b"/evil-header"):
            connection.sendall(b"HTTP/1.1 200 OK\r\nx-a: b\nx-injected: c\r\ncontent-length: 2\r\n\r\nok")
        elif target.startswith(b"/two-lengths"):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!")
        elif target.startswith(b"/large"):
            size = int(target.rsplit(b"=", 1)[1])
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
            piece = bytes(range(256)) * 256
            while size > 0:
                connection.sendall(piece[:size])
                size -= len(piece)
        else:
            connection.sendall(PLAIN)
        return True


class RequestReader:
    def __init__(self, connection: socket.socket, record):
        self._connection, self._record, self._buffer = connection, record, b""

    def _more(self) -> bool:
        data = self._connection.recv(1 << 18)
        if data:
            self._record(data)
        self._buffer += data
        return bool(data)

    def head(self) -> bytes | None:
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        return head

    def body(self, request: Request, kept: int) -> None:
        if request.headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            while size := int(self._line(), 16):
                self._pass(request, size, kept)
                self._line()
            while self._line():
                pass
        else:
            self._pass(request, int(request.headers.get(b"content-length", b"0")), kept)

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            if not self._more():
                raise ConnectionError("closed")
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        return line

    def _pass(self, request: Request, size: int, kept: int) -> None:
        while size > 0:
            if not self._buffer and not self._more():
                raise ConnectionError("closed inside a body")
            piece, self._buffer = self._buffer[:size], self._buffer[size:]
            size -= len(piece)
            request.body_size += len(piece)
            request.digest.update(piece)
            request.body += piece[:max(0, kept - len(request.body))]
