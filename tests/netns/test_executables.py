# SPDX-License-Identifier: Apache-2.0
"""Rules that name an executable: the file behind the path decides, whatever a path, a copy or a mount claims."""
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from base import LabCase
from lab.lab import IMDS, ORDINARY_USER

INSTANCE = "/metadata/instance?api-version=2021-02-01"
PROFILE = ("/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/lab/providers/Microsoft.Compute/galleries/"
           "policies/inVMAccessControlProfiles/imds/versions/1.0.0")
OTHER_USER = "daemon"
INTERPRETER = Path("/usr/bin/python3").resolve()
# One request on a connection of its own for each line that comes in; the status goes out, of a refusal also code and id.
CLIENT = f"""
import json, socket, sys
for _ in sys.stdin:
    with socket.create_connection(("{IMDS.split(":")[0]}", 80), 5) as connection:
        connection.sendall(b"GET {INSTANCE} HTTP/1.1\\r\\nHost: 169.254.169.254\\r\\nMetadata: true\\r\\n"
                           b"Connection: close\\r\\n\\r\\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\\r\\n\\r\\n")
    status = head.split()[1].decode()
    told = {{}} if status == "200" else json.loads(body)
    print(status, told.get("error", ""), told.get("request_id", ""), flush=True)
"""


class Program:
    """A process that asks when it is told to."""

    request_id = ""  # of the last refusal

    def __init__(self, argv: list, place):
        self.process = place.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")

    def ask(self) -> str:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        *said, self.request_id = self.process.stdout.readline().rstrip("\n").split(" ")
        return " ".join(said).strip()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class Executables(LabCase):
    """IMDS is for the program at one path run by one user, and for nobody else."""

    @classmethod
    def prepare(cls) -> None:
        lab = cls.lab
        cls.bin = lab.folder / "bin"
        cls.bin.mkdir(mode=0o755)
        cls.tool = cls.bin / "tool"
        cls.put_tool()
        (cls.bin / "elsewhere").symlink_to(cls.bin)
        rules = {"privileges": [{"name": "all", "path": "/metadata"}],
                 "roles": [{"name": "reader", "privileges": ["all"]}],
                 "identities": [{"name": "tool", "userName": ORDINARY_USER, "exePath": str(cls.tool)},
                                {"name": "python-of-root", "userName": "root", "exePath": str(INTERPRETER)}],
                 "roleAssignments": [{"role": "reader", "identities": ["tool", "python-of-root"]}]}
        cls.give_imds_rules(PROFILE, rules)

    @classmethod
    def setUpClass(cls) -> None:
        cls.start_agent = False
        super().setUpClass()
        cls.lab.start_agent(wait=False)
        deadline = time.monotonic() + 15
        while cls.once(cls.tool) != "200":
            if time.monotonic() > deadline:
                raise AssertionError("the program that may is not served\n" + cls.logs())

    @classmethod
    def put_tool(cls) -> None:
        """A new file appears at the path in one step, as a package manager does it."""
        fresh = cls.bin / "tool.new"
        shutil.copy(INTERPRETER, fresh)
        fresh.chmod(0o755)
        fresh.rename(cls.tool)

    @classmethod
    def run_as(cls, user: str | None, *argv) -> Program:
        return Program([*map(str, argv), "-c", CLIENT], cls.lab.guest.as_user(user))

    @classmethod
    def once(cls, *argv, user: str | None = ORDINARY_USER) -> str:
        program = cls.run_as(user, *argv)
        try:
            return program.ask()
        except BrokenPipeError:
            return "no answer"
        finally:
            program.close()

    def refused(self, *argv, user: str | None = ORDINARY_USER, exe: Path, as_user: str = ORDINARY_USER) -> None:
        """Denied, and the audit record says so of the program as the kernel saw it."""
        program = self.run_as(user, *argv)
        self.addCleanup(program.close)
        self.assertEqual(program.ask(), "403 identity_mismatch")
        record = self.audit_of(program.request_id, 403, "identity_mismatch")
        self.assertEqual((record["exe"], record["user"]), (str(exe), as_user))

    def served_soon(self, program: Program) -> list[str]:
        """Until it is served: what came before may only be 'not ready'."""
        seen = []
        for _ in range(50):
            seen.append(program.ask())
            if seen[-1] == "200":
                return seen[:-1]
        self.fail(f"never served: {seen}")

    def test_the_right_program_of_the_right_user(self):
        self.assertEqual(self.once(self.tool), "200")
        self.assertEqual(self.once(INTERPRETER, user=None), "200")

    def test_the_right_program_of_another_user(self):
        self.refused(self.tool, user=OTHER_USER, exe=self.tool, as_user=OTHER_USER)

    def test_another_program_of_the_right_user(self):
        self.refused(INTERPRETER, exe=INTERPRETER)

    def test_a_copy_is_another_program(self):
        copy = self.bin / "copy"
        shutil.copy(self.tool, copy)
        copy.chmod(0o755)
        self.refused(copy, exe=copy)
        self.assertEqual(self.once(self.tool), "200")

    def test_a_hard_link_and_a_link_on_the_way_are_the_same_file(self):
        link = self.bin / "link"
        os.link(self.tool, link)
        self.addCleanup(link.unlink)
        self.assertEqual(self.once(link), "200")
        self.assertEqual(self.once(self.bin / "elsewhere" / "tool"), "200")

    def test_another_program_mounted_over_the_path(self):
        """To the kernel's own path, and to /proc, this is the right program."""
        other = self.bin / "other"
        shutil.copy(INTERPRETER, other)
        other.chmod(0o755)
        script = f'mount --bind {other} {self.tool} && exec setpriv --reuid {ORDINARY_USER} --clear-groups "$@"'
        self.refused("unshare", "--mount", "sh", "-c", script, "sh", self.tool, user=None, exe=self.tool)
        # The same with nothing mounted: served.
        script = f'exec setpriv --reuid {ORDINARY_USER} --clear-groups "$@"'
        self.assertEqual(self.once("unshare", "--mount", "sh", "-c", script, "sh", self.tool, user=None), "200")

    def test_an_upgrade_while_the_old_program_runs(self):
        old = self.run_as(ORDINARY_USER, self.tool)
        self.addCleanup(old.close)
        self.assertEqual(old.ask(), "200")
        before = self.tool.stat().st_ino
        self.put_tool()
        self.assertNotEqual(self.tool.stat().st_ino, before)
        new = self.run_as(ORDINARY_USER, self.tool)
        self.addCleanup(new.close)
        # A record that is older than the pin proves nothing: the first connection may have to come again.
        self.assertLessEqual(set(self.served_soon(new)), {"410 not_ready"})
        self.assertEqual(old.ask(), "200", "the old program still runs from the file that it was")
        self.assertEqual(self.once(self.tool), "200")

    def test_a_program_that_was_removed(self):
        old = self.run_as(ORDINARY_USER, self.tool)
        self.addCleanup(old.close)
        self.assertEqual(old.ask(), "200")
        self.tool.unlink()
        self.addCleanup(self.served_again)
        self.assertEqual(old.ask(), "200")

    def served_again(self) -> None:
        self.put_tool()
        program = self.run_as(ORDINARY_USER, self.tool)
        self.served_soon(program)
        program.close()

    def test_what_came_and_went_before_it_was_held(self):
        """A file that stood at the path for a moment: whoever runs it is 'not ready' at most, never served by luck of an address."""
        for _ in range(5):
            self.put_tool()
            first = self.once(self.tool)
            self.assertIn(first, ("200", "410 not_ready"))
        self.refused(INTERPRETER, exe=INTERPRETER)

    def test_the_refusal_names_nothing_of_the_rules(self):
        answer = self.lab.guest_get(INSTANCE)
        record = self.assert_refused(answer, 403, "identity_mismatch")
        self.assertEqual(record["user"], ORDINARY_USER)
        self.assertNotIn(str(self.tool).encode(), answer.body)
