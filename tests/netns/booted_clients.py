#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The real clients in their real units: booted_clients.py --programs DIR --root ROOT [--seconds N].

ROOT is a Debian 13 root (scripts/real-clients --boot makes it) whose own systemd runs as process 1 of its namespaces, on
a copy that is thrown away. It starts waagent and cloud-init by the packages' unit files; nothing here makes their cgroups.
What is not as on a real machine: the stand-ins of prepare_root, and that the hooks sit on the cgroup in which it boots.
Too long for the ordinary run, so no module of it.
"""
import argparse
import json
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
parser = argparse.ArgumentParser()
parser.add_argument("--programs", type=Path, required=True)
parser.add_argument("--root", type=Path, required=True)
parser.add_argument("--seconds", default="10")
ARGUMENTS = parser.parse_args()
os.environ["MSP_PROGRAMS"] = str(ARGUMENTS.programs.resolve())
os.environ["MSP_CLIENT_SECONDS"] = ARGUMENTS.seconds

from client_judge import CLOUD_INIT_NEEDS, WAAGENT_NEEDS, Judge  # noqa: E402
from lab.client_root import ClientRoot  # noqa: E402
from lab.lab import GUEST_ADDRESS, HOST_ADDRESS, WIRESERVER  # noqa: E402
from lab.world import Place, cgroup_root, poll, run  # noqa: E402
from real_clients import SECONDS, WAAGENT, RealClients  # noqa: E402
from scripts_of_root import PYTHON  # noqa: E402

MAIN = "cloud-init-main.service"
STAGES = ("cloud-init-local.service", "cloud-init-network.service", "cloud-config.service", "cloud-final.service")
# The kernel here has no DMI tables and no hypervisor of that cloud; the clients ask for both.
DETECT_VIRT = """#!/bin/sh
case "$*" in *--container*) echo none && exit 1 ;; esac
echo microsoft
"""
# networkd takes no cable whose hardware address was set by hand.
NETWORK_UNIT = f"""[Unit]
DefaultDependencies=no
After=cloud-init-local.service
Before=cloud-init-network.service network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=ip address replace {GUEST_ADDRESS}/24 dev eth0
ExecStart=ip route replace 168.63.129.16/32 via {HOST_ADDRESS}
ExecStart=ip route replace 169.254.169.254/32 via {HOST_ADDRESS}
[Install]
WantedBy=cloud-init.target
"""
DROP_IN = "[Unit]\nConditionVirtualization=\n"
GOAL_STATE = f"http://{WIRESERVER.removesuffix(':80')}/machine/?comp=goalstate"


class Booted(Judge, RealClients):
    units = {WAAGENT: ["/usr/sbin/waagent", "-daemon"], MAIN: ["/usr/bin/cloud-init", "--all-stages"],
             **dict.fromkeys(STAGES, [])}
    needed = dict.fromkeys(STAGES, set()) | {WAAGENT: WAAGENT_NEEDS, MAIN: CLOUD_INIT_NEEDS}
    interpreter = "/usr/bin/python3.13"
    stranger = ("", "")  # decision and reason about a script of root that is not in one of the units

    @classmethod
    def make_root(cls) -> ClientRoot:
        root = ClientRoot(cls.lab, None, ARGUMENTS.root.resolve())
        root.write("/usr/bin/systemd-detect-virt", DETECT_VIRT, 0o755)
        root.write(f"/etc/systemd/system/{WAAGENT}.d/test.conf", DROP_IN)
        root.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        root.write("/etc/systemd/system/guest-network.service", NETWORK_UNIT)
        run("chroot", str(root.path), "systemctl", "enable", "guest-network.service")
        return root

    @classmethod
    def run_clients(cls) -> None:
        """The guest has no address yet: cloud-init asks for one."""
        run("ip", "-n", cls.lab.guest_netns, "address", "flush", "dev", "eth0")
        place = Place(cls.lab.guest_netns, cls.units_root)
        cls.booted = cls.root.boot(place, cls.lab.folder / "boot.client.log")
        cls.lab.world.on_close(cls.shut_down)
        cls.init = poll("systemd is process 1", lambda: cls.pid_of("init.scope", "systemd"), 10)
        result = cls.root.path / "run/cloud-init/result.json"
        poll("cloud-init has ended", lambda: result.exists() or cls.booted.poll() is not None, 40)
        cls.after_cloud_init = cls.reported()["provisioning"]
        poll("waagent uploads a status", lambda: cls.uploads() or cls.booted.poll() is not None, 150)
        time.sleep(SECONDS)
        cls.waagent_ran = cls.inside("systemctl", "is-active", WAAGENT).strip() == "active"
        cls.cloud_init_status = {unit: int(cls.inside("systemctl", "show", "-P", "ExecMainStatus", unit))
                                 for unit in (MAIN, *STAGES)}

    @classmethod
    def pid_of(cls, cgroup: str, name: str) -> int | None:
        for pid in (cls.units_root / cgroup / "cgroup.procs").read_text().split():
            if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                return int(pid)
        return None

    @classmethod
    def enter(cls, *argv: str) -> list[str]:
        return ["nsenter", "--target", str(cls.init), "--all", *argv]

    @classmethod
    def inside(cls, *argv: str) -> str:
        return cls.lab.outside.run(cls.enter(*argv), text=True, cwd="/").stdout

    @classmethod
    def shut_down(cls) -> None:
        """Whatever systemd made below, too."""
        (cls.units_root / "cgroup.kill").write_text("1")
        cls.booted.wait(10)
        for folder, _, _ in os.walk(cls.units_root, topdown=False):
            if Path(folder) != cls.units_root:
                poll("the cgroup is empty", lambda f=folder: not (Path(f) / "cgroup.procs").read_text(), 5)
                os.rmdir(folder)

    @classmethod
    def client_logs(cls) -> str:
        journal = cls.inside("journalctl", "--no-pager", "-n", "80") if getattr(cls, "init", None) else ""
        return super().client_logs() + f"\n--- journal\n{journal}"

    def test_a_script_of_root_in_a_service_of_its_own(self):
        self.script(["systemd-run", "--quiet", "--pipe", "--wait", "--unit=backup", *PYTHON], "backup.service")

    def test_a_script_of_root_in_a_session(self):
        self.script(["systemd-run", "--quiet", "--scope", "--slice=user", "--unit=session-1", *PYTHON], "session-1.scope")

    def script(self, argv: list[str], unit: str) -> None:
        before = len(self.lab.audit_records())
        status = self.inside(*argv, "GET", GOAL_STATE).split()[-1]
        [record] = poll("its audit record", lambda: [
            r for r in self.lab.audit_records()[before:] if r.get("process") == "waagent" and r["uid"] == 0 and
            r["pid"] not in self.processes], 3)
        why = record.get("reason") or record["privilege"]
        print(f"\n  a script of root in {unit}: {record['decision']} {why} (status {status})", flush=True)
        self.assertEqual((record["decision"], record.get("reason", "")), self.stranger)
        self.assertEqual(status, "200" if record["decision"] == "permit" else "403")

    def test_the_same_script_in_waagents_unit(self):
        cgroup = self.units_root / "system.slice" / WAAGENT
        argv = self.enter(*PYTHON, "GET", GOAL_STATE)
        self.assertEqual(Place(self.lab.guest_netns, cgroup).run(argv, text=True, cwd="/").stdout.split()[-1], "200")


class TheFieldsForm(Booted):
    allowlist = "waagent-cloud-init.field.json"
    identities = dict.fromkeys(Booted.units, "rootPython313")
    stranger = ("permit", "")


class OursWithUnits(Booted):
    allowlist = "waagent-cloud-init.units.json"
    identities = {WAAGENT: "waagent", MAIN: "cloudInitMain"}
    stranger = ("deny", "identity_mismatch")


if __name__ == "__main__":
    loader = unittest.defaultTestLoader
    cases = unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in (TheFieldsForm, OursWithUnits))
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(cases)
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() and not result.skipped else 1)
