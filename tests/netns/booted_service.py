#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The package under a real systemd: booted_service.py --programs DIR --root ROOT --packages DIR [--only PATTERN].

PACKAGES holds two versions of ours. ROOT is a Debian 12 root (scripts/service-check makes both) whose own systemd runs as process 1 of its namespaces, on a copy
that is thrown away. The package is installed into it before it boots, as an image builder does. Clients run beside it, in
the guest's network and below the cgroup in which it booted. Too long for the ordinary run, so no module of it.
"""
import json
import os
import re
import shlex
import signal
import sys
import time
import unittest
from collections import Counter
from pathlib import Path

from booted import ARGUMENTS, DROP_IN, ENDORSED, HERE, HOST, PINS, RETRY, UNIT, Booted, Load
from booted_setup import AnotherAgent, Setup
from lab.lab import stop
from lab.world import poll


class Service(Booted):
    def test_1_started_at_boot(self):
        poll("served", self.served, 20)
        self.assertEqual(self.show("ActiveState"), "active")
        self.assertEqual(self.show("UnitFileState"), "enabled")
        self.assertEqual(self.show("NFileDescriptorStore"), "1")
        self.assertRegex(self.show("StatusText"), "^latched")
        self.assertEqual(self.must("azure-proxy-agent", "--status", "--wait", "20"), "")
        self.assertEqual(self.show("ActiveState", "azure-proxy-agent.service"), "active", "the existing agent's name")
        status = json.loads(self.inside("mspctl", "status", "--json"))
        self.assertTrue(status["protected"], status["problems"])
        self.assertEqual(self.must("systemd-analyze", "verify", UNIT, RETRY), "")
        order = self.inside("systemctl", "show", "-P", "Before", UNIT)
        self.assertIn("network-pre.target", order)
        resident = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.main_pid()}/status").read_text())[1])
        capabilities = re.search(r"CapBnd:\s+(\w+)", Path(f"/proc/{self.main_pid()}/status").read_text())[1]
        print(f"  resident {resident} kB, capabilities {capabilities}; {self.inside('systemd-analyze', 'security', UNIT).splitlines()[-1]}")
        self.assertLessEqual(resident, 9 * 1024)

    def test_2_restarts_under_load_lose_nothing(self):
        poll("served", self.served, 20)
        at, pid = len(self.lab.host_records()), self.main_pid()
        with Load(self) as load:
            for _ in range(ARGUMENTS.restarts):
                self.must("systemctl", "reset-failed", UNIT)
                self.must("systemctl", "restart", UNIT)
                self.assertNotEqual(self.main_pid(), pid)
                pid = self.main_pid()
                time.sleep(0.1)
        self.assertEqual(load.lost, 0, load.seen)
        self.assertGreater(load.seen["served"], 50 * ARGUMENTS.restarts)
        self.assert_nothing_unsigned_since(at)
        self.assertEqual(self.show("NFileDescriptorStore"), "1")

    def test_3_killed_it_comes_back(self):
        poll("served", self.served, 20)
        at, back = len(self.lab.host_records()), []
        with Load(self) as load:
            for _ in range(5):
                self.must("systemctl", "reset-failed", UNIT)
                pid = self.main_pid()
                os.kill(pid, signal.SIGKILL)
                begin = time.monotonic()
                poll("a new one", lambda: self.started_anew(pid), 5)
                back.append(time.monotonic() - begin)
        # The median: a machine that does something else for a moment is not what is tested here.
        self.assertLess(sorted(back)[len(back) // 2], 1.0, back)
        self.assertLessEqual(load.lost, 5 * 4, "at most what was in flight")
        self.assertEqual([what for what in load.seen if "refused" in what.lower()], [])
        self.assert_nothing_unsigned_since(at)

    def test_4_stopped_the_gate_is_shut(self):
        poll("served", self.served, 20)
        self.must("systemctl", "stop", UNIT)
        answer = self.ask()
        self.assertIn("ConnectionRefused", answer.error)
        self.assertLess(answer.seconds, 0.5, "refused at once")
        self.assertTrue(self.pinned())
        self.assertEqual(self.show("NFileDescriptorStore"), "0")
        self.must("systemctl", "start", UNIT)
        poll("served", self.served, 20)

    def test_5_the_watchdog_ends_one_that_stands_still(self):
        poll("served", self.served, 20)
        pid = self.main_pid()
        os.kill(pid, signal.SIGSTOP)
        begin = time.monotonic()
        poll("a new one", lambda: self.started_anew(pid), 20)
        print(f"  {time.monotonic() - begin:.1f} s until a new one served")
        poll("served", self.served, 20)
        self.assertIn("watchdog", self.inside("journalctl", "-u", UNIT, "--no-pager", "-n", "20").lower())

    def test_6_a_hang_at_start_is_bounded_and_tried_again(self):
        poll("served", self.served, 20)
        self.must("mkdir", "-p", os.path.dirname(DROP_IN))
        self.must("sh", "-c", f"printf '[Service]\\nExecStart=\\nExecStart=/bin/sleep 1000\\n' >{DROP_IN}")
        self.must("systemctl", "daemon-reload")
        begin = time.monotonic()
        self.must("systemctl", "restart", "--no-block", UNIT)
        poll("it hangs", lambda: self.show("ActiveState") == "activating", 5)
        answer = self.ask()
        held = time.monotonic() - begin
        print(f"  refused after {held:.1f} s: {answer.error}")
        self.assertEqual(answer.status, 0)
        self.assertLess(held, 9)
        poll("the unit has failed: the retry unit takes over", lambda: self.show("ActiveState") == "failed", 5)
        self.assertIn("ConnectionRefused", self.ask().error)
        poll("the retry waits", lambda: self.show("ActiveState", RETRY) == "activating", 3)
        with self.subTest("stopped by hand: no further try"):
            self.must("systemctl", "stop", UNIT)
            poll("it is called off", lambda: self.show("ActiveState", RETRY) == "inactive", 3)
        self.inside("systemctl", "reset-failed", UNIT)
        self.must("systemctl", "start", "--no-block", UNIT)
        poll("given up again", lambda: self.show("ActiveState", RETRY) == "activating", 12)
        self.must("rm", DROP_IN)
        self.must("systemctl", "daemon-reload")
        poll("it is back by itself", self.served, 45)
        self.assertEqual(self.show("ActiveState"), "active")

    def test_7_a_reload_goes_through_systemd(self):
        poll("served", self.served, 20)
        pid = self.main_pid()
        self.must("systemctl", "reload", UNIT)
        poll("it is done", lambda: self.show("ActiveState") == "active", 5)
        self.assertEqual(self.main_pid(), pid)
        self.assertIn("read again", self.inside("journalctl", "-u", UNIT, "MSP_EVENT=reloaded", "-o", "cat", "--no-pager"))
        self.assertTrue(self.served())

    def test_8_the_journal_has_fields(self):
        self.inside("systemctl", "restart", UNIT)
        poll("served", self.served, 20)
        entries = [json.loads(line) for line in self.must("journalctl", "-u", UNIT, "-o", "json", "--no-pager").splitlines()]
        ours = [entry for entry in entries if "MSP_LEVEL" in entry]
        page = (HERE.parents[1] / "docs/logs.md").read_text()
        fields = {name for entry in ours for name in entry if name.startswith("MSP_")}
        self.assertEqual([name for name in fields if f"`{name}`" not in page], [], "all are documented")
        self.assertLessEqual({entry["MSP_EVENT"] for entry in ours if "MSP_EVENT" in entry},
                             set(re.findall(r"`(\w+)`", page)))
        last = [entry for entry in ours if entry.get("MSP_EVENT") == "channel"][-1]
        key, = [name.removesuffix(".key") for name in self.inside("ls", "/var/lib/azure-proxy-agent/keys").split()
                if name.endswith(".key")]
        self.assertEqual((last["MSP_PHASE"], last["MSP_KEY_GUID"], last["MSP_CLOSED"]), ("latched", key, "0"))
        self.assertEqual((last["PRIORITY"], last["SYSLOG_IDENTIFIER"], last["_TRANSPORT"]), ("6", "msp-agent", "journal"))
        self.assertIn("channel latched: ", last["MESSAGE"])
        self.assertEqual({entry["MSP_SERVICE"] for entry in ours if entry.get("MSP_EVENT") == "rules"},
                         {"imds", "wireserver", "hostga"})
        self.assertEqual([entry["MESSAGE"] for entry in entries if entry.get("_COMM") == "msp-agent" and
                          entry.get("_TRANSPORT") != "journal"], [], "nothing goes by standard error")
        with self.subTest("an error"):
            self.must("sh", "-c", "cp /etc/azure/proxy-agent.json /root/good.json; echo '{' >/etc/azure/proxy-agent.json")
            self.run_inside("systemctl", "restart", UNIT)
            self.must("sh", "-c", "cp /root/good.json /etc/azure/proxy-agent.json")
            self.inside("systemctl", "reset-failed", UNIT)
            self.must("systemctl", "restart", UNIT)
            # Last words go by standard error: of a process that has ended the journal cannot tell the unit.
            said = [json.loads(line) for line in self.must("journalctl", "-u", UNIT, "-o", "json", "--no-pager").splitlines()]
            self.assertTrue([entry for entry in said if entry.get("_TRANSPORT") == "stdout" and entry["PRIORITY"] == "3" and
                             "proxy-agent.json" in entry["MESSAGE"]])
        with self.subTest("a warning with its source"):
            stop(self.lab.host)
            poll("it says so", lambda: self.inside("journalctl", "-u", UNIT, "PRIORITY=4", "MSP_EVENT=channel", "MSP_PHASE=latched",
                                                   "-o", "cat", "--no-pager"), 30)
            self.lab.start_host()
        poll("served", self.served, 20)


class Package(Booted):
    CONFIG = "/etc/azure/proxy-agent.json"

    def test_1_an_upgrade_loses_nothing_and_keeps_what_was_edited(self):
        poll("served", self.served, 20)
        edited = json.loads(self.inside("cat", self.CONFIG)) | {"pollKeyStatusIntervalInSeconds": 5}
        self.must("sh", "-c", f"cat >{self.CONFIG} <<'END'\n{json.dumps(edited)}\nEND")
        at, pid = len(self.lab.host_records()), self.main_pid()
        with Load(self) as load:
            for name in ("second", "first", "second"):
                self.must("dpkg", "--force-confold", "-i", f"/root/agent-{name}.deb")
                self.assertNotEqual(self.main_pid(), pid)
                pid = self.main_pid()
        self.assertEqual(load.lost, 0, load.seen)
        self.assertGreater(load.seen["served"], 100)
        self.assert_nothing_unsigned_since(at)
        self.assertEqual(json.loads(self.inside("cat", self.CONFIG)), edited)
        self.assertEqual(self.inside("dpkg-query", "-W", "-f", "${Version}", "openmsp-agent"), "0.0.2")

    def test_2_one_that_was_stopped_or_disabled_stays_so(self):
        self.must("systemctl", "disable", "--now", UNIT)
        self.must("dpkg", "-i", "/root/agent-first.deb")
        self.assertEqual(self.show("ActiveState"), "inactive")
        self.assertEqual(self.show("UnitFileState"), "disabled")
        self.assertTrue(self.pinned())
        self.assertIn("ConnectionRefused", self.ask().error, "the gate stays shut")
        self.must("systemctl", "enable", "--now", UNIT)
        poll("served", self.served, 20)

    def test_3_removed_nothing_is_hooked_and_the_key_stays(self):
        poll("served", self.served, 20)
        keys = self.inside("ls", "/var/lib/azure-proxy-agent/keys")
        self.assertIn(".key", keys)
        self.must("dpkg", "-r", "openmsp-agent")
        self.assertFalse(self.exists(PINS), "the hooks are gone")
        answer = self.ask()
        self.assertIn(answer.status, (401, 403), f"the host itself refuses: {answer}")
        self.assertNotIn(ENDORSED, answer.headers)
        self.assertEqual(self.show("LoadState"), "not-found")
        self.must("test", "-e", self.CONFIG)
        self.assertEqual(self.inside("ls", "/var/lib/azure-proxy-agent/keys"), keys)
        self.must("dpkg", "-i", "/root/agent-first.deb")
        poll("served, with the key that was there", self.served, 20)
        self.assertEqual(self.inside("ls", "/var/lib/azure-proxy-agent/keys"), keys)

    def test_4_removed_while_it_is_stopped(self):
        self.must("systemctl", "stop", UNIT)
        self.assertTrue(self.pinned())
        self.must("dpkg", "-r", "openmsp-agent")
        self.assertFalse(self.exists(PINS), "the hooks are gone")
        self.must("dpkg", "-i", "/root/agent-first.deb")
        poll("served", self.served, 20)

    def test_5_a_broken_configuration_does_not_keep_it(self):
        self.must("sh", "-c", f"echo '{{' >{self.CONFIG}")
        self.assertNotEqual(self.run_inside("systemctl", "restart", UNIT).returncode, 0)
        self.must("dpkg", "-r", "openmsp-agent")
        self.assertFalse(self.exists(PINS), "the hooks are gone")

    def test_6_purged_nothing_is_left(self):
        self.must("dpkg", "-P", "openmsp-agent")
        for path in (self.CONFIG, "/var/lib/azure-proxy-agent", "/var/log/azure-proxy-agent", "/var/log/openmsp", "/run/openmsp",
                     "/usr/sbin/azure-proxy-agent", PINS, f"/etc/systemd/system/multi-user.target.wants/{UNIT}",
                     "/etc/systemd/system/azure-proxy-agent.service"):
            self.assertFalse(self.exists(path), path)
        self.assertEqual(self.inside("sh", "-c", "find / -xdev -name '*openmsp*' -not -path '/proc/*' -not -path '/root/*'"
                                     " -not -path '/sys/*' -not -path '/var/lib/dpkg/*'"), "")

    def test_7_the_hosts_package(self):
        self.must("dpkg", "-i", "/root/host-first.deb")
        self.assertEqual(self.show("ActiveState", HOST), "inactive", "nothing says yet what it shall serve")
        self.must("sh", "-c", "mkdir /etc/msp-host && cp /usr/share/doc/openmsp-host/msp-host.example* /etc/msp-host")
        config = {"listeners": [{"address": "127.0.0.2", "port": 8080, "service": "wireserver"}],
                  "accessLog": "/var/log/msp-host/access.jsonl", "accessControlProfiles": ["msp-host.example.profiles.json"],
                  "virtualMachines": [{"model": "msp-host.example.vm.json", "sourceAddresses": ["127.0.0.1"]}]}
        self.must("sh", "-c", f"echo '{json.dumps(config)}' >/etc/msp-host/msp-host.json")
        self.must("systemctl", "enable", "--now", HOST)
        answers = ("curl", "-sf", "http://127.0.0.2:8080/secure-channel/status", "-H", "Metadata: true")
        poll("it answers", lambda: self.run_inside(*answers).returncode == 0, 5)
        load = f"until [ -e /run/enough ]; do {shlex.join(answers)} -m 10 -o /dev/null && echo served || echo failed; done >/run/seen"
        self.must("systemd-run", "--unit=load", "sh", "-c", load)
        for how in (("restart",), ("reload",), ("kill", "-s", "KILL"), ("reload",), ("restart",)):
            pid = self.show("MainPID", HOST)
            self.must("systemctl", *how, HOST)
            poll("it answers", lambda: self.run_inside(*answers).returncode == 0, 10)
            (self.assertEqual if how == ("reload",) else self.assertNotEqual)(self.show("MainPID", HOST), pid, how)
        pid = self.show("MainPID", HOST)
        self.must("dpkg", "-i", "/root/host-second.deb")
        poll("the next version answers", lambda: self.run_inside(*answers).returncode == 0, 5)
        self.assertNotEqual(self.show("MainPID", HOST), pid)
        self.must("touch", "/run/enough")
        poll("the load has ended", lambda: self.show("ActiveState", "load") == "inactive", 15)
        seen = Counter(self.inside("cat", "/run/seen").split())
        print(f"\n  restarts, reloads, an upgrade and a kill of msp-host under load: {dict(seen)}", flush=True)
        self.assertLessEqual(seen["failed"], 1, "what the kill has cut")
        self.assertGreater(seen["served"], 50)
        self.must("dpkg", "-P", "openmsp-host")
        self.assertNotEqual(self.run_inside(*answers).returncode, 0)
        self.assertNotEqual(self.run_inside("test", "-e", "/var/lib/msp-host").returncode, 0)


if __name__ == "__main__":
    loader = unittest.defaultTestLoader
    cases = [case for group in (Service, Package, Setup, AnotherAgent) for case in loader.loadTestsFromTestCase(group)
             if ARGUMENTS.only in case.id()]
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=1).run(unittest.TestSuite(cases))
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if cases and result.wasSuccessful() and not result.skipped else 1)
