# SPDX-License-Identifier: Apache-2.0
"""Namespaces, cgroups and processes: where something runs, and that all of it goes away again."""
import atexit
import ctypes
import os
import pickle
import pwd
import signal
import socket
import subprocess
import sys
import time
import traceback
from contextlib import ExitStack
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def enter_netns(name: str) -> None:
    """Moves the calling thread; sockets made before stay where they were."""
    fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _LIBC.setns(fd, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {name}")
    finally:
        os.close(fd)


def hang_up(connection: socket.socket) -> None:
    """Closing is not enough: a child that was forked meanwhile holds a copy of the descriptor."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()


def cgroup_root() -> Path:
    for line in Path("/proc/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == "cgroup2":
            return Path(fields[1])
    raise RuntimeError("no cgroup v2 hierarchy is mounted")


def poll(what: str, good, timeout: float = 10.0, pause: float = 0.02):
    """Asks until the answer is true; returns it. An exception of OSError's kind counts as "not yet"."""
    end = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            last = good()
            if last:
                return last
        except OSError as error:
            last = error
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout:g} s (last: {last})")
        time.sleep(pause)


class Place:
    """Where a process runs: network namespace, cgroup, user."""

    def __init__(self, netns: str, cgroup: Path, user: str | int | None = None):
        self.netns, self.cgroup, self.user = netns, cgroup, user

    def as_user(self, user: str | int | None) -> "Place":
        return Place(self.netns, self.cgroup, user)

    def enter(self) -> None:
        """Called in a fresh child. The cgroup comes first: a socket belongs to that of its birth."""
        (self.cgroup / "cgroup.procs").write_text("0")
        enter_netns(self.netns)
        if isinstance(self.user, int):
            os.setgroups([])
            os.setgid(self.user)
            os.setuid(self.user)
        elif self.user is not None:
            entry = pwd.getpwnam(self.user)
            os.initgroups(self.user, entry.pw_gid)
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)

    def popen(self, argv, **options) -> subprocess.Popen:
        return subprocess.Popen([str(a) for a in argv], preexec_fn=self.enter, **options)

    def run(self, argv, timeout: float = 30.0, **options) -> subprocess.CompletedProcess:
        return subprocess.run([str(a) for a in argv], preexec_fn=self.enter, capture_output=True, timeout=timeout,
                              check=False, **options)

    def call(self, function, *args):
        """Runs function(*args) in a child that lives here; its result, or its exception, comes back."""
        return self.start(function, *args).result()

    def start(self, function, *args) -> "Child":
        reader, writer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            _child(self, writer, function, args)
        os.close(writer)
        return Child(pid, reader)


def _child(place: Place, writer: int, function, args) -> None:
    status = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            place.enter()
            answer = (True, function(*args))
        except BaseException as error:  # the parent raises it again
            answer = (False, f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(answer, pipe)
        status = 0
    finally:
        os._exit(status)


class Child:
    def __init__(self, pid: int, reader: int):
        self.pid, self._reader = pid, reader

    def result(self):
        with os.fdopen(self._reader, "rb") as pipe:
            data = pipe.read()
        os.waitpid(self.pid, 0)
        if not data:
            raise RuntimeError("child died without an answer")
        good, value = pickle.loads(data)
        if not good:
            raise RuntimeError(value)
        return value

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._reader)


class World:
    """Owns what it makes; close() undoes it all, in reverse order, also after a failure half way."""

    def __init__(self, name: str):
        self.name = f"{name}-{os.getpid()}"
        self._undo = ExitStack()
        # Also when a test runner is interrupted, which skips its own clean-up.
        atexit.register(self.close)

    def close(self) -> None:
        """Can be called again."""
        atexit.unregister(self.close)
        self._undo.close()

    def on_close(self, function, *args) -> None:
        self._undo.callback(_tolerant, function, *args)

    def netns(self, role: str) -> str:
        name = f"{self.name}-{role}"
        run("ip", "netns", "add", name)
        self.on_close(run, "ip", "netns", "del", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        return name

    def cgroup(self, *path: str) -> Path:
        full = cgroup_root() / self.name
        for part in ("", *path):
            full = full / part if part else full
            if not full.exists():
                full.mkdir()
                self.on_close(_remove_cgroup, full)
        return full

    def bpffs(self, where: Path) -> Path:
        where.mkdir(parents=True)
        run("mount", "-t", "bpf", "-o", "mode=0700", "bpf", str(where))
        self.on_close(run, "umount", str(where))
        return where


def _tolerant(function, *args) -> None:
    try:
        function(*args)
    except Exception as error:  # go on: the rest must be undone, too
        print(f"clean-up: {error}", file=sys.stderr)


def _remove_cgroup(path: Path) -> None:
    if not path.exists():
        return  # the test has done it
    (path / "cgroup.kill").write_text("1")
    poll(f"cgroup {path} is empty", lambda: not (path / "cgroup.procs").read_text(), 5)
    path.rmdir()
