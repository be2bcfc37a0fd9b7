# SPDX-License-Identifier: Apache-2.0
"""What `mspctl status` says of a host that refuses: what it answers, and each request that it refused by the ids that client and logs
have of it, beside what the agent itself refused."""
import json
import subprocess

from lab import http
from lab.lab import GUEST_ADDRESS, ORDINARY_USER, VM_ID, WIRESERVER, read_json_lines
from lab.world import poll
from modelled import ModelledLab, model


class Status(ModelledLab):
    def say(self, *options, code: int) -> str:
        done = subprocess.run([self.lab.programs / "mspctl", "status", *map(str, options)], capture_output=True, text=True,
                              check=False, timeout=10)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def of_agent(self, code: int = 1) -> str:
        return self.say("--config", self.lab.agent_config_file, code=code)

    def test_what_the_host_refuses_is_told(self):
        lab = self.lab
        lab.start_agent(wait=False)
        with self.subTest("a host that knows no such machine answers, and what is to be done is said"):
            poll("the host has refused", lambda: lab.status().get("channel", {}).get("hostStatus") == 403)
            text = self.of_agent()
            self.assertIn("host           ANSWERS 403 (unknown_caller) TO THE POLL", text)
            self.assertIn("the host answers 403 (unknown_caller), and has not told this machine anything yet", text)
            self.assertIn("mspctl vm apply MODEL --source-address ADDRESS", text)
            self.assertNotIn("DOES NOT ANSWER", text)

        settings = {"enabled": True, "imds": {"mode": "Enforce"}, "wireServer": {"mode": "Enforce"}}
        self.mspctl("vm", "apply", self.file(model("vm-1", VM_ID, **settings)), "--source-address", GUEST_ADDRESS)
        self.served(lambda: self.get("root"))
        self.assertIsNone(lab.status()["channel"]["hostStatus"])
        self.assertNotIn("REFUSED BY THE HOST", self.of_agent(code=0))

        with self.subTest("what the agent refuses is found by the id in the client's answer"):
            refused = lab.guest_get("/machine?comp=goalstate", WIRESERVER, user=ORDINARY_USER).json()
            poll("it is shown", lambda: lab.status()["lastRefusals"])
            self.assertEqual(lab.status()["lastRefusals"][0]["requestId"], refused["request_id"])
            self.assertIn(f"request {refused['request_id']}", self.of_agent(code=0))

        with self.subTest("what the host refuses is not served, and is found in both logs"):
            served = lab.status()["counters"]["outcomes"]["served"]
            self.mspctl("vm", "delete", "vm-1")
            answer = self.get("root")
            self.assertEqual((answer.status, answer.code), (403, "unknown_caller"))
            poll("it is shown", lambda: lab.status()["lastHostRefusals"])
            status = lab.status()
            self.assertEqual(status["counters"]["outcomes"]["served"], served)
            self.assertEqual(status["counters"]["outcomes"]["host_refused"], 1)
            [told] = status["lastHostRefusals"]
            self.assertEqual((told["status"], told["hostCode"], told["hostRequestId"], told["user"]),
                             (403, "unknown_caller", answer.json()["request_id"], "root"))
            [ours] = [line for line in lab.audit_records() if line.get("host_code")]
            self.assertEqual((ours["request_id"], ours["host_request_id"]), (told["requestId"], told["hostRequestId"]))
            poll("the host has logged it", lambda: [line for line in read_json_lines(lab.host_log)
                                                    if line.get("request_id") == told["hostRequestId"]])
            poll("the agent has asked the host since", lambda: lab.status()["channel"]["hostStatus"] == 403)
            text = self.of_agent()
            self.assertIn("REFUSED BY THE HOST, of what rules here let pass: 1 since start", text)
            self.assertIn(f"403 unknown_caller, request {told['hostRequestId']} of the host", text)

        with self.subTest("what belongs to the host is said to"):
            admin = json.loads(lab.host_config_file.read_text())["adminSocket"]
            text = self.say("--socket", admin, code=2)
            self.assertIn(f"{admin} (said by --socket) is the admin socket of msp-host", text)
            text = self.say("--config", lab.host_config_file, code=2)
            self.assertIn("is a configuration of msp-host, not of msp-agent", text)
            self.assertIn("is no socket", self.say("--socket", lab.agent_config_file, code=2))
