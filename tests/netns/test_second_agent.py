# SPDX-License-Identifier: Apache-2.0
"""A second agent beside the first: it must end at once, and leave what the first one holds as it was."""
import json
import os
import signal
import socket
import subprocess
import time

from base import LabCase
from lab import http
from lab.lab import IMDS, ORDINARY_USER
from lab.world import poll

VERSIONS = "/metadata/versions"
LISTEN = ("127.0.0.1", 3080)


def hold(address: tuple, seconds: float) -> None:
    deadline = time.monotonic() + 5
    while True:
        try:
            listener = socket.create_server(address)
            break
        except OSError:  # the worker that was killed just now
            if time.monotonic() > deadline:
                raise
            time.sleep(0.001)
    with listener:
        time.sleep(seconds)


def is_taken(address: tuple) -> bool:
    try:
        socket.create_server(address).close()
    except OSError:
        return True
    return False


class SecondAgent(LabCase):
    def second(self, **changes) -> subprocess.CompletedProcess:
        config = json.loads(self.lab.agent_config_file.read_text())
        config["openmsp"].update(changes)
        file = self.lab.folder / "second.json"
        file.write_text(json.dumps(config))
        file.chmod(0o600)
        return self.lab.agent_place.run([self.lab.programs / "msp-agent", "--config", file], cwd="/")

    def starts(self) -> list[dict]:
        return [record for record in self.lab.audit_records() if record.get("event") == "start"]

    def test_it_ends_and_nothing_has_changed(self):
        before = len(self.starts())
        other = str(self.lab.guest_cgroup / "apps")
        for name, changes in (("the same", {}), ("another cgroup", {"cgroup": other}),
                              ("another listener", {"listen": "127.0.0.1:3999"}),
                              ("another socket and audit file", {"controlSocket": str(self.lab.folder / "second.sock"),
                                                                 "auditFile": str(self.lab.folder / "second.jsonl")})):
            with self.subTest(name):
                done = self.second(**changes)
                said = (done.stdout + done.stderr).decode()
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("another agent holds the hooks", said)
                self.assertIn("stop it first", said)
                self.assertEqual(self.lab.guest_get(VERSIONS).status, 200)
                self.assertTrue(self.lab.status()["protected"])
        self.assertEqual(len(self.starts()), before, "the others have not touched the audit log")
        # The gate that the first one keeps is still its own: killed, it is shut.
        self.lab.kill_agent()
        self.assertIn("Connection refused", str(self.lab.guest.as_user(ORDINARY_USER).call(http.get, IMDS, VERSIONS)))
        self.lab.start_agent()
        self.assertEqual(self.lab.guest_get(VERSIONS).status, 200)
        ends = poll("the start after the kill", lambda: [record["previous_end"] for record in self.starts()[before:]], 3)
        self.assertEqual(ends, ["unclean"])

    def test_other_pins_on_the_same_cgroup_are_refused_and_leave_nothing(self):
        lab = self.lab
        moved = lab.bpffs / "moved"
        apart = {"bpfPinDirectory": str(moved)} | {name: str(lab.folder / f"second-{name}") for name in (
            "controlSocket", "auditFile", "statusFile", "stateDirectory")}
        for name in ("beside the first", "after its stop"):
            with self.subTest(name):
                done = self.second(**apart)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("guard this cgroup already", (done.stdout + done.stderr).decode())
                self.assertEqual([file for file in moved.rglob("*") if not file.is_dir()], [], "no hook is left")
            if name == "beside the first":
                self.assertEqual(lab.guest_get(VERSIONS).status, 200)
                self.assertTrue(lab.status()["protected"])
                lab.stop_agent()
        self.assertIn("Connection refused", str(lab.guest.as_user(ORDINARY_USER).call(http.get, IMDS, VERSIONS)))
        lab.start_agent()
        self.assertEqual(lab.guest_get(VERSIONS).status, 200)

    def test_a_listener_that_is_about_to_go_is_waited_for(self):
        """The worker of a killed monitor has it still for a moment; somebody else who stays is told."""
        self.lab.kill_agent()
        seconds = 0.4
        holder = self.lab.outside.start(hold, LISTEN, seconds)
        poll("the address is taken", lambda: self.lab.outside.call(is_taken, LISTEN), 5)
        self.lab.start_agent()
        holder.result()
        self.assertEqual(self.lab.guest_get(VERSIONS).status, 200)
        self.lab.kill_agent()
        holder = self.lab.outside.start(hold, LISTEN, 6)
        poll("the address is taken", lambda: self.lab.outside.call(is_taken, LISTEN), 5)
        done = self.second()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("Address already in use", (done.stdout + done.stderr).decode())
        holder.result()
        self.lab.start_agent()

    def test_a_start_that_fails_leaves_the_hooks_of_a_latched_machine_only(self):
        lab = self.lab
        lab.stop_agent()
        self.assertEqual(self.uninstall().returncode, 0)
        links = lab.bpffs / "openmsp" / "links"
        never = lab.folder / "never"
        (never / "keys").mkdir(parents=True, mode=0o700)
        config = json.loads(lab.agent_config_file.read_text())
        for name, keys, state, stay in (("never latched", str(never / "keys"), str(never), False),
                                        ("latched", config["latchKeyFolder"], str(lab.folder / "agent"), True)):
            with self.subTest(name):
                document = config | {"latchKeyFolder": keys}
                document["openmsp"] = config["openmsp"] | {"stateDirectory": state}
                file = lab.folder / "second.json"
                file.write_text(json.dumps(document))
                file.chmod(0o600)
                holder = lab.outside.start(hold, LISTEN, 6)
                poll("the address is taken", lambda: lab.outside.call(is_taken, LISTEN), 5)
                done = lab.agent_place.run([lab.programs / "msp-agent", "--config", file], cwd="/")
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("Address already in use", (done.stdout + done.stderr).decode())
                self.assertEqual(links.exists() and any(links.iterdir()), stay)
                holder.result()
        lab.start_agent()
        self.assertEqual(lab.guest_get(VERSIONS).status, 200)

    def test_a_start_that_fails_in_the_midst_of_attaching_leaves_no_hook(self):
        """Somebody else's program, attached so that it allows no other, is in the place of the last hook."""
        lab = self.lab
        in_the_way = lab.bpffs / "in_the_way"

        def bpftool(*words) -> str:
            return subprocess.run(["bpftool", *map(str, words)], check=True, capture_output=True, text=True).stdout

        link = json.loads(bpftool("-j", "link", "show", "pinned", lab.bpffs / "openmsp" / "links" / "sendmsg6"))
        bpftool("prog", "pin", "id", link["prog_id"], in_the_way)
        lab.stop_agent()
        self.assertEqual(self.uninstall().returncode, 0)
        never = lab.folder / "midst"
        (never / "keys").mkdir(parents=True, mode=0o700)
        config = json.loads(lab.agent_config_file.read_text())
        bpftool("cgroup", "attach", config["openmsp"]["cgroup"], "sendmsg6", "pinned", in_the_way)
        try:
            config = config | {"latchKeyFolder": str(never / "keys"),
                               "openmsp": config["openmsp"] | {"stateDirectory": str(never)}}
            file = lab.folder / "second.json"
            file.write_text(json.dumps(config))
            file.chmod(0o600)
            done = lab.agent_place.run([lab.programs / "msp-agent", "--config", file], cwd="/")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("cannot attach sendmsg6", (done.stdout + done.stderr).decode())
            links = lab.bpffs / "openmsp" / "links"
            self.assertEqual(list(links.iterdir()) if links.exists() else [], [])
        finally:
            bpftool("cgroup", "detach", config["openmsp"]["cgroup"], "sendmsg6", "pinned", in_the_way)
            in_the_way.unlink()
        lab.start_agent()
        self.assertEqual(lab.guest_get(VERSIONS).status, 200)

    def uninstall(self) -> subprocess.CompletedProcess:
        return self.lab.agent_place.run([self.lab.programs / "msp-agent", "--config", self.lab.agent_config_file, "uninstall"], cwd="/")

    def test_an_uninstallation_beside_a_running_agent_is_refused(self):
        os.kill(self.lab.agent.pid, signal.SIGSTOP)
        done = self.uninstall()
        os.kill(self.lab.agent.pid, signal.SIGCONT)
        self.assertNotEqual(done.returncode, 0, "also where it does not answer")
        self.assertIn("another agent holds the hooks", (done.stdout + done.stderr).decode())
        self.assertEqual(self.lab.guest_get(VERSIONS).status, 200)
        self.assertTrue(self.lab.status()["protected"])
        self.lab.kill_agent()
        self.assertEqual(self.uninstall().returncode, 0, "the dead hold nothing")
        self.lab.start_agent()
        self.assertEqual(self.lab.guest_get(VERSIONS).status, 200)

    def test_a_hook_that_somebody_detaches_is_not_called_attached(self):
        pin = next(pin for pin in (self.lab.bpffs).rglob("connect6") if pin.parent.name == "links")
        subprocess.run(["bpftool", "link", "detach", "pinned", str(pin)], check=True, capture_output=True)
        self.addCleanup(self.lab.start_agent)
        self.addCleanup(self.lab.kill_agent)
        status = self.lab.status()
        self.assertFalse(status["protected"])
        self.assertEqual([hook["name"] for hook in status["interception"]["hooks"] if not hook["attached"]], ["connect6"])
        self.assertTrue(any("connect6 is not attached" in problem["what"] for problem in status["problems"]), status["problems"])

    def test_one_audit_file_has_one_writer(self):
        """Everything of its own but the audit file."""
        done = self.second(bpfPinDirectory=str(self.lab.bpffs / "second"), controlSocket=str(self.lab.folder / "second.sock"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("another process writes", (done.stdout + done.stderr).decode())
        self.assertEqual(self.lab.guest_get(VERSIONS).status, 200)
