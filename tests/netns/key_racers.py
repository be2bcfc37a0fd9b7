# SPDX-License-Identifier: Apache-2.0
"""Connections of one machine that ask for keys and attest them, all at once: processes that are told what to do over a pipe.

A process has its share of the connections and sends on all of them before it reads, so that what the host finds ready at
one moment comes from several processes and several connections each.
"""
import random
import selectors
import socket
import pickle
import struct
from dataclasses import dataclass

from lab import http
from lab.lab import IMDS, WIRESERVER
from own_agent import Key

ACQUIRE = http.request_bytes(WIRESERVER, "/secure-channel/key", "POST", None, b'{"authorizationScheme": "Azure-HMAC-SHA256"}')


def attestation(key: Key) -> bytes:
    return key.signed(WIRESERVER, f"/secure-channel/key/{key.guid}/key-attestation", "POST", b"")


@dataclass
class Said:
    """What one connection was told, and of which key."""
    asked: str  # "acquire" or "attest"
    status: int
    code: str = ""
    guid: str = ""
    secret: bytes = b""
    incarnation: int = 0


def send_message(pipe: socket.socket, message) -> None:
    data = pickle.dumps(message)
    pipe.sendall(struct.pack("!I", len(data)) + data)


def take(pipe: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = pipe.recv(count - len(data))
        if not part:
            raise EOFError("the other end is gone")
        data += part
    return data


def receive_message(pipe: socket.socket):
    return pickle.loads(take(pipe, struct.unpack("!I", take(pipe, 4))[0]))


class Racers:
    """In the child: its connections."""

    def __init__(self, count: int, seed: int):
        self.chance = random.Random(seed)
        self.connections = [http.connect(WIRESERVER) for _ in range(count)]
        self.readers = {connection: http.Reader(connection) for connection in self.connections}
        self.imds = http.connect(IMDS)
        self.imds_reader = http.Reader(self.imds)
        self.keys: list[Key] = []

    def _shuffled(self) -> list[socket.socket]:
        return self.chance.sample(self.connections, len(self.connections))

    def _answers(self, waiting: dict[socket.socket, Key | None], go_on: bool, later: list[socket.socket]) -> list[Said]:
        """Reads what each has asked for; with `go_on` a key that came is attested at once, on the same connection. Those of
        `later` ask for theirs one by one, as others have an answer.
        """
        said = []
        with selectors.DefaultSelector() as ready:
            for connection in waiting:
                ready.register(connection, selectors.EVENT_READ)
            while waiting:
                for event, _ in ready.select(10) or [(None, None)]:
                    if event is None:
                        raise TimeoutError(f"{len(waiting)} connections have no answer")
                    connection = event.fileobj
                    answer, key = self.readers[connection].answer("POST"), waiting.pop(connection)
                    if later:
                        following = later.pop()
                        following.sendall(ACQUIRE)
                        waiting[following] = None
                        ready.register(following, selectors.EVENT_READ)
                    if key is not None:
                        said.append(Said("attest", answer.status, answer.code, key.guid))
                    elif answer.status != 200:
                        said.append(Said("acquire", answer.status, answer.code))
                    else:
                        key = self._take_key(answer, said)
                        if go_on:
                            connection.sendall(attestation(key))
                            waiting[connection] = key
                            continue
                    ready.unregister(connection)
        return said

    def _take_key(self, answer: http.Answer, said: list[Said]) -> Key:
        document = answer.json()
        key = Key(document["guid"], bytes.fromhex(document["key"]))
        self.keys.append(key)
        said.append(Said("acquire", 200, "", key.guid, key.secret, document["incarnationId"]))
        return key

    def acquire(self, go_on: bool) -> list[Said]:
        """All at once; with `go_on` a number by chance of them is, and the others meet those that attest already."""
        self.keys = []
        order = self._shuffled()
        first = self.chance.randint(1, len(order)) if go_on else len(order)
        for connection in order[:first]:
            connection.sendall(ACQUIRE)
        return self._answers(dict.fromkeys(order[:first]), go_on, order[first:])

    def attest(self, keys: list[Key]) -> list[Said]:
        """As many connections as there are keys; signed beforehand."""
        each = list(zip(self._shuffled(), self.chance.sample(keys, len(keys))))
        ready = [(connection, attestation(key)) for connection, key in each]
        for connection, data in ready:
            connection.sendall(data)
        return self._answers(dict(each), False, [])

    def attest_own(self) -> list[Said]:
        return self.attest(self.keys)

    def attest_one(self, key: Key) -> list[Said]:
        return self.attest([key] * len(self.connections))

    def ask(self, key: Key) -> tuple[int, str]:
        """An ordinary request that the key signs."""
        self.imds.sendall(key.signed(IMDS, "/metadata/versions"))
        answer = self.imds_reader.answer()
        return answer.status, answer.code

    def latched(self) -> str | None:
        """The guid that the host says is latched."""
        self.connections[0].sendall(http.request_bytes(WIRESERVER, "/secure-channel/status"))
        return self.readers[self.connections[0]].answer().json()["keyGuid"]


def work(pipe: socket.socket, count: int, seed: int) -> None:
    """Calls what the pipe says until that ends."""
    racers = Racers(count, seed)
    send_message(pipe, "ready")
    try:
        while True:
            name, arguments = receive_message(pipe)
            send_message(pipe, getattr(racers, name)(*arguments))
    except EOFError:
        return


class Team:
    """The processes, from outside."""

    def __init__(self, place, processes: int, connections: int, seed: int):
        self._pipes, self._children = [], []
        for number in range(processes):
            mine, its = socket.socketpair()
            self._children.append(place.start(work, its, connections // processes, seed + number))
            its.close()
            mine.settimeout(30)
            self._pipes.append(mine)
        for pipe in self._pipes:
            receive_message(pipe)

    def all(self, name: str, *arguments, meanwhile=None) -> list[Said]:
        """At once; `meanwhile` is called while they are at it."""
        for pipe in self._pipes:
            send_message(pipe, (name, arguments))
        if meanwhile is not None:
            meanwhile()
        return [said for pipe in self._pipes for said in receive_message(pipe)]

    def one(self, name: str, *arguments):
        send_message(self._pipes[0], (name, arguments))
        return receive_message(self._pipes[0])

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        for child in self._children:
            child.kill()
