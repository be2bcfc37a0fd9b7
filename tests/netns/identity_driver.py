#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""identity_driver.py CLIENT FOLDER SEED: starts clients of 20 users, eight pids over and over; the first process of a pid namespace.

Reads "<first source port> <count>" and answers with a line of JSON, the table of who was really started; ends with its input.
"""
import ctypes
import json
import os
import random
import shutil
import sys
from pathlib import Path

USERS, SLOTS, FIRST_UID = 20, 8, 21000
FIRST_INNER_PID, FIRST_OUTER_PID = 100, 20000
ADDRESSES = [("169.254.169.254", 80), ("168.63.129.16", 80), ("168.63.129.16", 32526)]
WAYS = ["send", "exec", "hand"]
CLONE3 = 435
LIBC = ctypes.CDLL(None, use_errno=True)


class CloneArgs(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size",
                                                     "tls", "set_tid", "set_tid_size", "cgroup")]


def clone_with(inner: int, outer: int) -> int:
    """As fork(), with these pids in this namespace and in the one above."""
    pids = (ctypes.c_int32 * 2)(inner, outer)
    arguments = CloneArgs(exit_signal=17, set_tid=ctypes.addressof(pids), set_tid_size=2)
    pid = LIBC.syscall(CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments))
    if pid < 0:
        raise OSError(ctypes.get_errno(), f"clone3 with pid {outer}")
    return pid


class Driver:
    def __init__(self, client: str, folder: Path, seed: int):
        self.folder, self.random, self.next_outer = folder, random.Random(seed), FIRST_OUTER_PID + os.getppid() % 1000
        self.outer = [self._another() for _ in range(SLOTS)]
        self.programs = []
        for number in range(USERS):
            program = folder / f"user{number}" / "client"
            program.parent.mkdir()
            shutil.copy(client, program)
            self.programs.append(str(program))
        self.other = str(shutil.copy(client, folder / "other"))

    def _another(self) -> int:
        self.next_outer += 1
        return self.next_outer

    def batch(self, first: int, count: int) -> list[dict]:
        running: list[tuple[int, dict] | None] = [None] * SLOTS
        table = []
        for number in range(count):
            slot = number % SLOTS
            self.reap(running[slot])
            running[slot] = self.start(slot, first + number)
            table.append(running[slot][1])
        for one in running:
            self.reap(one)
        return table

    def start(self, slot: int, port: int) -> tuple[int, dict]:
        number = self.random.randrange(USERS)
        address, at = self.random.choice(ADDRESSES)
        entry = {"port": port, "uid": FIRST_UID + number, "gid": FIRST_UID + 5000 + number, "exe": self.programs[number],
                 "way": self.random.choice(WAYS), "address": address, "at": at}
        for _ in range(100):
            try:
                pid = clone_with(FIRST_INNER_PID + slot, self.outer[slot])
                break
            except FileExistsError:
                self.outer[slot] = self._another()  # a stranger has it
        else:
            raise RuntimeError("no pid is free")
        if pid == 0:
            self.become(entry)
        entry["pid"] = self.outer[slot]
        return pid, entry

    def become(self, entry: dict) -> None:
        try:
            os.setgroups([entry["uid"] + 6000])
            os.setgid(entry["gid"])
            os.setuid(entry["uid"])
            target = f"/metadata/versions?from={entry['port']}"
            request = f"GET {target} HTTP/1.1\r\nHost: {entry['address']}\r\nMetadata: true\r\nConnection: close\r\n\r\n"
            os.execve(entry["exe"], ["client", entry["way"], str(entry["port"]), entry["address"], str(entry["at"])],
                      {"MSP_OTHER": self.other, "MSP_REQUEST": request})
        finally:
            os._exit(99)

    def reap(self, one: tuple[int, dict] | None) -> None:
        if one is None:
            return
        pid, entry = one
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        # A zombie still says when it was born; /proc is that of the namespace above.
        entry["start_ticks"] = int(Path(f"/proc/{entry['pid']}/stat").read_text().rpartition(")")[2].split()[19])
        entry["status"] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    driver = Driver(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    for line in sys.stdin:
        first, count = map(int, line.split())
        print(json.dumps(driver.batch(first, count)), flush=True)


main()
