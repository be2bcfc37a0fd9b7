# SPDX-License-Identifier: Apache-2.0
"""`msp-agent setup` on a system below a directory, as an image builder uses it. Under a real systemd: booted_setup.py."""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

from base import PROGRAMS

TOP = Path(__file__).resolve().parents[2]
UNITS = ("msp-agent.service", "msp-agent-retry.service", "msp-agent-replaced.service", "msp-agent-replaced.path", "openmsp.slice")
PROGRAM, NAME, CONFIG = "usr/sbin/msp-agent", "usr/sbin/azure-proxy-agent", "etc/azure/proxy-agent.json"
WORKER, TOOL = "usr/libexec/openmsp/msp-worker", "usr/bin/mspctl"
FIELD_UNIT = "usr/lib/systemd/system/azure-proxy-agent.service"
FIELD_HOOKS = "usr/lib/azure-proxy-agent/ebpf_cgroup.o"


class SetupRoot(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="msp-setup-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.folder.chmod(0o755)
        self.root, self.bundle = self.folder / "root", self.folder / "bundle"
        self.root.mkdir()
        (self.bundle / "ProxyAgent").mkdir(parents=True)
        shutil.copy(PROGRAMS / "msp-agent", self.bundle / "ProxyAgent/azure-proxy-agent")
        shutil.copy(PROGRAMS / "msp-worker", self.bundle / "ProxyAgent/msp-worker")
        shutil.copy(TOP / "packaging/proxy-agent.json", self.bundle / "ProxyAgent")
        shutil.copy(TOP / "packaging/azure-proxy-agent", self.bundle / "azure-proxy-agent.launcher")
        for name in (*UNITS, "openmsp.tmpfiles.conf", "openmsp.sysusers.conf"):
            shutil.copy(TOP / "packaging/systemd" / name, self.bundle)
        (self.bundle / "proxy_agent_setup").symlink_to("ProxyAgent/azure-proxy-agent")

    def setup(self, *words: str, code: int = 0) -> str:
        done = subprocess.run([self.bundle / "proxy_agent_setup", "--root", self.root, *words], capture_output=True, text=True,
                              check=False, umask=0o077)
        self.assertEqual(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def put(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def files(self) -> list[str]:
        return sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*") if not p.is_dir())

    def test_installed_enabled_and_gone_again(self):
        self.setup("install")
        for name, mode in ((PROGRAM, 0o755), (WORKER, 0o755), (NAME, 0o755), (CONFIG, 0o644), ("usr/lib/systemd/system/msp-agent.service", 0o644)):
            self.assertEqual((self.root / name).stat().st_mode & 0o7777, mode, name)
        self.assertEqual((self.root / "etc/azure").stat().st_mode & 0o7777, 0o755, "whatever the caller's umask")
        self.assertFalse((self.root / NAME).is_symlink())
        enabled = self.root / "etc/systemd/system"
        for link in ("multi-user.target.wants/msp-agent.service", "azure-proxy-agent.service"):
            self.assertTrue(os.readlink(enabled / link).endswith("/msp-agent.service"), link)
        self.put(CONFIG, "mine")
        self.setup("install")
        self.assertEqual((self.root / CONFIG).read_text(), "mine", "a configuration that is there stays")
        self.put("var/lib/azure-proxy-agent/ever-latched", "")
        self.setup("uninstall")
        self.assertTrue((self.root / PROGRAM).exists())
        self.setup("uninstall", "package")
        self.assertEqual(self.files(), ["var/lib/azure-proxy-agent/ever-latched"])
        self.setup("uninstall", "package", "--with-state")
        self.assertEqual(self.files(), [])

    def test_with_state_what_the_configuration_names_goes_and_no_more(self):
        self.setup("install")
        config = json.loads((TOP / "packaging/proxy-agent.json").read_text())
        config.update(latchKeyFolder="/srv/msp/keys", logFolder="/srv/log")
        config.setdefault("openmsp", {}).update(stateDirectory="/srv/state", auditFile="/srv/log/audit.jsonl",
                                                statusFile="/srv/status/status.json")
        self.put(CONFIG, json.dumps(config))
        key = "7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11.key"
        for name in (f"srv/msp/keys/{key}", f"srv/msp/keys/.{key}.tmp", "srv/msp/keys/provisioned.tag", "srv/msp/keys/status.tag",
                     "srv/msp/rules/IMDS_Rules.json", "srv/state/ever-latched", "srv/state/status-signed", "srv/log/audit.jsonl",
                     "srv/log/audit.jsonl.1", "srv/log/ProxyAgent.log", "srv/status/status.json",
                     "srv/status/AuthorizationRules_2025-04-23T12.00.00.000-1745409600000000000.json",
                     "var/lib/azure-proxy-agent/ever-latched"):
            self.put(name, "x")
        others = ["srv/log/audit.jsonl.gz", "srv/log/mail", "srv/state/mine", "srv/status/index.html"]
        for name in others:
            self.put(name, "x")
        said = self.setup("uninstall", "package", "--with-state")
        self.assertEqual(self.files(), others)
        self.assertIn("/srv/state stays: 1 in it are not the agent's", said)
        self.assertFalse((self.root / "srv/msp/keys").exists())

    def test_with_state_an_unreadable_configuration_is_told(self):
        self.setup("install")
        self.put(CONFIG, "{")
        self.put("var/lib/azure-proxy-agent/ever-latched", "")
        said = self.setup("uninstall", "package", "--with-state")
        self.assertIn("go from their usual places only", said)
        self.assertEqual(self.files(), [])

    def test_the_workers_user_is_made_where_there_are_users(self):
        self.put("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        self.setup("install")
        self.assertRegex((self.root / "etc/passwd").read_text(), r"(?m)^openmsp:")

    def test_backup_restore_purge(self):
        backup = self.bundle / "ProxyAgent/Backup"
        self.assertIn("no backup", self.setup("restore"))
        self.assertEqual(self.files(), [])
        self.setup("install")
        before = self.files()
        self.setup("backup")
        self.assertTrue((backup / "Package/azure-proxy-agent").exists() and (backup / "msp-agent.service").exists())
        (self.root / PROGRAM).write_text("broken")
        (self.root / WORKER).write_text("broken")
        (self.root / CONFIG).write_text("other")
        self.setup("restore", "false")
        self.assertEqual((self.root / PROGRAM).read_bytes(), (PROGRAMS / "msp-agent").read_bytes())
        self.assertEqual((self.root / WORKER).read_bytes(), (PROGRAMS / "msp-worker").read_bytes(), "both of one version")
        self.assertEqual((self.root / CONFIG).read_text(), (TOP / "packaging/proxy-agent.json").read_text())
        self.assertEqual(self.files(), before)
        self.assertTrue(backup.exists())
        self.setup("restore")
        self.assertFalse(backup.exists(), "deleted, as the field's tool does by default")
        self.setup("backup")
        self.setup("purge")
        self.assertFalse(backup.exists())

    def test_the_existing_agent_is_kept_in_the_backup_and_comes_back(self):
        self.put_the_existing_agent()
        before = self.files()
        self.setup("backup")
        self.setup("install")
        self.assertIn("exec /usr/sbin/msp-agent", (self.root / NAME).read_text())
        self.assertFalse((self.root / FIELD_UNIT).exists())
        self.assertEqual((self.root / CONFIG).read_text(), "theirs")
        self.setup("restore")
        self.assertEqual([name for name in self.files() if not name.startswith("etc/systemd/")], before)
        self.assertEqual((self.root / NAME).read_text(), "#!/bin/sh\nexec /usr/sbin/other\n")
        self.setup("uninstall", "package")
        self.assertTrue((self.root / NAME).exists(), "not ours to delete")

    def small(self, folder: Path, megabytes: int) -> Path:
        """A file system of this size there; the file that fills it."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "none", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", folder], check=True)
        return folder / "fill"

    def programs(self, more: bytes) -> dict[str, bytes]:
        """Those of the bundle, each in a version that ends so, and the tool as the largest."""
        agent = (PROGRAMS / "msp-agent").read_bytes()
        made = {PROGRAM: agent + more, WORKER: (PROGRAMS / "msp-worker").read_bytes() + more, TOOL: agent + bytes(4 << 20) + more}
        for name, file in ((PROGRAM, "azure-proxy-agent"), (WORKER, "msp-worker"), (TOOL, "mspctl")):
            (self.bundle / "ProxyAgent" / file).write_bytes(made[name])
        return made

    def installed(self) -> dict[str, bytes]:
        return {name: (self.root / name).read_bytes() for name in (PROGRAM, WORKER, TOOL)}

    def test_an_upgrade_without_room_changes_nothing(self):
        fill = self.small(self.root, 96)
        old = self.programs(b"old")
        self.setup("install")
        self.put(FIELD_UNIT, "[Install]\nWantedBy=multi-user.target\n")
        before = self.files()
        new = self.programs(b"new")
        room = os.statvfs(self.root)
        # For the agent, but not for the tool.
        fill.write_bytes(bytes(room.f_bavail * room.f_frsize - len(old[PROGRAM]) - (2 << 20)))
        said = self.setup("install", code=1)
        self.assertIn("nothing is replaced", said)
        self.assertIn("free some space", said)
        fill.unlink()
        self.assertEqual(self.installed(), old)
        self.assertEqual(self.files(), before, "the field's unit, too, and nothing is left")
        self.setup("install")
        self.assertEqual(self.installed(), new)

    def test_a_destination_that_cannot_be_replaced_changes_nothing(self):
        old = self.programs(b"old")
        self.setup("install")
        unit = self.root / "usr/lib/systemd/system/msp-agent.service"
        unit.unlink()
        unit.mkdir()
        before = self.files()
        self.programs(b"new")
        self.assertIn(f"{unit} is a directory", self.setup("install", code=1))
        self.assertEqual(self.installed(), old)
        self.assertEqual(self.files(), before)

    def test_a_backup_without_room_leaves_the_one_of_before(self):
        other = self.folder / "other"
        other.mkdir()
        fill = self.small(other, 96)
        home = other / "ProxyAgent"
        home.mkdir()

        def setup(*words: str, code: int = 0) -> str:
            return self.setup("--bundle", str(other), *words, code=code)

        def kept() -> dict[str, bytes]:
            return {str(file.relative_to(home)): file.read_bytes() for file in home.rglob("*") if file.is_file()}

        old = self.programs(b"old")
        self.setup("install")
        setup("backup")
        before = kept()
        new = self.programs(b"new")
        self.setup("install")
        (self.root / TOOL).write_bytes(bytes(48 << 20))  # more than the one of before takes
        room = os.statvfs(other)
        fill.write_bytes(bytes(room.f_bavail * room.f_frsize - (2 << 20)))
        said = setup("backup", code=1)
        self.assertIn("a backup of before stays", said)
        self.assertIn("free some space", said)
        self.assertEqual(kept(), before)
        setup("restore", "false")
        self.assertEqual(self.installed(), old)
        fill.unlink()

        # Interrupted while it copied, between the two names, and before the one of before was gone.
        (home / "Backup.new").mkdir()
        (home / "Backup.new/part").touch()
        (home / "Backup").rename(home / "Backup.old")
        self.setup("install")
        setup("restore", "false")
        self.assertEqual(self.installed(), old)
        (home / "Backup.old").mkdir()
        (home / "Backup.old/part").touch()
        self.setup("install")
        setup("backup")
        self.assertEqual([entry.name for entry in home.iterdir()], ["Backup"])
        self.assertEqual(kept()["Backup/Package/mspctl"], new[TOOL])
        (home / "Backup.old").mkdir()
        setup("purge")
        self.assertEqual(list(home.iterdir()), [])
        self.assertIn("no backup", setup("restore"))

    def test_what_is_incomplete_or_gone_leaves_the_backup_of_before(self):
        def kept() -> dict[str, bytes]:
            home = self.bundle / "ProxyAgent"
            return {str(file.relative_to(home)): file.read_bytes() for file in home.rglob("*") if file.is_file()}

        self.setup("install")
        complete = self.files()
        self.setup("backup")
        before = kept()
        for name in (PROGRAM, NAME):
            (self.root / name).unlink()
        said = self.setup("backup")
        self.assertIn("a backup of before stays", said)
        self.assertIn(f"not installed: {self.root / PROGRAM}, {self.root / NAME}", said)
        self.assertEqual(kept(), before)
        self.setup("restore", "false")
        self.assertEqual(self.files(), complete)
        self.setup("uninstall", "package")
        self.assertIn(str(self.root / PROGRAM), self.setup("backup"))
        self.assertEqual(kept(), before)
        self.setup("restore")
        self.assertEqual(self.files(), complete)

    def mounted(self, file: Path) -> contextlib.ExitStack:
        """A place where something is mounted cannot be renamed to."""
        subprocess.run(["mount", "--bind", file, file], check=True)
        stack = contextlib.ExitStack()
        stack.callback(subprocess.run, ["umount", file], check=True)
        return stack

    def attributed(self, attribute: str, file: Path) -> contextlib.ExitStack:
        subprocess.run(["chattr", f"+{attribute}", file], check=True)
        stack = contextlib.ExitStack()
        stack.callback(subprocess.run, ["chattr", f"-{attribute}", file], check=True)
        return stack

    def put_the_existing_agent(self) -> None:
        for name, text in ((NAME, "#!/bin/sh\nexec /usr/sbin/other\n"), (FIELD_UNIT, "[Install]\nWantedBy=multi-user.target\n"),
                           (FIELD_HOOKS, "object"), (CONFIG, "theirs")):
            self.put(name, text)

    def test_a_place_that_cannot_be_taken_leaves_the_existing_agent(self):
        self.put_the_existing_agent()
        self.put(PROGRAM, "")
        before = {name: (self.root / name).read_bytes() for name in self.files()}
        folder = (self.root / PROGRAM).parent
        for keep, said in ((lambda: self.mounted(self.root / PROGRAM), f"umount {self.root / PROGRAM}"),
                           (lambda: self.mounted(self.root / FIELD_UNIT), f"umount {self.root / FIELD_UNIT}"),
                           (lambda: self.attributed("i", self.root / PROGRAM), f"chattr -i -a {self.root / PROGRAM}"),
                           (lambda: self.attributed("i", folder), f"chattr -i -a {folder}"),
                           (lambda: self.attributed("a", folder), f"chattr -i -a {folder}")):
            with self.subTest(said), keep():
                told = self.setup("install", code=1)
                self.assertIn("nothing is replaced", told)
                self.assertIn(said, told)
                self.assertEqual({name: (self.root / name).read_bytes() for name in self.files()}, before)
        self.setup("install")
        self.assertFalse((self.root / FIELD_UNIT).exists())

    def test_a_place_that_cannot_be_taken_leaves_ours(self):
        self.put_the_existing_agent()
        self.setup("backup")
        self.setup("install")
        before = self.files()
        for file in (FIELD_HOOKS, "usr/lib/systemd/system/msp-agent.service"):
            with self.subTest(file), self.mounted(self.root / file):
                told = self.setup("restore", code=1)
                self.assertIn("nothing is replaced", told)
                self.assertIn(f"umount {self.root / file}", told)
                self.assertEqual(self.files(), before)
        self.setup("restore")
        self.assertEqual((self.root / NAME).read_text(), "#!/bin/sh\nexec /usr/sbin/other\n")

    def read_only(self, folder: Path) -> contextlib.ExitStack:
        stack = self.mounted(folder)
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        return stack

    def made(self, path: Path, make: Callable[[Path], None]) -> contextlib.ExitStack:
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
        stack = contextlib.ExitStack()
        stack.callback(lambda: path.rmdir() if path.is_dir() else path.unlink())
        return stack

    def refused_untouched(self, word: str, said: str, keep: Callable[[], contextlib.ExitStack]) -> None:
        with self.subTest(said), keep():
            before = {name: (self.root / name).lstat().st_ino for name in self.files()}
            told = self.setup(word, code=1)
            self.assertIn("nothing is replaced", told)
            self.assertIn(said, told)
            self.assertEqual({name: (self.root / name).lstat().st_ino for name in self.files()}, before)

    def test_a_file_that_cannot_be_removed_leaves_ours(self):
        """The existing agent's backup has neither a configuration nor mspctl: what is to go is looked at, too."""
        self.put_the_existing_agent()
        (self.root / CONFIG).unlink()
        self.setup("backup")
        self.programs(b"")
        self.setup("install")
        tool, enabled = self.root / TOOL, self.root / "etc/systemd/system"
        for said, keep in ((f"umount {self.root / CONFIG}", lambda: self.mounted(self.root / CONFIG)),
                           (f"writing to {tool.parent}", lambda: self.read_only(tool.parent)),
                           (f"writing to {enabled}", lambda: self.read_only(enabled)),
                           ("systemctl unmask azure-proxy-agent.service", lambda: self.made(
                               self.root / "run/systemd/system/azure-proxy-agent.service", lambda path: path.symlink_to("/dev/null")))):
            self.refused_untouched("restore", said, keep)
        tool.unlink()
        self.refused_untouched("restore", f"{tool} is a directory", lambda: self.made(tool, Path.mkdir))
        self.setup("restore")
        self.assertEqual((self.root / NAME).read_text(), "#!/bin/sh\nexec /usr/sbin/other\n")
        self.assertFalse((self.root / PROGRAM).exists())

    def test_a_unit_that_cannot_be_enabled_leaves_the_existing_agent(self):
        self.put_the_existing_agent()
        subprocess.run(["systemctl", f"--root={self.root}", "enable", "azure-proxy-agent.service"], check=True, capture_output=True)
        units = self.root / "etc/systemd/system"
        ours, alias = "msp-agent.service", units / "azure-proxy-agent.service"
        for said, keep in ((f"systemctl unmask {ours}", lambda: self.made(units / ours, lambda path: path.symlink_to("/dev/null"))),
                           (f"systemctl unmask {ours}", lambda: self.made(units / ours, Path.touch)),
                           (f"systemctl unmask {ours}", lambda: self.made(self.root / "run/systemd/system" / ours,
                                                                          lambda path: path.symlink_to("/dev/null"))),
                           (f"remove {alias}", lambda: self.made(alias, lambda path: path.write_text("[Unit]\n"))),
                           (f"writing to {units}", lambda: self.read_only(units)),
                           (f"chattr -i -a {units}/multi-user.target.wants",
                            lambda: self.attributed("i", units / "multi-user.target.wants"))):
            self.refused_untouched("install", said, keep)
        self.setup("install")
        self.assertFalse((self.root / FIELD_UNIT).exists())

    def test_what_is_new_and_what_is_gone_is_told_where_a_file_cannot_take_its_place(self):
        """Its place is taken after it was looked at, while ours is uninstalled."""
        self.put_the_existing_agent()
        self.setup("backup")
        self.setup("install")
        hooks = self.root / FIELD_HOOKS
        systemctl, real = self.folder / "systemctl", self.folder / "real"
        shutil.copy("/usr/bin/systemctl", real)
        systemctl.write_text(f'#!/bin/sh\nmountpoint -q {hooks} || mount --bind {hooks} {hooks}\nexec {real} "$@"\n')
        systemctl.chmod(0o755)
        done = subprocess.run(["unshare", "--mount", "sh", "-c", f"mount --bind {systemctl} /usr/bin/systemctl && "
                               f"exec {self.bundle}/proxy_agent_setup --root {self.root} restore"], capture_output=True, text=True, check=False)
        told = done.stdout + done.stderr
        self.assertEqual(done.returncode, 1, told)
        self.assertIn("this agent is uninstalled by now: "
                      f"new are {self.root / CONFIG}, {self.root / NAME}; old are still {hooks}, {self.root / FIELD_UNIT}", told)
        self.assertIn("run it again", told)
        self.setup("restore")
        self.assertEqual(hooks.read_text(), "object")
        self.assertTrue((self.root / FIELD_UNIT).exists())

    def test_refused(self):
        self.setup("install")
        before = self.files()
        for what, spoil, mend in (
                ("others can change it", lambda f: f.chmod(0o666), lambda f: f.chmod(0o755)),
                ("belongs to user", lambda f: os.chown(f, 65534, 65534), lambda f: os.chown(f, 0, 0)),
                ("cannot read", lambda f: f.rename(self.folder / "aside"), lambda f: (self.folder / "aside").rename(f))):
            with self.subTest(what):
                file = self.bundle / "azure-proxy-agent.launcher"
                spoil(file)
                self.assertIn(what, self.setup("install", code=1))
                mend(file)
                self.setup("install")
        self.put("var/lib/dpkg/status", "Package: openmsp-agent\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"
                 "Maintainer: x\nDescription: x\n\n")
        self.put("var/lib/dpkg/info/openmsp-agent.list", f"/{PROGRAM}\n")
        for words in (("install",), ("restore",), ("uninstall",), ("uninstall", "package", "--with-state")):
            self.assertIn("belongs to a package", self.setup(*words, code=1))
        self.assertEqual([name for name in self.files() if not name.startswith("var/lib/dpkg/")], before)
        (self.root / "var/lib/dpkg/info/openmsp-agent.list").write_text("/usr/bin/something\n")
        self.setup("install")
        self.setup("uninstall", "everything", code=2)
        self.setup(code=2)
