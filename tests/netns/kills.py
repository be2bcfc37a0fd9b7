# SPDX-License-Identifier: Apache-2.0
"""What tests that kill the programs under load share: the load, who asks beside it, both logs while they grow, and what may not be torn."""
import contextlib
import json
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from lab import http
from lab.lab import IMDS, ORDINARY_USER, Lab

LEAST_RATE = 1000  # requests a second under which the kills happen
CONNECTIONS = 16
IN_FLIGHT = 64  # answered by the host, not yet by the agent: more than there are clients
TARGET = "/metadata/versions"
URL = f"http://{IMDS.split(':')[0]}{TARGET}"


# --- who asks ------------------------------------------------------------------------------------------------------------


def start_load(lab: Lab, seconds: int) -> subprocess.Popen:
    """As many requests as both ends can serve, until it is killed or the time is over."""
    load = lab.guest.as_user(ORDINARY_USER).popen(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-H", "Metadata: true", URL], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lab.world.on_close(load.kill)
    return load


def end_load(load: subprocess.Popen) -> int:
    """How many answers it got, those that refused included."""
    load.send_signal(signal.SIGINT)
    said = load.communicate(timeout=10)[0]
    answers = re.search(r"(\d+) requests in ", said)
    if not answers:
        raise RuntimeError(f"wrk: {said}")
    return int(answers.group(1))


def probe_while(go_on: Callable[[], bool]) -> Counter:
    """Connects without pause; what happens is served, refused, held, or cut (killed with the request in it)."""
    seen: Counter = Counter()
    data = http.request_bytes(IMDS, TARGET)
    while go_on():
        try:
            with http.connect(IMDS, 5) as connection:
                connection.sendall(data)
                answer = http.Reader(connection).answer()
                around = answer.status == 200 and not endorsed(answer)
                seen["SERVED AROUND THE AGENT" if around else f"status {answer.status}"] += 1
        except ConnectionRefusedError:
            seen["refused"] += 1
            time.sleep(0.001)
        except ConnectionError:
            seen["cut"] += 1
        except socket.timeout:
            seen["TIMEOUT"] += 1
    return seen


def probe_until(end: float) -> Counter:
    return probe_while(lambda: time.time() < end)


def endorsed(answer: http.Answer) -> bool:
    """The agent says so of what it signed, and strips it from what the host says."""
    return answer.headers.get("x-ms-azure-host-authorization") == "value"


# --- logs ----------------------------------------------------------------------------------------------------------------


class GrowingLog:
    """A log that others write, megabytes a second: only what is new is read, across rotations, and nothing is missed or read twice."""

    def __init__(self, path: Path):
        self.path = path
        self._file: BinaryIO | None = None
        self._torn = b""

    def blocks(self) -> Iterator[bytes]:
        """Whole lines, many at once."""
        while self._file or self._open(self.path):
            assert self._file is not None
            # Asked first: to a file that was moved away nothing is added any more.
            newer = self._newer()
            while block := self._file.read(1 << 20):
                whole, newline, self._torn = (self._torn + block).rpartition(b"\n")
                if newline:
                    yield whole + newline
            if newer is None:
                return
            self._file.close()
            self._open(newer)

    def dropped(self) -> bytes:
        """Its writer is dead: takes the file away, once all of it has been read. Returns a last line that is none."""
        torn, self._torn = self._torn, b""
        if self._file:
            self._file.close()
            self._file = None
        self.path.unlink(missing_ok=True)
        return torn

    def _open(self, path: Path) -> bool:
        with contextlib.suppress(FileNotFoundError):
            self._file = path.open("rb")
        return self._file is not None

    def _newer(self) -> Path | None:
        """The file that follows the one at hand: PATH.2, PATH.1, PATH."""
        assert self._file is not None
        own = Path(f"/proc/self/fd/{self._file.fileno()}").stat().st_ino
        newer: Path | None = None
        for number in range(1000):
            path = self.path.with_name(f"{self.path.name}.{number}") if number else self.path
            if not path.exists() or path.stat().st_ino == own:
                return newer if path.exists() else None
            newer = path
        raise RuntimeError(f"{self.path}: it was rotated away before it was read")


def lines_without(mark: bytes, block: bytes) -> Iterator[bytes]:
    """The few lines without it, of many with it."""
    if block.count(mark) < block.count(b"\n"):
        yield from (line for line in block.splitlines() if mark not in line)


class HostLog:
    """The host's access log over all of its lives: what was verified is counted, what else there is is looked at."""

    _VERIFIED = b'"outcome":"verified"'

    def __init__(self, path: Path):
        self._log = GrowingLog(path)
        self.verified = self.keys_asked = self.torn = 0
        self.refusals: Counter = Counter()
        self.unsigned: list[dict] = []  # neither signed nor the channel's own, and not refused for a nonce of an earlier life

    def latched(self) -> None:
        """Up to here nothing was promised, and traffic was left alone."""
        self.read()
        self.unsigned.clear()
        self.refusals.clear()

    def read(self) -> int:
        for block in self._log.blocks():
            self.verified += block.count(self._VERIFIED)
            for line in lines_without(self._VERIFIED, block):
                self._judge(json.loads(line))
        return self.verified

    def end_of_life(self) -> None:
        """The host is dead, and the next one begins a file of its own."""
        self.read()
        self.torn += bool(self._log.dropped())

    def _judge(self, record: dict) -> None:
        self.keys_asked += record.get("path") == "/secure-channel/key"
        if record["outcome"] == "refused":
            self.refusals[record["reason"]] += 1
        if record["outcome"] == "channel" and record["path"].startswith("/secure-channel/"):
            return
        # The first request after a restart of the host, which the agent repeats with what the answer names.
        if (record["outcome"], record.get("reason")) != ("refused", "nonce_stale"):
            self.unsigned.append(record)


class AuditLog:
    """The agent's audit log over all of its lives."""

    def __init__(self, path: Path):
        self._log = GrowingLog(path)
        self.signed = self.torn = 0
        self.starts: list[str] = []  # how the run before ended
        self.denials: Counter = Counter()
        self.unsigned: list[dict] = []  # let pass without a key

    def latched(self) -> None:
        self.read()
        self.unsigned.clear()

    def read(self) -> None:
        for block in self._log.blocks():
            for line in lines_without(b'"key_guid":"', block):
                self._judge(line)
            self.signed += block.count(b'"key_guid":"')

    def _judge(self, line: bytes) -> None:
        try:
            record = json.loads(line)
        except ValueError:
            self.torn += 1
            return
        if record.get("event") == "start":
            self.starts.append(record["previous_end"])
        elif record.get("decision") == "deny":
            self.denials[record["reason"]] += 1
        elif "event" not in record:
            self.unsigned.append(record)


# --- state files ---------------------------------------------------------------------------------------------------------


def faults_of_agent_state(lab: Lab) -> list[str]:
    """What is torn or left over in the agent's directory after a kill."""
    home = lab.folder / "agent"
    # The tag is written at each start, over what the one before may have left of it.
    faults = [f"left over: {path}" for path in (home / "keys").iterdir() if path.suffix == ".tmp" and path.name != ".provisioned.tag.tmp"]
    for name in lab.key_files():
        text = (home / "keys" / name).read_text()
        if not re.fullmatch(r"[0-9a-fA-F]{64}", str((_object(text) or {}).get("key"))):
            faults.append(f"torn: {name}, of {len(text)} characters")
    for path in (home / "log").glob("*.json"):
        if _object(path.read_text()) is None:
            faults.append(f"torn: {path}")
    return faults


def faults_of_host_state(lab: Lab) -> list[str]:
    """The same of the host, which is dead: its database is looked at in a copy, since looking mends it."""
    with tempfile.TemporaryDirectory(dir=lab.folder) as folder:
        for path in (lab.folder / "host").glob("host.db*"):
            shutil.copy(path, folder)
        with contextlib.closing(sqlite3.connect(Path(folder) / "host.db")) as database:
            try:
                said = [row[0] for row in database.execute("PRAGMA integrity_check")]
                keys = list(database.execute("SELECT sequence, vm_id, state FROM vm_key"))
            except sqlite3.DatabaseError as error:
                return [f"host.db: {error}"]
    latched = 1
    faults = [f"host.db: {line}" for line in said if line != "ok"]
    if [(sequence, state) for sequence, _, state in keys] != [(1, latched)]:
        faults.append(f"host.db: not the one latched key that was issued first: {keys}")
    return faults


def _object(text: str) -> dict | None:
    try:
        return json.loads(text)
    except ValueError:
        return None
