# SPDX-License-Identifier: Apache-2.0
"""`msp-agent setup` where there is no package, and what the existing agent's setup tool does to ours (booted_service.py)."""
import json

from booted import ENDORSED, PINS, UNIT, Booted, Load
from lab.world import poll

STATE, NAME, PROGRAM = "/var/lib/azure-proxy-agent", "/usr/sbin/azure-proxy-agent", "/usr/sbin/msp-agent"
CONFIG, FIELD_UNIT = "/etc/azure/proxy-agent.json", "azure-proxy-agent.service"
WORKER = "/usr/libexec/openmsp/msp-worker"
INSTALLED = {PROGRAM: "755", WORKER: "755", NAME: "755", "/usr/bin/mspctl": "755", CONFIG: "644",
             "/usr/lib/tmpfiles.d/openmsp.conf": "644", "/usr/lib/sysusers.d/openmsp.conf": "644"} | {
    f"/usr/lib/systemd/system/{unit}": "644"
    for unit in (UNIT, "msp-agent-retry.service", "msp-agent-replaced.service", "msp-agent-replaced.path", "openmsp.slice")}
# A stand-in for the existing agent, and its setup tool as protocol.md H.8 tells it: links are followed, copies that fail
# are only logged. Words: install, backup, restore.
OTHER_AGENT = """#!/bin/sh
if [ "$1" = --version ]; then echo 9.9.9; else exec sleep 1000; fi
"""
OTHER_UNIT = """[Unit]
Before=network-pre.target
[Service]
ExecStart=/usr/sbin/azure-proxy-agent
Restart=always
RestartSec=5
ProtectSystem=strict
LogsDirectory=azure-proxy-agent
StateDirectory=azure-proxy-agent
NoNewPrivileges=yes
[Install]
WantedBy=multi-user.target
"""
OTHER_SETUP = """#!/bin/sh
copy() { mkdir -p "$(dirname "$2")"; test -f "$1" && cat "$1" >"$2" && chmod "$3" "$2"; }
put() {
  systemctl stop azure-proxy-agent
  copy "$1/azure-proxy-agent" /usr/sbin/azure-proxy-agent 755
  copy "$1/proxy-agent.json" /etc/azure/proxy-agent.json 644
  copy "$2/azure-proxy-agent.service" /usr/lib/systemd/system/azure-proxy-agent.service 644
  systemctl unmask azure-proxy-agent
  systemctl daemon-reload
  systemctl enable azure-proxy-agent
  for try in 1 2 3 4 5; do systemctl start azure-proxy-agent && exit 0; sleep 1; done
}
cd /root/other
case $1 in
  install) put ProxyAgent . ;;
  backup)
    copy /usr/sbin/azure-proxy-agent ProxyAgent/Backup/Package/azure-proxy-agent 755
    copy /etc/azure/proxy-agent.json ProxyAgent/Backup/Package/proxy-agent.json 644
    copy /usr/lib/systemd/system/azure-proxy-agent.service ProxyAgent/Backup/azure-proxy-agent.service 644 ;;
  restore) put ProxyAgent/Backup/Package ProxyAgent/Backup ;;
esac
"""


class Bundled(Booted):
    def unpack(self, which: str) -> str:
        """The folder of a bundle, as an extension would have it."""
        folder = f"/root/bundle-{which}"
        if not self.exists(folder):
            self.must("mkdir", folder)
            self.must("tar", "-xzf", f"/root/agent-{which}.tar.gz", "--strip-components=1", "-C", folder)
        return folder

    def setup(self, which: str, *words: str, code: int = 0) -> str:
        done = self.run_inside(f"{self.unpack(which)}/proxy_agent_setup", *words)
        self.assertEqual(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def version(self) -> str:
        return self.must("azure-proxy-agent", "--version")

    def write(self, path: str, text: str, mode: str = "644") -> None:
        file = self.root.path / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(int(mode, 8))

    def keys(self) -> str:
        return self.must("ls", f"{STATE}/keys")


class Setup(Bundled):
    @classmethod
    def install(cls) -> None:
        """Nothing: a system without packages of ours."""

    def test_1_installed_it_serves(self):
        self.setup("first", "install")
        poll("served", self.served, 20)
        for path, mode in INSTALLED.items():
            self.assertEqual(self.must("stat", "-c", "%a %U:%G", path), f"{mode} root:root", path)
        self.assertEqual((self.show("UnitFileState"), self.show("ActiveState", FIELD_UNIT)), ("enabled", "active"))
        self.assertEqual(self.version(), self.must(PROGRAM, "--version"))
        self.assertTrue(json.loads(self.inside("mspctl", "status", "--json"))["protected"])

    def test_2_update_and_way_back_lose_nothing(self):
        poll("served", self.served, 20)
        edited = json.loads(self.must("cat", CONFIG)) | {"pollKeyStatusIntervalInSeconds": 5}
        self.write(CONFIG, json.dumps(edited))
        at, pid, before = len(self.lab.host_records()), self.main_pid(), self.must("sha256sum", PROGRAM)
        with Load(self) as load:
            self.setup("second", "backup")
            self.setup("second", "install")
            self.assertNotEqual(self.main_pid(), pid)
            pid = self.main_pid()
            self.assertEqual(json.loads(self.must("cat", CONFIG)), edited, "what was edited stays")
            self.must("rm", PROGRAM)
            self.setup("second", "RESTORE", "delete_backup=false")
            self.assertNotEqual(self.main_pid(), pid)
        self.assertEqual(load.lost, 0, load.seen)
        self.assertGreater(load.seen["served"], 100)
        self.assert_nothing_unsigned_since(at)
        self.assertEqual(self.must("sha256sum", PROGRAM), before)
        backup = "/root/bundle-second/ProxyAgent/Backup"
        self.assertTrue(self.exists(f"{backup}/Package/azure-proxy-agent"))
        self.setup("second", "purge")
        self.assertFalse(self.exists(backup))
        self.assertTrue(self.pinned(), "purge is about the backup alone")

    def test_3_restore_without_a_backup_does_nothing(self):
        poll("served", self.served, 20)
        pid = self.main_pid()
        self.assertIn("no backup", self.setup("second", "restore"))
        self.assertEqual(self.main_pid(), pid)

    def test_4_uninstalled_nothing_is_hooked_and_the_key_stays(self):
        poll("served", self.served, 20)
        keys = self.keys()
        self.assertIn(".key", keys)
        self.setup("first", "uninstall")
        self.assertFalse(self.exists(PINS), "the hooks are gone")
        self.assertEqual(self.show("LoadState"), "not-found")
        self.assertFalse(self.exists("/etc/systemd/system/azure-proxy-agent.service"))
        self.assertIn(self.ask().status, (401, 403), "the host itself refuses")
        self.assertEqual(self.keys(), keys)
        self.assertTrue(self.exists(f"{STATE}/ever-latched"), "whoever installs it again starts closed")
        self.assertTrue(self.exists(PROGRAM), "the service alone was asked for")
        self.setup("first", "install")
        poll("served, by the key that was there", self.served, 20)
        self.assertEqual(self.keys(), keys)

    def test_5_hooks_that_stay_keep_everything(self):
        """An uninstallation that cannot open does not half remove: the program that can is still there."""
        poll("served", self.served, 20)
        good = self.must("cat", CONFIG)
        self.must("mkdir", "-p", "/var/tmp/no-bpf")
        self.write(CONFIG, json.dumps(json.loads(good) | {"openmsp": {"bpfPinDirectory": "/var/tmp/no-bpf"}}))
        self.assertIn("nothing is removed", self.setup("first", "uninstall", "package", code=1))
        self.assertTrue(self.pinned())
        self.assertIn("ConnectionRefused", self.ask().error, "the gate is shut")
        for path in INSTALLED:
            self.assertTrue(self.exists(path), path)
        self.write(CONFIG, good)
        self.must("systemctl", "start", UNIT)
        poll("served", self.served, 20)

    def test_6_without_its_bundle_complete_nothing_is_touched(self):
        poll("served", self.served, 20)
        pid = self.main_pid()
        self.must("mv", "/root/bundle-first/msp-agent.service", "/root/aside")
        self.assertIn("nothing is installed", self.setup("first", "install", code=1))
        self.must("mv", "/root/aside", "/root/bundle-first/msp-agent.service")
        self.must("chmod", "666", "/root/bundle-first/ProxyAgent/azure-proxy-agent")
        self.assertIn("others can change it", self.run_inside(
            PROGRAM, "setup", "--bundle", "/root/bundle-first", "install").stderr)
        self.must("chmod", "755", "/root/bundle-first/ProxyAgent/azure-proxy-agent")
        self.assertEqual(self.main_pid(), pid)

    def test_7_where_a_package_is_it_keeps_out(self):
        self.setup("first", "uninstall", "package")
        self.assertFalse(self.exists(PROGRAM))
        self.must("dpkg", "-i", "/root/agent-first.deb")
        poll("served", self.served, 20)
        pid = self.main_pid()
        for words in (("install",), ("restore",), ("uninstall",), ("uninstall", "package", "--with-state")):
            self.assertIn("belongs to a package", self.setup("second", *words, code=1), words)
        self.assertEqual(self.main_pid(), pid)
        self.assertTrue(self.served())

    def test_8_all_of_it_goes(self):
        self.must("dpkg", "-P", "openmsp-agent")
        self.setup("first", "install")
        self.setup("first", "uninstall", "Package", "--with-state")
        for path in (*INSTALLED, STATE, PINS, "/var/log/azure-proxy-agent", "/var/log/openmsp", "/run/openmsp",
                     f"/etc/systemd/system/multi-user.target.wants/{UNIT}", "/etc/systemd/system/azure-proxy-agent.service"):
            self.assertFalse(self.exists(path), path)


class AnotherAgent(Bundled):
    """The VM extension puts the existing agent over ours: an uninstallation, and no write into our program."""

    def setUp(self) -> None:
        super().setUp()
        self.write("/root/other/setup", OTHER_SETUP, "755")
        self.write("/root/other/ProxyAgent/azure-proxy-agent", OTHER_AGENT, "755")
        self.write("/root/other/ProxyAgent/proxy-agent.json", (self.root.path / CONFIG.lstrip("/")).read_text())
        self.write("/root/other/azure-proxy-agent.service", OTHER_UNIT)

    def assert_made_way(self) -> None:
        poll("the hooks are gone", lambda: not self.exists(PINS), 10)
        poll("the other one runs", lambda: self.show("ActiveState", FIELD_UNIT) == "active" and
             self.version() == "9.9.9" and self.show("Id", FIELD_UNIT) == FIELD_UNIT, 10)
        self.assertEqual(self.show("ActiveState"), "inactive")
        self.assertIn("another agent has been put at", self.inside("journalctl", "--no-pager", "-n", "100"))
        answer = self.ask()
        self.assertNotIn(ENDORSED, answer.headers)
        self.assertIn(answer.status, (401, 403), f"not hooked any more: {answer}")

    def test_1_what_is_no_other_agent_opens_nothing(self):
        poll("served", self.served, 20)
        for command in (f"rm {NAME}", f": >{NAME}", f"rm -f {NAME}; mkdir {NAME}"):
            with self.subTest(command):
                self.must("sh", "-c", command)
                self.must("systemctl", "restart", UNIT)
                poll("served", self.served, 20)
        self.must("rmdir", NAME)
        self.must("dpkg", "-i", "/root/agent-first.deb")
        self.assertTrue(self.exists(NAME), "back with the next upgrade")

    def test_2_it_makes_way(self):
        poll("served", self.served, 20)
        before = self.must("sha256sum", PROGRAM)
        keys = self.keys()
        self.write("/dev/console", "")
        print(self.run_inside("/root/other/setup", "install").stderr.strip())
        self.assert_made_way()
        self.assertRegex((self.root.path / "dev/console").read_text(),
                         r"\d{4}-\d\d-\d\dT[\d:.]+ msp-agent_[\d.]+\(\d+\) - another agent has been put at")
        (self.root.path / "dev/console").unlink()
        self.assertEqual(self.must("sha256sum", PROGRAM), before, "not written through a link")
        self.assertEqual(self.keys(), keys)

    def test_3_an_upgrade_leaves_the_other_alone(self):
        self.must("dpkg", "-i", "/root/agent-second.deb")
        self.assert_made_way()

    def test_4_a_removal_too_and_a_new_installation_takes_its_place(self):
        self.must("dpkg", "-r", "openmsp-agent")
        self.assertEqual((self.version(), self.show("ActiveState", FIELD_UNIT)), ("9.9.9", "active"))
        self.must("dpkg", "-i", "/root/agent-first.deb")
        poll("served", self.served, 20)
        self.assertNotEqual(self.version(), "9.9.9")
        self.assertFalse(self.exists(f"/usr/lib/systemd/system/{FIELD_UNIT}"))

    def test_5_replaced_while_nobody_watched(self):
        poll("served", self.served, 20)
        self.must("systemctl", "stop", "msp-agent-replaced.path", UNIT)
        self.write(f"/usr/lib/systemd/system/{FIELD_UNIT}", OTHER_UNIT)
        self.must("sh", "-c", f"cat /root/other/ProxyAgent/azure-proxy-agent >{NAME}")
        self.assertTrue(self.pinned(), "a stop opens nothing")
        self.run_inside("systemctl", "start", UNIT)
        self.assert_made_way()
        self.must("dpkg", "-r", "openmsp-agent")
        self.must("dpkg", "-i", "/root/agent-first.deb")
        poll("served", self.served, 20)

    def test_6_its_tool_brings_ours_back(self):
        poll("served", self.served, 20)
        self.run_inside("/root/other/setup", "backup")
        self.run_inside("/root/other/setup", "install")
        self.assert_made_way()
        self.run_inside("/root/other/setup", "restore")
        poll("served", self.served, 20)
        self.assertEqual(self.show("UnitFileState"), "enabled")
        self.assertFalse(self.exists(f"/usr/lib/systemd/system/{FIELD_UNIT}"))
        poll("done", lambda: self.show("ActiveState", "msp-agent-replaced.service") == "inactive", 10)

    def test_7_setup_goes_both_ways(self):
        """From the existing agent, with no package, to ours, and back by our own setup."""
        self.must("dpkg", "-r", "openmsp-agent")
        self.write(CONFIG, (self.root.path / "root/other/ProxyAgent/proxy-agent.json").read_text())
        self.run_inside("/root/other/setup", "install")
        self.assertEqual((self.version(), self.show("ActiveState", FIELD_UNIT)), ("9.9.9", "active"))
        self.setup("first", "backup")
        self.setup("first", "install")
        poll("served", self.served, 20)
        self.assertFalse(self.exists(f"/usr/lib/systemd/system/{FIELD_UNIT}"))
        self.setup("first", "restore")
        poll("the other one runs", lambda: self.show("ActiveState", FIELD_UNIT) == "active", 10)
        self.assertEqual(self.version(), "9.9.9")
        for path in (PROGRAM, PINS, f"/usr/lib/systemd/system/{UNIT}", "/root/bundle-first/ProxyAgent/Backup"):
            self.assertFalse(self.exists(path), path)
