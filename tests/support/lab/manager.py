# SPDX-License-Identifier: Apache-2.0
"""The service manager's side of sd_notify(3) and sd_listen_fds(3): what systemd hears, keeps and passes on."""
import os
import select
import socket
import subprocess
import time
from pathlib import Path

from .world import Place


class Manager:
    """`said` holds every message; `kept` the descriptors by name. Nothing is read but by wait_for() and drain()."""

    def __init__(self, path: Path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.said: list[str] = []
        self.kept: dict[str, socket.socket] = {}

    def close(self) -> None:
        self.socket.close()
        for one in self.kept.values():
            one.close()

    def start(self, place: Place, argv: list, environment: dict, passed: dict[str, socket.socket], **options):
        """As systemd starts a service: the descriptors from 3 on, and their names."""
        own = dict(os.environ, NOTIFY_SOCKET=str(self.path), LISTEN_FDS=str(len(passed)),
                   LISTEN_FDNAMES=":".join(passed), **environment)
        # Out of the way of what they are copied to.
        sources = [os.dup(one.fileno()) for one in passed.values()]
        high = [os.dup2(source, 100 + i) for i, source in enumerate(sources)]

        def enter() -> None:
            place.enter()
            for i, source in enumerate(high):
                os.dup2(source, 3 + i)
        # The number of the process is known only in it: a shell writes it.
        shell = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *map(str, argv)]
        process = subprocess.Popen(shell, env=own, preexec_fn=enter, close_fds=True,
                                   pass_fds=range(3, 3 + len(high)), **options)
        for fd in (*sources, *high):
            os.close(fd)
        return process

    def _next(self, seconds: float) -> str | None:
        if not select.select([self.socket], [], [], seconds)[0]:
            return None
        text, fds, _, _ = socket.recv_fds(self.socket, 4096, 1)
        message = text.decode()
        fields = dict(line.split("=", 1) for line in message.split("\n"))
        for fd in fds:
            if "FDSTORE" in fields:
                self.forget(fields["FDNAME"])
                self.kept[fields["FDNAME"]] = socket.socket(fileno=fd)
            else:
                os.close(fd)  # of BARRIER=1: all before it has been read
        if "FDSTOREREMOVE" in fields:
            self.forget(fields["FDNAME"])
        self.said.append(message)
        return message

    def forget(self, name: str) -> None:
        if name in self.kept:
            self.kept.pop(name).close()

    def wait_for(self, beginning: str, seconds: float = 10.0) -> str:
        """The next message that begins so; those before it are taken in."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            message = self._next(left)
            if message is not None and message.startswith(beginning):
                return message
        raise TimeoutError(f"no {beginning!r} within {seconds:g} s; said: {self.said[-8:]}")

    def drain(self) -> None:
        while self._next(0) is not None:
            pass

    def silent_about(self, beginning: str, seconds: float) -> bool:
        try:
            self.wait_for(beginning, seconds)
        except TimeoutError:
            return True
        return False
