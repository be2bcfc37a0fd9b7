# SPDX-License-Identifier: Apache-2.0
"""One path, or one inode number, and another file: btrfs subvolumes, overlays, and a process that lies about its executable.

What holds (design.md section 3): the file that the agent holds open at the rule's path is compared with the caller's, by the
kernel's own inode. What a process can still do, since any can: say that it runs a file. So a user must be named as well.
"""
import json
import os
import shutil
import subprocess
from pathlib import Path

from callers import C_CLIENT, Living, Said, build, once
from forger import FORGER
from lab.lab import IMDS
from lab.world import poll, run
from rule_scenarios import INSTANCE, VERSIONS, RuleSet
from ruled import RuledLab

TOOLS = {"tool": "client", "btrfs": "btrfs/one/tool", "merged": "overlay/merged/tool", "plain": "plain/tool"}
RULES = RuleSet(
    "path-identity", [], {"instance": "/metadata/instance", "versions": "/metadata/versions", "unit": "/metadata/attested"},
    {"reader": "instance", "looker": "versions", "attester": "unit"},
    {**{name: {"userName": "nobody", "exePath": f"BIN/{path}"} for name, path in TOOLS.items()},
     "whoever-runs-it": {"exePath": "BIN/client"},
     "in-its-unit": {"exePath": "BIN/client", "openmsp": {"unit": "tool.service"}}},
    (("reader", " ".join(TOOLS)), ("looker", "whoever-runs-it"), ("attester", "in-its-unit")))


def copy(source: Path, target: Path) -> Path:
    shutil.copyfile(source, target)
    target.chmod(0o755)
    return target


class PathIdentity(RuledLab):
    sets = [RULES]
    asked = 0  # requests that were to be served

    @classmethod
    def mount(cls, where: Path, *arguments) -> None:
        where.mkdir(parents=True, exist_ok=True)
        run("mount", *map(str, arguments), str(where))
        cls.lab.world.on_close(run, "umount", str(where))

    @classmethod
    def prepare(cls) -> None:
        super().prepare()
        cls.tool = cls.bin / "client"
        build(C_CLIENT.replace("int main(", "int ask_as_told(") + FORGER, cls.bin / "forger")
        cls.make_btrfs(cls.bin / "btrfs")
        cls.make_overlay(cls.bin / "overlay")
        cls.plain = cls.bin / "plain" / "tool"
        cls.plain.parent.mkdir()
        copy(cls.tool, cls.plain)

    @classmethod
    def make_btrfs(cls, where: Path) -> None:
        """Each subvolume counts its files from the same number; a snapshot repeats the numbers of what it is of."""
        image = cls.lab.folder / "btrfs.img"
        with image.open("wb") as file:
            file.truncate(256 << 20)
        run("mkfs.btrfs", "--quiet", str(image))
        cls.mount(where, "-o", "loop", image)
        for name in ("one", "two"):
            run("btrfs", "subvolume", "create", str(where / name))
            copy(cls.tool, where / name / "tool")
        run("btrfs", "subvolume", "snapshot", str(where / "one"), str(where / "snapshot"))
        cls.btrfs = where

    @classmethod
    def make_overlay(cls, where: Path) -> None:
        cls.mount(where, "-t", "tmpfs", "tmpfs")
        for name in ("lower", "upper", "work"):
            (where / name).mkdir()
        copy(cls.tool, where / "lower" / "tool")
        options = ",".join(f"{name}dir={where / name}" for name in ("lower", "upper", "work"))
        cls.mount(where / "merged", "-t", "overlay", "-o", options, "overlay")
        cls.overlay = where

    def setUp(self) -> None:
        self.apply(RULES)

    def ask(self, *argv, user: str = "nobody", request: str = INSTANCE, at: str = "", mark: str = "") -> Said:
        return once(self.place(user, at), list(argv), IMDS, request + mark)

    def served(self, *argv, identity: str, **how) -> None:
        PathIdentity.asked += 1
        mark = f"{'&' if '?' in how.get('request', INSTANCE) else '?'}asked={PathIdentity.asked}"
        said = self.ask(*argv, mark=mark, **how)
        self.assertEqual(str(said), "404" if "attested" in how.get("request", "") else "200", f"{argv} {how}: {said.body[:200]}")
        record, = poll("the audit record", lambda: [
            record for record in self.lab.audit_records() if record.get("target", "").endswith(mark)], 3)
        self.assertEqual((record["decision"], record["identity"], record["user"]), ("permit", identity, how.get("user", "nobody")))

    def refused(self, *argv, exe: Path, **how) -> dict:
        """Denied to this caller, whom the kernel believed to run `exe`; the audit record and the client have it from one decision."""
        said = self.ask(*argv, **how)
        self.assertEqual(str(said), "403 identity_mismatch", f"{argv} {how}: {said.body[:200]}")
        record = self.audit_of(said.error["request_id"], 403, "identity_mismatch")
        self.assertEqual((record["service"], record["user"], record["exe"]), ("imds", how.get("user", "nobody"), str(exe)))
        self.assertNotIn(str(self.bin), said.body, "nothing of the rules")
        return record

    def test_the_same_inode_number_in_another_btrfs_subvolume(self):
        one, two, snapshot = (self.btrfs / name / "tool" for name in ("one", "two", "snapshot"))
        self.assertEqual({file.stat().st_ino for file in (one, two, snapshot)}, {one.stat().st_ino})
        self.refused(two, exe=two)
        self.refused(snapshot, exe=snapshot)
        self.served(one, identity="btrfs")
        self.refused(one, exe=one, user="daemon")

    def test_a_foreign_subvolume_mounted_over_the_path(self):
        """Path and inode number are right."""
        one, two = self.btrfs / "one", self.btrfs / "two"
        enter = ["unshare", "--mount", "sh", "-c"]
        as_nobody = 'exec setpriv --reuid nobody --clear-groups "$@"'
        script = f"mount --bind {two} {one} && {as_nobody}"
        said = self.ask(*enter, script, "sh", one / "tool", user="root")
        self.assertEqual(str(said), "403 identity_mismatch")
        record = self.audit_of(said.error["request_id"], 403, "identity_mismatch")
        self.assertEqual((record["exe"], record["user"]), (str(one / "tool"), "nobody"))
        said = self.ask(*enter, as_nobody, "sh", one / "tool", user="root")
        self.assertEqual(str(said), "200", "the same with nothing mounted")

    def test_overlay_and_what_is_under_it_are_two_files(self):
        merged, lower = self.overlay / "merged" / "tool", self.overlay / "lower" / "tool"
        self.assertEqual(merged.read_bytes(), lower.read_bytes())
        self.refused(lower, exe=lower)
        self.served(merged, identity="merged")

    def test_a_file_of_a_rule_seen_through_an_overlay_is_another(self):
        view, scratch = self.bin / "view", self.overlay / "scratch"
        script = (f"mkdir -p {view} {scratch}/u {scratch}/w && mount -t overlay overlay -o lowerdir={self.plain.parent},"
                  f'upperdir={scratch}/u,workdir={scratch}/w {view} && exec setpriv --reuid nobody --clear-groups "$@"')
        said = self.ask("unshare", "--mount", "sh", "-c", script, "sh", view / "tool", user="root")
        self.assertEqual(str(said), "403 identity_mismatch")
        record = self.audit_of(said.error["request_id"], 403, "identity_mismatch")
        self.assertEqual((record["exe"], record["user"]), (str(view / "tool"), "nobody"))
        self.served(self.plain, identity="plain")

    def test_an_overlay_that_copies_the_file_up(self):
        """To all who look through the overlay it stays one file; the copy that came to be below is none of theirs."""
        merged, upper = self.overlay / "merged" / "tool", self.overlay / "upper" / "tool"
        old = Living(self.place("nobody"), [merged], IMDS)
        self.addCleanup(old.close)
        self.assertEqual(str(old.ask(INSTANCE)), "200")
        self.assertFalse(upper.exists())
        merged.chmod(0o775)
        self.assertTrue(upper.exists())
        self.assertEqual(str(old.ask(INSTANCE)), "200")
        self.served(merged, identity="merged")
        self.refused(upper, exe=upper)

    def test_a_user_mounts_an_overlay_with_a_program_of_its_own_over_the_path(self):
        """In a user namespace anybody can: the path is right, and what is under it, too."""
        own = self.overlay / "of-nobody"
        for folder in (own, own / "upper", own / "work"):
            folder.mkdir()
            shutil.chown(folder, "nobody")
        shutil.chown(copy(self.bin / "forger", own / "upper" / "tool"), "nobody")
        enter = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
        where = self.plain.parent
        script = f'mount -t overlay overlay -o lowerdir={where},upperdir={own}/upper,workdir={own}/work {where} && exec "$@"'
        self.refused(*enter, script, "sh", self.plain, "-", "here", exe=self.plain)
        self.served(*enter, 'exec "$@"', "sh", self.plain, identity="plain")

    # --- /proc/PID/exe says what the process wants ------------------------------------------------------------------

    def forger(self, where: str, file: Path | None = None) -> list:
        """Says that it runs the file; "own": from a user namespace of its own, "here": as it is."""
        return [self.bin / "forger", file or self.tool, where]

    def test_who_may_say_that_it_runs_another_file(self):
        for user, where, outcome in (("daemon", "here", "EPERM"), ("daemon", "own", "done"), ("root", "here", "done")):
            with self.subTest(f"{user} {where}"):
                done = self.place(user).run(self.forger(where), text=True, cwd="/")
                self.assertEqual(done.stdout.strip(), outcome, done.stderr)

    def test_a_forged_executable_does_not_replace_the_user_of_a_rule(self):
        life = Living(self.place("daemon"), self.forger("own"), IMDS)
        self.addCleanup(life.close)
        self.assertEqual(os.readlink(f"/proc/{life.process.pid}/exe"), str(self.tool), "the kernel believes it")
        said = life.ask(INSTANCE)
        self.assertEqual(str(said), "403 identity_mismatch")
        record = self.audit_of(said.error["request_id"], 403, "identity_mismatch")
        self.assertEqual((record["user"], record["exe"], record["privilege"]), ("daemon", str(self.tool), "instance"))
        self.refused(*self.forger("here"), exe=self.tool, user="root")
        self.served(self.tool, identity="tool")
        # The boundary: who is the user already can make any program be the executable.
        self.served(*self.forger("own"), identity="tool")
        self.refused(self.bin / "forger", "-", "here", exe=self.bin / "forger")

    def test_a_forged_executable_does_not_replace_the_unit_of_a_rule(self):
        attested = "GET /metadata/attested"
        self.refused(*self.forger("own"), exe=self.tool, user="daemon", request=attested, at="other.service")
        self.refused(*self.forger("own"), exe=self.tool, user="daemon", request=attested, at="user@1.service/tool.service")
        self.served(self.tool, identity="in-its-unit", user="daemon", request=attested, at="tool.service")

    def test_an_executable_alone_is_whose_who_says_so_and_lint_says_that(self):
        """The documented boundary (SECURITY.md), kept true here: a rule with nothing but an executable is no protection."""
        forger = self.bin / "forger"
        self.refused(*self.forger("here"), exe=forger, user="daemon", request=VERSIONS)
        self.served(*self.forger("own"), identity="whoever-runs-it", user="daemon", request=VERSIONS)
        rules = self.lab.folder / "rules.json"
        rules.write_text(json.dumps({"defaultAccess": "deny", "mode": "enforce", "id": "x", "rules": RULES.document(str(self.bin))}))
        done = subprocess.run([self.lab.programs / "mspctl", "policy", "lint", "--json", str(rules)], capture_output=True,
                              text=True, check=False, timeout=30)
        forgeable = [finding["text"] for finding in json.loads(done.stdout)["findings"] if finding["code"] == "forgeable-identity"]
        self.assertEqual(len(forgeable), 1, done.stdout)
        self.assertIn('"whoever-runs-it"', forgeable[0])
