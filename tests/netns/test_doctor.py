# SPDX-License-Identifier: Apache-2.0
"""`mspctl doctor` in a guest: all is well, and then one thing after the other is broken and told with its remedy."""
import json
import os
import signal
import subprocess

from base import LabCase
from lab.lab import stop
from lab.world import poll

OF_THE_LAB = {"service", "other agents"}  # the machine that the test runs on may have anything there


class Doctor(LabCase):
    def doctor(self, *options) -> tuple[int, list[dict]]:
        done = self.lab.agent_place.run([self.lab.programs / "mspctl", "doctor", "--json", "--config", self.lab.agent_config_file,
                                         *options], timeout=30, cwd="/", text=True)
        checks = json.loads(done.stdout)["checks"]
        self.assertTrue(all(check["remedy"] for check in checks if check["verdict"] != "ok"), checks)
        return done.returncode, checks

    @staticmethod
    def signal(pid: int, number: signal.Signals) -> None:
        """To a worker, which the agent may have replaced meanwhile."""
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def trouble(self) -> dict[str, dict]:
        return {check["name"]: check for check in self.doctor()[1] if check["verdict"] != "ok" and check["name"] not in OF_THE_LAB}

    def test_what_is_well_and_what_is_not(self):
        lab = self.lab
        poll("all is well", lambda: not self.trouble(), 10)
        code, checks = self.doctor()
        self.assertEqual(code, max(("ok", "warning", "failure").index(check["verdict"]) for check in checks))
        names = [check["name"] for check in checks]
        for name in ("agent", "hooks", "listener", "worker", "channel", "rules", "audit", "clock", "configuration", "kernel", "cgroup",
                     "pinned hooks", "key files", "local rules", "control socket", "other agents", "service"):
            self.assertEqual(names.count(name), 1, f"{name}: {checks}")

        with self.subTest("a key file that others may read"):
            [key] = (lab.folder / "agent" / "keys").glob("*.key")
            key.chmod(0o644)
            self.assertIn("chmod", self.trouble()["key files"]["remedy"])
            key.chmod(0o600)

        with self.subTest("a local rule file that is none"):
            rules = lab.folder / "agent" / "rules"
            rules.mkdir(mode=0o700, exist_ok=True)
            (rules / "IMDS_Rules.json").write_text("{")
            self.assertIn("IMDS_Rules.json", self.trouble()["local rules"]["what"])
            (rules / "IMDS_Rules.json").unlink()

        with self.subTest("a control socket that others may ask"):
            lab.control_socket.chmod(0o666)
            self.assertEqual(self.trouble()["control socket"]["verdict"], "failure")
            lab.control_socket.chmod(0o600)

        with self.subTest("a worker that stands still"):
            stopped: set[int] = set()

            def stop_workers() -> None:
                """The one there is now: on a slow machine the agent has replaced it before it is asked about."""
                found = subprocess.run(["pgrep", "-P", str(lab.agent.pid)], capture_output=True, text=True, check=False)
                for child in map(int, found.stdout.split()):
                    self.signal(child, signal.SIGSTOP)
                    stopped.add(child)

            def told() -> bool:
                stop_workers()
                return self.trouble().get("worker", {}).get("verdict") == "failure"

            poll("a worker that stands still is a failure", told, 30)
            for child in stopped:
                self.signal(child, signal.SIGCONT)
            poll("the worker answers again", lambda: not self.trouble(), 15)

        with self.subTest("a host that is gone"):
            stop(lab.host)
            poll("the channel is told", lambda: self.trouble().get("channel", {}).get("verdict") == "warning", 15)
            lab.start_host()
            poll("all is well again", lambda: not self.trouble(), 15)

        with self.subTest("an agent that does not run"):
            stop(lab.agent)
            code, checks = self.doctor()
            self.assertEqual((code, checks[0]["name"], checks[0]["verdict"]), (2, "agent", "failure"))
            self.assertIn("start msp-agent", checks[0]["remedy"])
            self.assertIn("kernel", [check["name"] for check in checks if check["verdict"] == "ok"])
            lab.start_agent()
