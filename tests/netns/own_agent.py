# SPDX-License-Identifier: Apache-2.0
"""The guest's end of the protocol by an implementation of its own: keys that a test knows, and requests from any address."""
import hashlib
import hmac
import json
import socket
from email.utils import formatdate
from pathlib import Path
from time import time

from lab import http
from lab.lab import IMDS, WIRESERVER
from lab.signing import string_to_sign

CLAIMS, DATE, AUTHORIZATION = "x-ms-azure-host-claims", "x-ms-azure-host-date", "x-ms-azure-host-authorization"
ROOT = '{ "isRoot": "true"}'


class Key:
    def __init__(self, guid: str, secret: bytes):
        self.guid, self.secret = guid, secret

    @staticmethod
    def read(path: Path) -> "Key":
        document = json.loads(path.read_text())
        return Key(document["guid"], bytes.fromhex(document["key"]))

    def sign(self, data: bytes) -> str:
        return f"Azure-HMAC-SHA256 {self.guid} {hmac.new(self.secret, string_to_sign(data), hashlib.sha256).hexdigest()}"

    def signed(self, address: str, target: str, method: str = "GET", body: bytes | None = None) -> bytes:
        headers = {CLAIMS: ROOT, DATE: formatdate(time(), usegmt=True)}
        signature = self.sign(http.request_bytes(address, target, method, headers, body))
        return http.request_bytes(address, target, method, {**headers, AUTHORIZATION: signature}, body)


def send(address: str, data: bytes, method: str = "GET", source: str = "") -> tuple[http.Answer, str]:
    """One answer, and the address and port that it was asked from."""
    with socket.create_connection(http.split_address(address), 10, source_address=(source, 0) if source else None) as connection:
        peer = "{}:{}".format(*connection.getsockname())
        try:
            connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what is refused early may still be answered
        return http.Reader(connection).answer(method), peer


class OwnAgent:
    """A machine's agent that does what it is told."""

    def __init__(self, place, address: str):
        self.place, self.address, self.key = place, address, None

    def _send(self, address: str, data: bytes, method: str = "GET") -> http.Answer:
        return self.place.call(send, address, data, method, self.address)[0]

    def acquire(self) -> http.Answer:
        body = b'{"authorizationScheme": "Azure-HMAC-SHA256"}'
        answer = self._send(WIRESERVER, http.request_bytes(WIRESERVER, "/secure-channel/key", "POST", None, body), "POST")
        if answer.status == 200:
            self.key = Key(answer.json()["guid"], bytes.fromhex(answer.json()["key"]))
        return answer

    def attest(self) -> http.Answer:
        target = f"/secure-channel/key/{self.key.guid}/key-attestation"
        return self._send(WIRESERVER, self.key.signed(WIRESERVER, target, "POST", b""), "POST")

    def get(self, target: str = "/metadata/versions", key: Key | None = None) -> http.Answer:
        return self._send(IMDS, (key or self.key).signed(IMDS, target))
