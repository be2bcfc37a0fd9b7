# SPDX-License-Identifier: Apache-2.0
"""The subjects of the bench of msp-host: hosts with verification on and off, one with many machines, and nginx with the body.

All stand in the host's namespace, each in a cgroup of its own; the client is in the guest's, on the other side of a cable.
"""
import json
import subprocess
from pathlib import Path

from lab import http
from lab.lab import GUEST_ADDRESS, IMDS, WIRESERVER, Lab, stop
from lab.world import Place, poll, run
from own_agent import Key, send
from subjects import Subject, process_kb

TARGET = "/metadata/instance?api-version=2021-02-01"
EXAMPLE = Path(__file__).resolve().parent.parent / "packaging" / "msp-host.example.vm.json"
ACQUIRE = b'{"authorizationScheme": "Azure-HMAC-SHA256"}'
BATCH = 1000
NEVER_REACHED = 1_000_000  # requests a second: the limiter is asked for each, as in the field, and refuses none


def address_of(number: int) -> str:
    """The first machine has the guest's own address."""
    return GUEST_ADDRESS if number == 0 else f"10.100.{number >> 8}.{number & 255}"


def machine(number: int, imds: str) -> dict:
    model = json.loads(EXAMPLE.read_text())
    model["name"], model["id"] = f"vm-{number}", model["id"].replace("vm01", f"vm-{number}")
    properties = model["properties"]
    properties["vmId"] = f"6f9619ff-8b86-4d01-b42d-{number:012x}"
    interface = properties["networkProfile"]["networkInterfaces"][0]["properties"]
    interface["ipConfigurations"][0]["properties"]["privateIPAddress"] = address_of(number)
    properties["securityProfile"]["proxyAgentSettings"] = {
        "enabled": True, "keyIncarnationId": 1, "wireServer": {"mode": "Enforce"}, "imds": {"mode": imds}}
    return model


def latch(wireserver: str, addresses: list[str]) -> Key:
    """From each address: a key, attested. Returns the first."""
    first = None
    for address in addresses:
        answer, _ = send(wireserver, http.request_bytes(wireserver, "/secure-channel/key", "POST", None, ACQUIRE), "POST", address)
        key = Key(answer.json()["guid"], bytes.fromhex(answer.json()["key"]))
        target = f"/secure-channel/key/{key.guid}/key-attestation"
        answer, _ = send(wireserver, key.signed(wireserver, target, "POST", b""), "POST", address)
        if answer.status != 200:
            raise RuntimeError(f"{address} cannot latch: {answer}")
        first = first or key
    return first


class Host(Subject):
    """One msp-host with so many machines, of which `latched` latch at most; `memory` is taken on the way."""

    def __init__(self, lab: Lab, programs: Path, name: str, port: int, machines: int, latched: int, imds: str):
        self.lab, self.programs = lab, programs
        place = Place(lab.host_netns, lab.world.cgroup("host", name))
        self.at, self.wireserver = f"{IMDS.split(':')[0]}:{port}", f"{WIRESERVER.split(':')[0]}:{port}"
        self.config = lab.folder / "state" / f"{name}.json"
        listeners = [dict(zip(("address", "port"), http.split_address(at)), service=service)
                     for at, service in ((self.at, "imds"), (self.wireserver, "wireserver"))]
        state = lab.folder / "state" / name
        self.config.write_text(json.dumps({"stateDirectory": str(state), "accessLog": str(lab.folder / "state" / f"{name}.log"),
                                           "adminSocket": str(state / "admin.sock"), "listeners": listeners,
                                           "limits": {"imdsPerSecond": NEVER_REACHED}}))
        self.config.chmod(0o600)
        self.process = place.popen([programs / "msp-host", "--config", self.config], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=(lab.folder / "bench.log").open("ab"), cwd="/")
        lab.world.on_close(stop, self.process)
        super().__init__(name, lab.outside, self.at, "", [self.process], place.cgroup)
        poll("msp-host answers", lambda: lab.outside.call(http.get, self.at, "/").status == 403, 10)
        self.memory = {"no machine": process_kb(self.process.pid)}
        for begin in range(0, machines, BATCH):
            self.apply([machine(number, imds) for number in range(begin, min(begin + BATCH, machines))])
        self.memory["registered"] = process_kb(self.process.pid)
        self.key = lab.outside.call(latch, self.wireserver, [address_of(number) for number in range(min(machines, latched))])
        self.memory["latched"] = process_kb(self.process.pid)

    def apply(self, models: list[dict]) -> None:
        file = self.lab.folder / "state" / "models.json"
        file.write_text(json.dumps(models))
        subprocess.run([self.programs / "mspctl", "vm", "apply", file, "--config", self.config], check=True,
                       stdout=subprocess.DEVNULL, timeout=120)


class HostStage:
    def __init__(self, programs: Path, nginx: Path, many: list[int], latched: int):
        self.lab = Lab(programs, "msp-bench")
        try:
            self._build(programs, nginx.resolve(), many, latched)
        except BaseException:
            self.lab.close()
            raise

    def _build(self, programs: Path, nginx: Path, many: list[int], latched: int) -> None:
        lab = self.lab
        state = lab.folder / "state"
        state.mkdir()
        run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(state))
        lab.world.on_close(run, "umount", str(state))
        self._more_addresses(max(many))
        self.verified = Host(lab, programs, "verified", 8011, 1, 1, "Enforce")
        self.open = Host(lab, programs, "open", 8001, 1, 1, "Disabled")
        self.many = [Host(lab, programs, f"verified_{count}", 8012 + i, count, latched, "Enforce") for i, count in enumerate(many)]
        self._body()
        self.subjects = [self.verified, self.open, *self.many, self._nginx(nginx, "nginx", 8021, "off"),
                         self._nginx(nginx, "nginx_log", 8022, f"{state}/nginx.log combined buffer=64k")]
        for subject in self.subjects:
            answer = lab.outside.call(http.exchange, subject.imds, self.request(subject))
            if (answer.status, answer.body) != (200, self.body):
                raise RuntimeError(f"{subject.name}: {answer}")

    def _more_addresses(self, count: int) -> None:
        lab = self.lab
        batch = lab.folder / "addresses"
        batch.write_text("".join(f"address add {address_of(number)}/32 dev lo\n" for number in range(1, count)))
        run("ip", "-n", lab.guest_netns, "-batch", str(batch))
        run("ip", "-n", lab.host_netns, "route", "add", "10.100.0.0/16", "via", GUEST_ADDRESS)

    def request(self, subject: Subject) -> bytes:
        """With what an agent of the field adds: signed with the key of this host; nginx gets that of `verified`."""
        return getattr(subject, "key", self.verified.key).signed(IMDS, TARGET)

    def headers(self, subject: Subject) -> dict[str, str]:
        return dict(line.split(": ", 1) for line in self.request(subject).decode().split("\r\n")[1:-2])

    def _body(self) -> None:
        self.body = self.lab.outside.call(http.exchange, self.verified.at, self.request(self.verified)).body
        file = self.lab.folder / "files" / "metadata" / "instance"
        file.parent.mkdir(parents=True)
        file.write_bytes(self.body)

    def _nginx(self, nginx: Path, name: str, port: int, log: str) -> Subject:
        """As the origin of the agent's bench, with the name of its body."""
        place = Place(self.lab.host_netns, self.lab.world.cgroup("host", name))
        text = (Path(__file__).parent / "nginx-origin.conf").read_text()
        at = f"169.254.169.254:{port}"
        for mark, value in (("@FOLDER@", f"{self.lab.folder}/{name}"), ("@ADDRESS@", at), ("@HOSTGA@", f"127.0.0.1:{port}"),
                            (f"root {self.lab.folder}/{name}/files;", f"root {self.lab.folder}/files; default_type application/json;"),
                            ("access_log off;", f"access_log {log};")):
            text = text.replace(mark, value)
        folder = self.lab.folder / name
        folder.mkdir()
        file = folder / "nginx.conf"
        file.write_text("user nobody nogroup;\n" + text)
        process = place.popen([nginx, "-p", folder, "-c", file], stdin=subprocess.DEVNULL,
                              stderr=(self.lab.folder / "bench.log").open("ab"))
        self.lab.world.on_close(stop, process)
        subject = Subject(name, self.lab.outside, at, "", [process], place.cgroup)
        poll(f"{name} answers", lambda: self.lab.outside.call(http.get, at, "/").status == 403 or True, 5)
        return subject

    def memory(self) -> dict:
        return {host.name: host.memory for host in (self.verified, *self.many)}

    def pin(self, cpu: int) -> None:
        for subject in self.subjects:
            subject.pin({cpu})
