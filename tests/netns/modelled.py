# SPDX-License-Identifier: Apache-2.0
"""A lab whose host knows machines only by what mspctl applies, and a second guest beside the first."""
import copy
import json
import subprocess
from pathlib import Path

from base import LabCase
from lab import http
from lab.lab import IMDS, ORDINARY_USER, VM_ID, WIRESERVER, merge, stop
from lab.world import Place, poll, run

GUEST_2, HOST_2 = "10.78.0.2", "10.78.0.1"
VM_ID_2 = VM_ID[:-2] + "02"
VERSIONS = "/metadata/versions"
GALLERY = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/galleries/N/inVMAccessControlProfiles"
MARK = "x-ms-azure-host-authorization"


def version_id(name: str) -> str:
    return f"{GALLERY}/{name}/versions/1.0.0"


def model(name: str, vm_id: str, **settings) -> dict:
    return {"name": name, "notOurs": {"kept": [1.5, None]}, "properties": {
        "vmId": vm_id, "securityProfile": {"proxyAgentSettings": settings}}}


def profile(name: str, user: str) -> dict:
    """This user may read everything of IMDS, nobody else anything."""
    rules = {"privileges": [{"name": "all", "path": "/metadata"}], "roles": [{"name": "reader", "privileges": ["all"]}],
             "identities": [{"name": "who", "userName": user}], "roleAssignments": [{"role": "reader", "identities": ["who"]}]}
    return {"id": version_id(name), "properties": {"mode": "Enforce", "defaultAccess": "Deny", "rules": rules}}


def plug(lab, netns: str, device: str, guest: str, host: str) -> None:
    """A cable from a namespace to the host; `device` is its end there."""
    run("ip", "-n", netns, "link", "add", "eth0", "type", "veth", "peer", "name", device, "netns", lab.host_netns)
    for where, end, address in ((lab.host_netns, device, host), (netns, "eth0", guest)):
        run("ip", "-n", where, "address", "add", f"{address}/24", "dev", end)
        run("ip", "-n", where, "link", "set", end, "up")
    for address in (IMDS, WIRESERVER):
        run("ip", "-n", netns, "route", "add", address.split(":")[0] + "/32", "via", host)


class SecondGuest:
    """Another namespace with an agent of its own, behind the same host; with another `number`, one more."""

    def __init__(self, lab, number: int = 2):
        self.lab = lab
        world, name = lab.world, f"guest{number}"
        self.address, host = (address.replace(".78.", f".{76 + number}.") for address in (GUEST_2, HOST_2))
        self.netns = world.netns(name)
        plug(lab, self.netns, f"vm{number - 1}", self.address, host)
        cgroup = world.cgroup(name)
        self.agent_place = Place(self.netns, world.cgroup(name, "agent"))
        self.place = Place(self.netns, world.cgroup(name, "apps"), ORDINARY_USER)
        self.outside = Place(self.netns, lab.outside.cgroup)
        bpffs = world.bpffs(lab.folder / f"bpf{number}")
        self.log = lab.folder / f"agent{number}.log"
        self.home = home = lab.folder / f"agent{number}"
        for folder in (home, home / "keys", home / "log"):
            folder.mkdir(mode=0o700)
        config = json.loads(lab.agent_config_file.read_text())
        self.config = lab.folder / f"agent{number}.json"
        self.config.write_text(json.dumps(merge(config, {"latchKeyFolder": str(home / "keys"), "openmsp": {
            "cgroup": str(cgroup), "agentCgroup": str(self.agent_place.cgroup), "bpfPinDirectory": str(bpffs / "openmsp"),
            "stateDirectory": str(home), "controlSocket": str(home / "control.sock"), "auditFile": str(home / "log" / "audit.jsonl"),
            "statusFile": str(home / "log" / "status.json")}})))
        self.config.chmod(0o600)

    def start_agent(self) -> None:
        log = self.log.open("ab")
        self.agent = self.agent_place.popen([self.lab.programs / "msp-agent", "--config", self.config], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd="/")
        log.close()
        self.lab.world.on_close(stop, self.agent)

    def stop_agent(self) -> None:
        stop(self.agent)

    def status(self) -> dict:
        """What mspctl says, as JSON."""
        done = subprocess.run([self.lab.programs / "mspctl", "status", "--json", "--config", self.config], capture_output=True,
                              text=True, check=False, timeout=10)
        return json.loads(done.stdout)

    def get(self, target: str = VERSIONS) -> http.Answer:
        return self.place.call(http.get, IMDS, target)


class ModelledLab(LabCase):
    """Nothing is applied and no agent runs when a test begins."""

    start_agent = False
    agent_config = {"openmsp": {"pollIntervalMilliseconds": 200}}

    @classmethod
    def prepare(cls) -> None:
        lab = cls.lab
        config = json.loads(lab.host_config_file.read_text())
        del config["virtualMachines"]
        config["adminSocket"] = str(lab.folder / "host" / "admin.sock")
        lab.host_config_file.write_text(json.dumps(config))

    def mspctl(self, *words, code: int = 0) -> str:
        """What it prints; --config is added, and the exit code judged."""
        done = subprocess.run([self.lab.programs / "mspctl", *map(str, words), "--config", self.lab.host_config_file],
                              capture_output=True, text=True, check=False, timeout=30)
        self.assertEqual(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def file(self, document: dict) -> Path:
        path = self.lab.folder / "applied.json"
        path.write_text(json.dumps(copy.deepcopy(document), indent=1))
        return path

    def get(self, user: str = ORDINARY_USER) -> http.Answer:
        return self.lab.guest_get(VERSIONS, user=user)

    def served(self, ask) -> None:
        """Endorsed, that is."""
        poll("an endorsed answer", lambda: (a := ask()).status == 200 and a.headers.get(MARK) == "value", 15)

    def known(self, name: str) -> dict:
        return json.loads(self.mspctl("vm", "get", name, "--json"))
