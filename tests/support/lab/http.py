# SPDX-License-Identifier: Apache-2.0
"""A client that sends exactly the bytes that it is given, and reads answers by its own simple rules."""
import json
import socket
import time
from dataclasses import dataclass, field


@dataclass
class Answer:
    status: int = 0  # 0: none, see error
    headers: dict = field(default_factory=dict)  # names in lower case; the last of several
    body: bytes = b""
    error: str = ""
    seconds: float = 0.0

    def json(self):
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The "error" member of a refusal's body; empty if there is none."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return ""
        return document.get("error", "") if isinstance(document, dict) else ""

    def __str__(self) -> str:
        return f"{self.status} {self.code}".strip() if self.status else self.error


def split_address(address: str) -> tuple[str, int]:
    host, port = address.rsplit(":", 1)
    return host, int(port)


def connect(address: str, timeout: float = 10.0) -> socket.socket:
    return socket.create_connection(split_address(address), timeout)


def request_bytes(address: str, target: str, method: str = "GET", headers: dict | None = None,
                  body: bytes | None = None) -> bytes:
    lines = {"Host": address.rsplit(":", 1)[0], "Metadata": "true", **(headers or {})}
    if body is not None and not any(name.lower() in ("content-length", "transfer-encoding") for name in lines):
        lines["Content-Length"] = str(len(body))
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode("latin-1") + b"\r\n" + (body or b"")


class Reader:
    """Answers from a connection, one after the other."""

    def __init__(self, connection: socket.socket):
        self._connection, self._buffer = connection, b""
        self.informational: list[int] = []

    def _more(self) -> bool:
        data = self._connection.recv(65536)
        self._buffer += data
        return bool(data)

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            if not self._more():
                raise ConnectionError("closed before the end of the head" if self._buffer else "closed without an answer")
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        return line

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            if not self._more():
                raise ConnectionError(f"closed {count - len(self._buffer)} bytes before the end of the body")
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def answer(self, method: str = "GET") -> Answer:
        while True:
            status = int(self._line().split(b" ", 2)[1])
            headers = {}
            while line := self._line():
                name, value = line.split(b":", 1)
                headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
            if status >= 200:
                break
            self.informational.append(status)
        return Answer(status, headers, self._body(method, status, headers))

    def _body(self, method: str, status: int, headers: dict) -> bytes:
        if method == "HEAD" or status in (204, 304):
            return b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            parts = []
            while size := int(self._line().split(b";")[0], 16):
                parts.append(self._take(size))
                self._line()
            while self._line():
                pass
            return b"".join(parts)
        if "content-length" in headers:
            return self._take(int(headers["content-length"]))
        while self._more():
            pass
        rest, self._buffer = self._buffer, b""
        return rest

    def rest(self) -> bytes:
        """Everything until the peer closes."""
        try:
            while self._more():
                pass
        except ConnectionResetError:
            pass
        return self._buffer


def exchange(address: str, data: bytes, method: str = "GET", timeout: float = 10.0, close_write: bool = False) -> Answer:
    """Sends the bytes, reads one answer. What goes wrong is in .error."""
    begin = time.monotonic()
    answer = Answer()
    try:
        with connect(address, timeout) as connection:
            try:
                connection.sendall(data)
                if close_write:
                    connection.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass  # an early answer may still be readable
            answer = Reader(connection).answer(method)
    except (OSError, ValueError, IndexError) as error:
        answer.error = f"{type(error).__name__}: {error}"
    answer.seconds = time.monotonic() - begin
    return answer


def get(address: str, target: str, method: str = "GET", headers: dict | None = None, body: bytes | None = None,
        timeout: float = 10.0) -> Answer:
    return exchange(address, request_bytes(address, target, method, headers, body), method, timeout)
