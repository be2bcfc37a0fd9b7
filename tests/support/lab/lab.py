# SPDX-License-Identifier: Apache-2.0
"""One host and one guest, joined by a cable, with msp-host and msp-agent running.

    guest namespace                        host namespace
    eth0 10.77.0.2 ── veth ── vm0 10.77.0.1, lo 169.254.169.254 and 168.63.129.16

Cgroups: NAME/guest has the hooks; NAME/guest/agent and NAME/guest/apps are in it, NAME/outside is not.
"""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import http
from .world import Place, World, poll, run

IMDS = "169.254.169.254:80"
WIRESERVER = "168.63.129.16:80"
HOSTGA = "168.63.129.16:32526"
GUEST_ADDRESS = "10.77.0.2"
HOST_ADDRESS = "10.77.0.1"
# A user that exists on every Debian and owns nothing.
ORDINARY_USER = "nobody"
VM_ID = "5f1c6f5e-9d61-4a52-8a3b-0d8b7f1f6c01"
SERVICES = {"imds": IMDS, "wireserver": WIRESERVER, "hostga": HOSTGA}


def merge(base: dict, changes: dict) -> dict:
    """Changes win; objects are merged, a None takes the member away."""
    result = dict(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = value
    return result


class Lab:
    """`host_serves` are the services that msp-host listens for; the others are left to an origin of the test."""

    def __init__(self, programs: Path, name: str = "msp", agent_config: dict | None = None,
                 vm_model: dict | None = None, host_serves: tuple = tuple(SERVICES)):
        self.programs = Path(programs).resolve()
        self._host_serves = host_serves
        self.world = World(name)
        self.agent: subprocess.Popen | None = None
        self.host: subprocess.Popen | None = None
        self.environment: dict[str, dict[str, str]] = {}  # more variables, by program
        self.prefix: dict[str, list[str]] = {}  # what starts it, and becomes it by exec
        try:
            self._build(agent_config or {}, vm_model or {})
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self.world.close()

    # --- the world -----------------------------------------------------------------------------------------------

    def _build(self, agent_config: dict, vm_model: dict) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.world.name}-"))
        self.world.on_close(shutil.rmtree, self.folder)
        self.folder.chmod(0o755)
        self.host_netns = self.world.netns("host")
        self.guest_netns = self.world.netns("guest")
        self._plug_cable()
        for address in (IMDS, WIRESERVER):
            run("ip", "-n", self.host_netns, "address", "add", address.split(":")[0] + "/32", "dev", "lo")
        self.guest_cgroup = self.world.cgroup("guest")
        agent_cgroup = self.world.cgroup("guest", "agent")
        self.agent_place = Place(self.guest_netns, agent_cgroup)
        self.guest = Place(self.guest_netns, self.world.cgroup("guest", "apps"))
        self.outside = Place(self.guest_netns, self.world.cgroup("outside"))
        self.host_place = Place(self.host_netns, self.world.cgroup("host"))
        self.bpffs = self.world.bpffs(self.folder / "bpf")
        for folder in ("agent", "agent/keys", "agent/log", "host"):
            (self.folder / folder).mkdir(mode=0o700)
        self.control_socket = self.folder / "agent" / "control.sock"
        self.agent_audit = self.folder / "agent" / "log" / "audit.jsonl"
        self.host_log = self.folder / "host" / "access.jsonl"
        self.agent_config_file = self._write("agent.json", merge(self._agent_config(agent_cgroup), agent_config))
        self.vm_model_file = self._write("vm-1.json", merge(self._vm_model(), vm_model))
        self.host_config_file = self._write("host.json", self._host_config())

    def _plug_cable(self) -> None:
        run("ip", "-n", self.guest_netns, "link", "add", "eth0", "type", "veth", "peer", "name", "vm0",
            "netns", self.host_netns)
        configure_host_end(self.host_netns, "vm0")
        configure_guest_end(self.guest_netns, "eth0")

    def _write(self, name: str, document: dict) -> Path:
        path = self.folder / name
        path.write_text(json.dumps(document, indent=2) + "\n")
        path.chmod(0o600)
        return path

    def _agent_config(self, agent_cgroup: Path) -> dict:
        home = self.folder / "agent"
        return {
            "logFolder": str(home / "log"),
            "eventFolder": str(home / "log" / "events"),
            "latchKeyFolder": str(home / "keys"),
            "monitorIntervalInSeconds": 60,
            "pollKeyStatusIntervalInSeconds": 15,
            "ebpfProgramName": "ebpf_cgroup.o",
            "openmsp": {
                "listen": "127.0.0.1:3080",
                "cgroup": str(self.guest_cgroup),
                "agentCgroup": str(agent_cgroup),
                "bpfPinDirectory": str(self.bpffs / "openmsp"),
                # Process 1 may be out of reach here; the lab shares its root with this process anyway.
                "referenceRoot": "/",
                "stateDirectory": str(home),
                "controlSocket": str(self.control_socket),
                "auditFile": str(self.agent_audit),
                "statusFile": str(home / "log" / "status.json"),
                "pollIntervalMilliseconds": 200,
            },
        }

    def _host_config(self) -> dict:
        home = self.folder / "host"
        listeners = [dict(zip(("address", "port"), http.split_address(SERVICES[name])), service=name)
                     for name in self._host_serves]
        return {
            "stateDirectory": str(home),
            "accessLog": str(self.host_log),
            "listeners": listeners,
            # Scenarios ask as fast as they can; those of limits, and of real clients, set them.
            "limits": {"imdsPerSecond": 0, "identityPerSecond": 0, "keysPerSecond": 0},
            "virtualMachines": [{"model": str(self.folder / "vm-1.json"), "sourceAddresses": [GUEST_ADDRESS]}],
        }

    @staticmethod
    def _vm_model() -> dict:
        endpoint = {"mode": "Enforce"}
        settings = {"enabled": True, "keyIncarnationId": 1, "wireServer": endpoint, "imds": endpoint}
        return {"name": "vm-1", "location": "lab", "properties": {
            "vmId": VM_ID, "securityProfile": {"proxyAgentSettings": settings}}}

    # --- the programs --------------------------------------------------------------------------------------------

    def start_host(self, wait: bool = True) -> None:
        self.host = self._start("msp-host", self.host_config_file, self.host_place)
        if wait:
            poll("msp-host answers", lambda: self._host_answers(), 10)

    def start_agent(self, wait: bool = True) -> None:
        self.agent = self._start("msp-agent", self.agent_config_file, self.agent_place)
        if wait:
            self.wait_served()

    def wait_served(self, target: str = "/metadata/versions") -> None:
        """Until the agent has its key: an endorsed answer, not one that came before anything was redirected."""
        poll("msp-agent has its key and serves", lambda: (a := self.guest_get(target)).status == 200 and
             a.headers.get("x-ms-azure-host-authorization") == "value", 15)

    def _start(self, program: str, config: Path, place: Place) -> subprocess.Popen:
        log = open(self.folder / f"{program}.log", "ab")
        process = place.popen([*self.prefix.get(program, []), self.programs / program, "--config", config],
                              stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env={**os.environ, **self.environment.get(program, {})})
        log.close()
        self.world.on_close(stop, process)
        return process

    def _host_answers(self) -> bool:
        self._must_run("msp-host", self.host)
        # The one request that a host answers in every state, without a signature; a machine it does not know gets 403.
        return self.outside.call(http.get, WIRESERVER, "/secure-channel/status").status in (200, 403)

    def _must_run(self, program: str, process: subprocess.Popen | None) -> None:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{program} ended with status {process.returncode}:\n{self.log_of(program)}")

    def guest_get(self, target: str, to: str = IMDS, user: str | int | None = ORDINARY_USER) -> http.Answer:
        self._must_run("msp-agent", self.agent)
        return self.guest.as_user(user).call(http.get, to, target)

    def log_of(self, program: str, lines: int = 40) -> str:
        path = self.folder / f"{program}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def worker_pid(self) -> int:
        """Of the monitor's one child; OSError while there is none."""
        assert self.agent is not None
        for task in Path(f"/proc/{self.agent.pid}/task").iterdir():
            children = (task / "children").read_text().split()
            if children:
                return int(children[0])
        raise ProcessLookupError("no worker")

    def kill_agent(self) -> None:
        assert self.agent is not None
        self.agent.send_signal(signal.SIGKILL)
        self.agent.wait()

    def stop_agent(self) -> int:
        assert self.agent is not None
        return stop(self.agent)

    def status(self) -> dict:
        """What mspctl says, as JSON."""
        done = subprocess.run([self.programs / "mspctl", "status", "--json", "--config", self.agent_config_file],
                              capture_output=True, text=True, check=False, timeout=10)
        return json.loads(done.stdout)

    def key_files(self) -> list[str]:
        return sorted(name for name in os.listdir(self.folder / "agent" / "keys") if name.endswith(".key"))

    def audit_records(self) -> list[dict]:
        """Of the newest file: who makes so many that the log is rotated reads audit_lines."""
        return read_json_lines(self.agent_audit)

    def audit_lines(self) -> Iterator[str]:
        """Whole lines of all that is kept, oldest first. None comes twice; what is rotated meanwhile may be missing, until asked again."""
        log = self.agent_audit
        old = sorted(log.parent.glob(log.name + ".*"), key=lambda path: -int(path.suffix[1:]))
        for path in (*old, log):
            with contextlib.suppress(FileNotFoundError), path.open(errors="replace") as file:
                yield from (line for line in file if line.endswith("}\n"))

    def audit_says(self, good, timeout: float = 2.0) -> bool:
        """Whether a record like that is in the agent's audit log, or comes within the time (a thread writes it)."""
        try:
            poll("audit record", lambda: any(good(record) for record in self.audit_records()), timeout)
        except TimeoutError:
            return False
        return True

    def host_records(self) -> list[dict]:
        return read_json_lines(self.host_log)


def configure_host_end(netns: str, device: str) -> None:
    run("ip", "-n", netns, "address", "add", f"{HOST_ADDRESS}/24", "dev", device)
    run("ip", "-n", netns, "link", "set", device, "up")


def configure_guest_end(netns: str, device: str) -> None:
    run("ip", "-n", netns, "address", "add", f"{GUEST_ADDRESS}/24", "dev", device)
    run("ip", "-n", netns, "link", "set", device, "up")
    for address in (IMDS, WIRESERVER):
        run("ip", "-n", netns, "route", "add", address.split(":")[0] + "/32", "via", HOST_ADDRESS)


def read_json_lines(path: Path) -> list[dict]:
    """Whole lines only: the last may still be on its way, and a kill may have cut one."""
    text = path.read_text(errors="replace") if path.exists() else ""
    return [document for line in text.split("\n")[:-1] if (document := _object(line)) is not None]


def _object(line: str) -> dict | None:
    try:
        return json.loads(line)
    except ValueError:
        return None


def stop(process: subprocess.Popen) -> int:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
