# SPDX-License-Identifier: Apache-2.0
"""The rules in force, asked of a live agent: `mspctl policy show` and `explain` without a file say what the agent does, with
local rule files in it; the dump that it writes says the same."""
import json
import subprocess

from lab import http
from lab.lab import SERVICES, stop
from lab.world import Place
from test_local_rule_files import HOSTS, LocalRuleFiles, Step, local

USERS = ("daemon", "nobody", "www-data", "root")
TARGETS = ("/metadata/instance", "/metadata/versions", "/metadata/elsewhere", "/versions", "/?comp=versions")


class RulesInForce(LocalRuleFiles):
    sets = HOSTS

    def mspctl(self, *arguments, feed: str | None = None) -> subprocess.CompletedProcess:
        return subprocess.run([self.lab.programs / "mspctl", "policy", *arguments], capture_output=True, text=True, check=False,
                              timeout=30, input=feed)

    def agent_option(self) -> tuple:
        return "--config", str(self.lab.agent_config_file)

    def show(self) -> str:
        done = self.mspctl("show", *self.agent_option())
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def newest_dump(self) -> dict:
        return json.loads(max((self.lab.folder / "agent" / "log").glob("AuthorizationRules_*.json")).read_text())

    def check_explained(self) -> int:
        """Every user asks everything, with explain beside each answer; how many were refused."""
        refused = 0
        for user in USERS:
            place = Place(self.lab.guest_netns, self.root, user)
            for service, address in SERVICES.items():
                for target in TARGETS:
                    answer = place.call(http.get, address, target)
                    done = self.mspctl("explain", *self.agent_option(), "--json", "--service", service, "--as", user, "GET", target)
                    said = json.loads(done.stdout)
                    with self.subTest(f"{user} {service} {target}"):
                        if said["outcome"] == "permit":
                            self.assertIn(answer.status, (200, 400, 404), answer.body[:200])
                        else:
                            self.assertEqual((answer.status, answer.json()["error"]), (said["status"], said["code"]))
                            refused += 1
        return refused

    def test_connections_that_live_follow_the_files(self):
        for service in ("imds", "wireserver"):
            self.wait_rule_set(service, "lab-useLocalFileRules-true")
        self.addCleanup(lambda: [file.unlink() for file in self.folder.iterdir()])
        first = json.loads(self.show())
        self.assertEqual([one["source"] for one in first["services"]], ["host", "host", "host"])
        self.put(Step(local("mine", "daemon"), "_mine", []))
        self.put(Step(local("wire", "root", "/", query={"comp": "versions"}), "_wire", [], service="wireServer"))
        self.assertGreater(self.check_explained(), 20)

        text = self.show()
        shown, dump = json.loads(text), self.newest_dump()
        self.assertGreater(shown["generation"], first["generation"])
        self.assertEqual([one["source"] for one in shown["services"]], ["host_and_local_file", "host_and_local_file", "host"])
        self.assertEqual(shown["inputRules"], dump["inputRules"])
        file = self.lab.folder / "shown.json"
        file.write_text(text)
        self.assertEqual(self.mspctl("diff", str(file), "-", feed=json.dumps(dump)).returncode, 0)
        self.assertEqual(self.mspctl("lint", "-", feed=text).returncode, 0)
        converted = self.mspctl("convert", "--to", "services", str(file))
        self.assertEqual(converted.returncode, 2, "hostga has rules of its own")
        self.assertIn("hostga", converted.stderr)

        self.put(Step("{", "", []))  # closed
        shown = json.loads(self.show())
        self.assertEqual(shown["services"][0]["source"], "local_file_failed")
        self.assertIn("IMDS_Rules.json", shown["services"][0]["localFailure"])
        self.assertGreater(self.check_explained(), 30)

    def test_without_an_agent_nothing_is_said_to_be_allowed(self):
        stop(self.lab.agent)
        self.addCleanup(self.lab.start_agent, wait=False)
        done = self.mspctl("explain", *self.agent_option(), "--as", "daemon", "--service", "imds", "GET", "/metadata/instance")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("the agent is not running", done.stderr)
        self.assertIn("-> start msp-agent", done.stderr)


del LocalRuleFiles  # its tests run where they stand
