# SPDX-License-Identifier: Apache-2.0
"""The fault layer (tests/support/faults) under a real program of a lab, by LD_PRELOAD: told what to do while it runs."""
import errno
import os
import shutil
import struct
import subprocess
from pathlib import Path

from .lab import Lab

# faults.h: Plan, Effect, Call.
PLAN = struct.Struct("<IIIIQQQ")
NONE, FAIL, SHORT, NOTHING, DIE = range(5)
OPEN, CREATE, CLOSE, READ, WRITE, SYNC, RENAME, UNLINK, MKDIR, TRUNCATE, STAT, CHANGE, LIST, NOTIFY = (1 << i for i in range(14))
EVERY_CALL = (1 << 14) - 1
TAKES_SPACE = CREATE | WRITE | SYNC | RENAME | MKDIR | TRUNCATE
CHANGES_DISK = CREATE | WRITE | RENAME | UNLINK | MKDIR | TRUNCATE | CHANGE


class Faults:
    """Of one program and one directory, from its next start on."""

    def __init__(self, lab: Lab, program: str, under: Path, spared: tuple[str, ...] = ()):
        """`spared`: files that a loss of power leaves alone, since the test reads them."""
        self._lab, self.program, self.under, self._spared = lab, program, under.resolve(), spared
        self._tools = lab.programs / "tests" / "support" / "faults"
        self._plan = lab.folder / f"{program}.plan"
        self._journal = lab.folder / f"{program}.journal"
        self._base = lab.folder / f"{program}.base"
        self._plan.write_bytes(bytes(PLAN.size))
        self._environment = {"LD_PRELOAD": str(self._tools / "libmsp_file_faults.so"), "MSP_FAULTS_UNDER": str(self.under),
                             "MSP_FAULTS_PLAN": str(self._plan), "MSP_FAULTS_JOURNAL": str(self._journal)}
        self.install()

    def install(self) -> None:
        self._lab.environment[self.program] = self._environment

    def remove(self) -> None:
        del self._lab.environment[self.program]

    def arm(self, effect: int, error: str = "EIO", calls: int = EVERY_CALL, at: int = 0, from_there_on: bool = True) -> None:
        """`at` counts from the program's last start, or the last arm()."""
        code = getattr(errno, error)
        with open(self._plan, "r+b", buffering=0) as plan:
            plan.write(PLAN.pack(NONE, code, calls, from_there_on, at, 0, 0))
            os.pwrite(plan.fileno(), struct.pack("<I", effect), 0)

    def lift(self) -> None:
        with open(self._plan, "r+b", buffering=0) as plan:
            plan.write(struct.pack("<I", NONE))

    def counts(self) -> tuple[int, int]:
        """Calls seen, calls not left alone."""
        return PLAN.unpack(self._plan.read_bytes())[5:]

    # --- power loss ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Before the program starts: what is in the directory now is on the disk."""
        shutil.rmtree(self._base, ignore_errors=True)
        shutil.copytree(self.under, self._base, copy_function=shutil.copy2)

    def lose_power(self, seed: int) -> str:
        """After the program died: puts what may be left into the place of the directory. Says how much was unsynced."""
        left = self._lab.folder / f"{self.program}.left"
        shutil.rmtree(left, ignore_errors=True)
        left.mkdir(mode=0o700)
        said = subprocess.run([self._tools / "crash_disk", self._base, self._journal, left, str(seed)], check=True,
                              capture_output=True, text=True).stdout
        for old in self.under.iterdir():
            if old.name not in self._spared:
                old.unlink()
        for new in left.iterdir():
            if new.name not in self._spared:
                shutil.move(new, self.under / new.name)
        return said.strip()
