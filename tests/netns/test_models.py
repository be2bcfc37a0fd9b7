# SPDX-License-Identifier: Apache-2.0
"""Models that an operator applies while host and guests run: both ways to enable, a new allowlist, a new key, an end."""
import subprocess

from callers import PYTHON, PYTHON_CLIENT, Living
from lab import http
from lab.lab import GUEST_ADDRESS, IMDS, ORDINARY_USER, VM_ID
from lab.world import Place, poll
from modelled import GUEST_2, MARK, VERSIONS, VM_ID_2, ModelledLab, SecondGuest, model, profile, version_id


class Models(ModelledLab):
    def test_a_machine_from_its_first_day_to_its_last(self):
        lab = self.lab
        self.assertIn("no virtual machine", self.mspctl("vm", "list"))
        self.assertEqual(lab.outside.call(http.get, IMDS, VERSIONS).code, "unknown_caller")

        with self.subTest("brownfield: a machine that runs is known, then gets an agent, then is enabled"):
            self.mspctl("vm", "apply", self.file(model("vm-1", VM_ID, enabled=False)), "--source-address", GUEST_ADDRESS)
            self.assertRegex(self.mspctl("vm", "list"), r"vm-1 .* none +0 +never ")
            self.assertEqual(self.get().status, 200)
            self.assertRegex(self.mspctl("vm", "list"), r"vm-1 .* none +0 +20\d\d-")
            lab.start_agent(wait=False)
            poll("the agent has asked", lambda: lab.status().get("channel", {}).get("phase") == "disabled")
            self.assertNotIn(MARK, self.get().headers, "nothing is touched yet")
            enabled = self.file(model("vm-1", VM_ID, enabled=True, keyIncarnationId=1))
            self.assertIn("~ enabled: false -> true", self.mspctl("vm", "diff", enabled, code=1))
            self.assertFalse(self.known("vm-1")["enabled"])
            self.mspctl("vm", "apply", enabled)
            self.served(self.get)
            self.assertEqual(lab.outside.call(http.get, IMDS, VERSIONS).code, "unsigned")
            self.assertEqual(self.known("vm-1")["resource"]["notOurs"], {"kept": [1.5, None]})

        with self.subTest("greenfield: a machine is created enabled, and closed until its agent is there"):
            second = SecondGuest(lab)
            self.assertEqual(second.get().code, "unknown_caller")
            self.mspctl("vm", "apply", self.file(model("vm-2", VM_ID_2, enabled=True)), "--source-address", GUEST_2)
            self.assertEqual(second.get().code, "unsigned")
            second.start_agent()
            self.served(second.get)
            self.assertNotEqual(self.known("vm-1")["keyGuid"], self.known("vm-2")["keyGuid"])

        with self.subTest("another allowlist reaches a connection that lives, and the other machine notices nothing"):
            refers = {"inVMAccessControlProfileReferenceId": version_id("P")}
            lives = Living(Place(lab.guest_netns, lab.guest.cgroup, ORDINARY_USER), [PYTHON, "-c", PYTHON_CLIENT], IMDS)
            self.addCleanup(lives.close)
            self.assertEqual(str(lives.ask(f"GET {VERSIONS}")), "200")
            refused = self.mspctl("vm", "apply", self.file(model("vm-1", VM_ID, enabled=True, keyIncarnationId=1, imds=refers)), code=1)
            self.assertIn("/properties/securityProfile/proxyAgentSettings/imds/inVMAccessControlProfileReferenceId", refused)
            mistyped = profile("Q", ORDINARY_USER)
            mistyped["properties"]["rules"]["identities"][0] = {"name": "who", "username": ORDINARY_USER}
            # Two versions in one file, as a list call of ARM answers.
            said = self.mspctl("profile", "apply", self.file({"value": [profile("R", "root"), mistyped]}))
            self.assertEqual(said.count("warning"), 1, said)
            self.assertIn("applied.json /value/1/properties/rules/identities/0/username: warning: ", said)
            self.assertNotIn("warning", self.mspctl("profile", "apply", self.file(profile("P", ORDINARY_USER))))
            self.mspctl("vm", "apply", self.file(model("vm-1", VM_ID, enabled=True, keyIncarnationId=1, imds=refers)))
            poll("root is refused", lambda: self.get("root").code == "identity_mismatch")
            self.assertEqual(str(lives.ask(f"GET {VERSIONS}")), "200")
            self.assertIn("vm-1", self.mspctl("profile", "diff", self.file(profile("P", "root")), code=1))
            self.mspctl("profile", "apply", self.file(profile("P", "root")))
            poll("root is served", lambda: self.get("root").status == 200)
            self.assertEqual(str(lives.ask(f"GET {VERSIONS}")), "403 identity_mismatch")
            self.assertEqual(second.get().status, 200)

        with self.subTest("a key that is reset: the agent latches another by itself"):
            before = self.known("vm-1")["keyGuid"]
            self.assertIn("keyIncarnationId: 1 -> 2", self.mspctl("key", "reset", "vm-1"))
            poll("another key", lambda: self.known("vm-1")["keyGuid"] not in (None, before))
            self.served(lambda: self.get("root"))
            self.assertEqual(lab.status()["channel"]["keyIncarnation"], 2)

        with self.subTest("all of it is there after a restart of the host"):
            keys = [self.known(name)["keyGuid"] for name in ("vm-1", "vm-2")]
            lab.host.terminate()
            lab.host.wait(10)
            with subprocess.Popen([lab.programs / "mspctl", "vm", "list", "--config", lab.host_config_file, "--wait", "60"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:
                self.assertIn("it may be restarting", asking.stderr.readline())
                lab.start_host()
                self.assertIn("vm-2", asking.communicate(timeout=30)[0])
                self.assertEqual(asking.returncode, 0)
            self.assertEqual([self.known(name)["keyGuid"] for name in ("vm-1", "vm-2")], keys)
            self.served(lambda: self.get("root"))

        with self.subTest("deleted: connections that live and new ones are refused, the other machine is served"):
            lives = Living(second.place, [PYTHON, "-c", PYTHON_CLIENT], IMDS)
            self.addCleanup(lives.close)
            self.served(second.get)
            self.assertEqual(str(lives.ask(f"GET {VERSIONS}")), "200")
            self.mspctl("vm", "delete", "vm-2")
            self.assertEqual(str(lives.ask(f"GET {VERSIONS}")), "403 unknown_caller")
            self.assertEqual(second.get().code, "unknown_caller")
            self.assertEqual(self.get("root").status, 200)
            self.assertIn("vm-1 refers", self.mspctl("profile", "delete", "P/1.0.0", code=1).replace("virtual machine ", ""))
