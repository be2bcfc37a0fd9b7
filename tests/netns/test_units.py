# SPDX-License-Identifier: Apache-2.0
"""Rules beyond the field's: units, cgroups and containers by the cgroup of the connect; methods, explicit deny, dry run.

A "unit" is a cgroup that the test makes below the agent's reference cgroup, with real programs in it.
"""
import json
import subprocess
import time
from pathlib import Path

from base import LabCase
from lab import http
from lab.lab import IMDS, ORDINARY_USER, stop
from lab.world import Place, poll

INSTANCE = "/metadata/instance?api-version=2021-02-01"
VERSIONS = "/metadata/versions"
PROFILE = ("/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/lab/providers/Microsoft.Compute/galleries/"
           "policies/inVMAccessControlProfiles/imds/versions/1.0.0")
CONTAINER, OTHER_CONTAINER = "c0ffee" + "1" * 58, "c0ffee" + "2" * 58
UNIT = "walinuxagent.service"
# A request for each line that comes in ("GET /path keep" or "… new"), on the connection that lives or on a new one;
# "CONNECT - new" makes one and asks nothing. A refusal ends its connection.
CLIENT = f"""
import http.client, json, sys
connection = None
for line in sys.stdin:
    method, target, which = line.split()
    if which == "new" or connection is None:
        connection = http.client.HTTPConnection("{IMDS.split(":")[0]}", 80, timeout=5)
        connection.connect()
        connection.auto_open = 0
    if method == "CONNECT":
        print("connected", flush=True)
        continue
    try:
        connection.request(method, target, headers={{"Metadata": "true"}})
        answer = connection.getresponse()
        body = answer.read()
        told = body.startswith(b'{{"error":')
        print(f"{{answer.status}} {{json.loads(body)['error']}}" if told else answer.status, flush=True)
    except (http.client.NotConnected, ConnectionError):
        print("closed", flush=True)
"""
C_CLIENT = r"""
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(void) {
  static const char request[] = "GET /metadata/versions HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\n\r\n";
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
  char answer[64] = "";
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  inet_pton(AF_INET, "169.254.169.254", &to.sin_addr);
  if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 || write(fd, request, sizeof(request) - 1) < 0 ||
      read(fd, answer, sizeof(answer) - 1) < 12)
    return 1;
  printf("%.3s\n", answer + 9);
  return 0;
}
"""


def identity(name: str, user: str | None = ORDINARY_USER, **ours) -> dict:
    return {"name": name, **({"userName": user} if user else {}), **({"openmsp": ours} if ours else {})}


def assignment(*identities: str, role: str = "reader", **ours) -> dict:
    return {"role": role, "identities": list(identities), **({"openmsp": ours} if ours else {})}


def rules(identities: list, assignments: list | None = None, methods: list | None = None) -> dict:
    """A privilege for all of IMDS, held by all identities unless the assignments say otherwise."""
    privilege = {"name": "all", "path": "/metadata", **({"openmsp": {"methods": methods}} if methods else {})}
    return {"privileges": [privilege, {"name": "instance", "path": "/metadata/instance"}],
            "roles": [{"name": "reader", "privileges": ["all"]}, {"name": "instance-reader", "privileges": ["instance"]}],
            "identities": identities,
            "roleAssignments": assignments or [assignment(*(i["name"] for i in identities))]}


class Program:
    """A process that asks when it is told to; it can be moved to another cgroup."""

    def __init__(self, place: Place):
        self.process = place.popen(["/usr/bin/python3", "-c", CLIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   text=True, cwd="/")

    def connect(self) -> None:
        if (said := self.ask("-", "CONNECT", keep=False)) != "connected":
            raise AssertionError(said)

    def ask(self, target: str = VERSIONS, method: str = "GET", keep: bool = True) -> str:
        self.process.stdin.write(f"{method} {target} {'keep' if keep else 'new'}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def move(self, cgroup: Path) -> None:
        (cgroup / "cgroup.procs").write_text(str(self.process.pid))

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class Units(LabCase):
    @classmethod
    def prepare(cls) -> None:
        lab = cls.lab
        cls.root = lab.world.cgroup("guest", "units")
        config = json.loads(lab.agent_config_file.read_text())
        config["openmsp"]["referenceCgroup"] = str(cls.root)
        lab.agent_config_file.write_text(json.dumps(config))
        cls.profile = lab.folder / "profile.json"
        cls.write_profile(rules([identity("everybody", user=None)]))
        host = json.loads(lab.host_config_file.read_text())
        host["accessControlProfiles"] = [str(cls.profile)]
        lab.host_config_file.write_text(json.dumps(host))
        model = json.loads(lab.vm_model_file.read_text())
        settings = model["properties"]["securityProfile"]["proxyAgentSettings"]
        settings["imds"] = {"inVMAccessControlProfileReferenceId": PROFILE}
        lab.vm_model_file.write_text(json.dumps(model))
        source, cls.c_client = lab.folder / "client.c", lab.folder / "client"
        source.write_text(C_CLIENT)
        subprocess.run(["clang-19", "-O1", "-o", cls.c_client, source], check=True)
        cls.c_client.chmod(0o755)

    @classmethod
    def write_profile(cls, document: dict, access: str = "Deny") -> None:
        cls.held = (document, access)
        cls.profile.write_text(json.dumps({"id": PROFILE, "properties": {
            "mode": "Enforce", "defaultAccess": access, "osType": "Linux", "applicableHostEndpoint": "IMDS",
            "rules": document}}))

    @classmethod
    def rules_logged(cls) -> int:
        return cls.lab.log_of("msp-agent", 10**6).count("rules of imds: ")

    @classmethod
    def apply(cls, document: dict, access: str = "Deny") -> None:
        """The host has other rules, and the agent has heard of them."""
        if cls.held == (document, access):
            return
        before = cls.rules_logged()
        stop(cls.lab.host)
        cls.write_profile(document, access)
        cls.lab.start_host()
        poll("the agent has the new rules", lambda: cls.rules_logged() > before)
        time.sleep(0.05)  # the log comes a moment before they hold

    def place(self, *path: str, user: str | None = ORDINARY_USER) -> Place:
        return Place(self.lab.guest_netns, self.lab.world.cgroup("guest", "units", *path), user)

    def program(self, place: Place) -> Program:
        program = Program(place)
        self.addCleanup(program.close)
        return program

    def once(self, *path: str, user: str | None = ORDINARY_USER, target: str = VERSIONS, method: str = "GET") -> str:
        program = Program(self.place(*path, user=user))
        try:
            return program.ask(target, method)
        finally:
            program.close()

    def refusal(self, place: Place, code: str) -> dict:
        """Refused with this code, which the audit log repeats."""
        return self.assert_refused(place.call(http.get, IMDS, VERSIONS), 403, code)

    def test_a_unit_whatever_program_runs_in_it(self):
        self.apply(rules([identity("agent", unit=UNIT)]))
        right, wrong = self.place("system.slice", UNIT), self.place("system.slice", "other.service")
        curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Metadata: true",
                f"http://{IMDS}{VERSIONS}"]
        for argv in (curl, [self.c_client]):
            self.assertEqual(right.run(argv, text=True).stdout.strip(), "200", argv)
            self.assertEqual(wrong.run(argv, text=True).stdout.strip(), "403", argv)
        self.assertEqual(self.once("system.slice", UNIT), "200")
        self.assertEqual(self.once(UNIT, "deeper", "still"), "200", "what a unit makes below itself is the unit")
        record = self.refusal(wrong, "identity_mismatch")
        self.assertEqual(record["identity"], "agent")
        self.assertNotEqual(record["cgroup_id"], (right.cgroup).stat().st_ino)
        self.assertEqual(record["cgroup_id"], wrong.cgroup.stat().st_ino)
        self.assertEqual(self.once("system.slice", UNIT, user="daemon"), "403 identity_mismatch", "it narrows the user")

    def test_a_unit_of_a_users_own_manager_is_not_the_systems(self):
        self.apply(rules([identity("agent", unit=UNIT)]))
        of_user = ("user.slice", "user-65534.slice", "user@65534.service")
        for forged in ((*of_user, "app.slice", UNIT), (*of_user, "system.slice", UNIT), (*of_user, UNIT),
                       ("system.slice", "web.service", UNIT), ("system.slice", f"{UNIT}.slice"), ("plain", UNIT)):
            self.assertEqual(self.once(*forged), "403 identity_mismatch", forged)
        self.assertEqual(self.once("system.slice", UNIT), "200")
        self.apply(rules([identity("manager", unit="user@65534.service")]))
        self.assertEqual(self.once(*of_user, "app.slice", UNIT), "200")

    def test_a_cgroup_and_what_is_below_it(self):
        self.apply(rules([identity("web", cgroup="/system.slice/web.service/workers")]))
        self.assertEqual(self.once("system.slice", "web.service", "workers"), "200")
        self.assertEqual(self.once("system.slice", "web.service", "workers", "1"), "200")
        for other in (("system.slice", "web.service"), ("system.slice", "web.service", "workers2"), ("workers",)):
            self.assertEqual(self.once(*other), "403 identity_mismatch", other)

    def test_a_container_by_the_first_digits_of_its_id(self):
        self.apply(rules([identity("job", container=CONTAINER[:12])]))
        scope = ("system.slice", f"docker-{CONTAINER}.scope")
        other = ("system.slice", f"docker-{OTHER_CONTAINER}.scope")
        for right in (scope, (*scope, "init.scope"), ("docker", CONTAINER),
                      ("kubepods", "burstable", "pod17", CONTAINER)):
            self.assertEqual(self.once(*right), "200", right)
        for wrong in (other, (*other, f"docker-{CONTAINER}.scope"), ("system.slice", "web.service", CONTAINER),
                      ("user.slice", "user@65534.service", f"docker-{CONTAINER}.scope"), (CONTAINER,)):
            self.assertEqual(self.once(*wrong), "403 identity_mismatch", wrong)

    def test_the_cgroup_of_the_connect_counts(self):
        self.apply(rules([identity("agent", unit=UNIT)]))
        right, wrong = self.place("system.slice", UNIT), self.place("system.slice", "other.service")
        leaver, comer = self.program(right), self.program(wrong)
        comer.connect()
        self.assertEqual(leaver.ask(), "200")
        leaver.move(wrong.cgroup)
        comer.move(right.cgroup)
        self.assertEqual([leaver.ask(), comer.ask()], ["200", "403 identity_mismatch"], "connections that live")
        self.assertEqual([leaver.ask(keep=False), comer.ask(keep=False)], ["403 identity_mismatch", "200"], "new ones")

    def test_rules_that_change_reach_living_connections(self):
        self.apply(rules([identity("first", unit="first.service")]))
        first, second = self.program(self.place("first.service")), self.program(self.place("second.service"))
        second.connect()
        self.assertEqual(first.ask(), "200")
        self.apply(rules([identity("second", unit="second.service")]))
        self.assertEqual([first.ask(), second.ask()], ["403 identity_mismatch", "200"])
        self.assertEqual(first.ask(), "closed", "who lost the right lost the connection")
        # Rules without units, and then with some again: nobody had looked meanwhile.
        self.apply(rules([identity("user")]))
        late = self.program(self.place("first.service"))
        self.assertEqual([second.ask(), late.ask()], ["200", "200"])
        self.apply(rules([identity("first", unit="first.service")]))
        self.assertEqual([second.ask(), late.ask()], ["403 identity_mismatch", "200"])

    def test_a_cgroup_that_is_gone_before_anybody_looked(self):
        self.apply(rules([identity("user")]))
        short = self.place("short.service")
        gone, denied, there = self.program(short), self.program(short), self.program(self.place("there.service"))
        self.assertEqual([gone.ask(), denied.ask(), there.ask()], ["200"] * 3)
        gone.move(self.root)
        denied.move(self.root)
        poll("the cgroup is empty", lambda: not (short.cgroup / "cgroup.procs").read_text())
        short.cgroup.rmdir()
        both = [identity("short", unit="short.service"), identity("there", unit="there.service")]
        self.apply(rules(both))
        self.assertEqual([gone.ask(), there.ask()], ["403 identity_mismatch", "200"], "it matches nothing")
        self.apply(rules([identity("user"), *both], [assignment("user"), assignment("short", effect="deny")]))
        self.assertEqual([denied.ask(), there.ask()], ["403 explicit_deny", "200"], "nor does it escape a deny")

    def test_methods(self):
        self.apply(rules([identity("user")], methods=["GET", "HEAD"]))
        self.assertEqual(self.once(), "200")
        self.assertEqual(self.once(method="POST"), "403 no_rule")
        self.apply(rules([identity("user")], methods=["GET", "POST"]))
        self.assertNotIn("403", self.once(method="POST"))
        self.assertEqual(self.once(method="HEAD"), "403")

    def test_explicit_deny(self):
        names = [identity("user"), identity("web", user=None, unit="web.service")]
        self.apply(rules(names, [assignment("user"), assignment("web", role="instance-reader", effect="deny")]))
        self.assertEqual(self.once("web.service", target=INSTANCE), "403 explicit_deny")
        self.assertEqual(self.once("web.service", target=VERSIONS), "200", "another privilege")
        self.assertEqual(self.once("other.service", target=INSTANCE), "200", "another unit")
        self.apply(rules(names, [assignment("user")]))
        self.assertEqual(self.once("web.service", target=INSTANCE), "200", "the deny alone stood in the way")

    def test_dry_run(self):
        names = [identity("user"), identity("web", user=None, unit="web.service"), identity("root", user="root")]
        self.apply(rules(names, [assignment("user"), assignment("web", effect="deny", dryRun=True),
                                 assignment("root", dryRun=True)]))
        self.assertEqual(self.once("web.service"), "200")
        self.assertEqual(self.once("other.service", user=None), "403 identity_mismatch")
        records = poll("records of both", lambda: [
            found if len(found := [r for r in self.lab.audit_records() if "dry_run" in r]) == 2 else None][0])
        self.assertEqual([(r["decision"], r["dry_run"], r["dry_run_identity"], r["dry_run_role"]) for r in records],
                         [("permit", "deny", "web", "reader"), ("deny", "allow", "root", "reader")])
        self.apply(rules(names, [assignment("user"), assignment("web", effect="deny"), assignment("root")]))
        self.assertEqual(self.once("web.service"), "403 explicit_deny", "what the dry run had announced")
        self.assertEqual(self.once("other.service", user=None), "200")

    def test_what_cannot_be_had_closes_the_service_and_says_why(self):
        self.apply(rules([identity("user"), identity("hash", exeSha256="a" * 64)]), "Allow")
        self.assertEqual(self.once(), "403 rules_unusable")
        self.refusal(self.place(), "rules_unusable")
        self.assertIn("not available on this kernel", self.lab.log_of("msp-agent"))
        self.apply(rules([identity("user")]), "Allow")
        self.assertEqual(self.once(), "200")

    def test_a_deny_that_names_nobody_closes_the_service(self):
        self.apply(rules([identity("user")], [assignment("user"), assignment("nobody", effect="deny")]))
        self.assertEqual(self.once(), "403 rules_unusable")
        self.assertIn('the deny names the identity "nobody"', self.lab.log_of("msp-agent"))
        self.apply(rules([identity("user")], [assignment("user"), assignment("nobody")]))
        self.assertEqual(self.once(), "200", "an allow is skipped as in the field")

    def test_the_host_refuses_a_profile_whose_fields_cannot_be_read(self):
        document = rules([identity("user", units=UNIT)])
        profile = self.lab.folder / "bad.json"
        profile.write_text(self.profile.read_text().replace(json.dumps(self.held[0]), json.dumps(document)))
        config = json.loads(self.lab.host_config_file.read_text())
        config["accessControlProfiles"] = [str(profile)]
        file = self.lab.folder / "bad-host.json"
        file.write_text(json.dumps(config))
        file.chmod(0o600)
        done = self.lab.host_place.run([self.lab.programs / "msp-host", "--config", file], text=True, timeout=10)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/rules/identities/0/openmsp/units", done.stdout + done.stderr)
