# SPDX-License-Identifier: Apache-2.0
"""Unmodified waagent and cloud-init as guests of a lab, decided by one of the two allowlists that we ship."""
import json
import os
import subprocess
import threading
import time
from pathlib import Path

from base import LabCase, number
from lab.client_root import ClientRoot
from lab.lab import GUEST_ADDRESS, HOST_ADDRESS, configure_guest_end, stop
from lab.storage import EXTENSION, make_certificate, owners_part, serve_extension
from lab.world import Place, poll, run

TOP = Path(__file__).resolve().parents[2]
EXAMPLES = TOP / "share" / "openmsp" / "examples"
PACKAGES = Path(os.environ.get("MSP_CLIENT_PACKAGES", TOP / "build" / "clients"))
PROFILE = ("/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/lab/providers/Microsoft.Compute/galleries/"
           "policies/inVMAccessControlProfiles/clients")
ROUTES = ",".join(f"{to}/32,{HOST_ADDRESS}" for to in ("168.63.129.16", "169.254.169.254"))
MAC = "00:0d:3a:12:34:56"
# How long waagent goes on after its first status: its one-minute requests need a long run.
SECONDS = number("MSP_CLIENT_SECONDS", 3)
# Then there is time for an extension, too.
LONG = SECONDS >= 100
WAAGENT, LOCAL, INIT = "walinuxagent.service", "cloud-init-local.service", "cloud-init.service"
# The units of the packages that ask for metadata or could, with the commands of their ExecStart lines.
COMMANDS = {WAAGENT: ["/usr/sbin/waagent", "-daemon"], LOCAL: ["/usr/bin/cloud-init", "init", "--local"],
            INIT: ["/usr/bin/cloud-init", "init"],
            "cloud-config.service": ["/usr/bin/cloud-init", "modules", "--mode=config"],
            "cloud-final.service": ["/usr/bin/cloud-init", "modules", "--mode=final"]}
CLOUD_INIT = [unit for unit in COMMANDS if unit != WAAGENT]
NETWORK = {"networkInterfaces": [{"properties": {"primary": True, "macAddress": MAC, "ipConfigurations": [
    {"properties": {"privateIPAddress": GUEST_ADDRESS, "subnet": {"properties": {"addressPrefix": "10.77.0.0/24"}}}}]}}]}


class Watch:
    """Who really ran: the Python processes below a cgroup, as the kernel lists them, looked at again and again."""

    def __init__(self, cgroup: Path):
        self._cgroup, self._end = cgroup, threading.Event()
        self.processes: dict[int, str] = {}  # pid: command line
        self.cgroups: dict[int, str] = {}  # id: path
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.005):
            for folder, _, _ in os.walk(self._cgroup):
                try:
                    self._look_at(Path(folder))
                except OSError:
                    pass  # it has just gone

    def _look_at(self, folder: Path) -> None:
        self.cgroups[folder.stat().st_ino] = str(folder.relative_to(self._cgroup))
        for pid in (folder / "cgroup.procs").read_text().split():
            try:
                said = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            except OSError:
                continue
            if said.startswith("/usr/bin/python3 "):
                self.processes[int(pid)] = said


def unit_of(cgroup: str | None) -> str | None:
    """The first part of the path that is no slice."""
    return next((part for part in (cgroup or "").split("/") if not part.endswith(".slice")), None)


class RealClients(LabCase):
    """A class for each allowlist: `allowlist` names the file."""

    allowlist = ""
    units = COMMANDS
    processes: dict[int, str] = {}
    seen: dict[str, list[dict]] = {}  # the audit log about each unit
    strangers: list[dict] = []  # and about all others below the same cgroup
    start_agent = False
    vm_model = {**({"resources": [EXTENSION]} if LONG else {}), "properties": {
        **owners_part(), "networkProfile": NETWORK,
        "securityProfile": {"proxyAgentSettings": {
            name: {"inVMAccessControlProfileReferenceId": f"{PROFILE}-{name.lower()}/versions/1.0.0"}
            for name in ("imds", "wireServer")}}}}

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        try:
            cls.lab.start_agent(wait=False)
            poll("the agent has key and rules", lambda: cls.lab.guest_get("/metadata/versions").code == "no_rule", 15)
            with Watch(cls.units_root) as watch:
                cls.run_clients()
            time.sleep(0.2)  # the audit log's writer collects for a moment
            cls.processes = watch.processes
            cls._sort(watch.cgroups)
        except Exception as error:
            raise AssertionError(f"{error}\n{cls.logs()}\n{cls.client_logs()}") from error

    @classmethod
    def _sort(cls, cgroups: dict[int, str]) -> None:
        cls.seen, cls.strangers = {unit: [] for unit in cls.units}, []
        for record in cls.lab.audit_records():
            if (cgroup := cgroups.get(record.get("cgroup_id"))) is not None:
                cls.seen.get(unit_of(cgroup), cls.strangers).append(record)

    @classmethod
    def run_clients(cls) -> None:
        cls.run_cloud_init()
        cls.run_waagent()

    @classmethod
    def prepare(cls) -> None:
        lab = cls.lab
        cls.root = cls.make_root()
        cls.root.configure()
        cls.thumbprint = make_certificate(lab.folder / "certificates")
        if LONG:
            serve_extension(lab)
        cls.units_root = lab.world.cgroup("guest", "units")
        change(lab.agent_config_file, lambda config: config["openmsp"].update(
            referenceRoot=str(cls.root.path), referenceCgroup=str(cls.units_root)))
        profiles = lab.folder / "profiles.json"
        profiles.write_text(subprocess.run(
            [lab.programs / "mspctl", "policy", "convert", "--to", "profile", "--profile-id", PROFILE,
             EXAMPLES / cls.allowlist], check=True, capture_output=True, text=True).stdout)
        # limits: the defaults, as an operator has them.
        change(lab.host_config_file, lambda config: config.pop("limits"))
        change(lab.host_config_file, lambda config: config.update(
            accessControlProfiles=[str(profiles)], certificateDirectory=str(lab.folder / "certificates"),
            adminSocket=str(lab.folder / "host" / "admin.sock")))
        run("ip", "-n", lab.guest_netns, "link", "set", "eth0", "address", MAC)
        cls._start_dhcp()

    @classmethod
    def make_root(cls) -> ClientRoot:
        return ClientRoot(cls.lab, PACKAGES)

    @classmethod
    def _start_dhcp(cls) -> None:
        """cloud-init asks for a lease before anything else; option 245 tells it where WireServer is."""
        with open(cls.lab.folder / "dnsmasq.log", "ab") as log:
            server = cls.lab.host_place.popen(
                ["chroot", cls.root.path, "/usr/sbin/dnsmasq", "--keep-in-foreground", "--log-facility=-", "--conf-file=",
                 "--user=root", "--no-ping", "--pid-file=", "--port=0", "--interface=vm0", "--bind-interfaces",
                 f"--dhcp-range={GUEST_ADDRESS},{GUEST_ADDRESS},255.255.255.0", "--dhcp-leasefile=/run/leases",
                 f"--dhcp-option=3,{HOST_ADDRESS}", f"--dhcp-option=121,{ROUTES}", "--dhcp-option-force=245,a8:3f:81:10"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        cls.lab.world.on_close(stop, server)

    @classmethod
    def unit(cls, *path: str) -> Place:
        """What systemd would make of it: a cgroup below system.slice."""
        slice_ = () if path[0].endswith(".slice") else ("system.slice",)
        return Place(cls.lab.guest_netns, cls.lab.world.cgroup("guest", "units", *slice_, *path))

    # --- the clients ---------------------------------------------------------------------------------------------

    @classmethod
    def start_client(cls, place: Place, argv: list[str], log: str) -> subprocess.Popen:
        with open(cls.lab.folder / f"{log}.client.log", "ab") as out:
            process = cls.root.popen(place, argv, stdout=out, stderr=out)
        cls.lab.world.on_close(stop, process)
        return process

    @classmethod
    def run_cloud_init(cls) -> None:
        """On a guest without an address: it gets one by DHCP, and gives it up when it has done."""
        cls.cloud_init_status = {}
        run("ip", "-n", cls.lab.guest_netns, "address", "flush", "dev", "eth0")
        for unit in CLOUD_INIT:
            process = cls.start_client(cls.unit(unit), COMMANDS[unit], unit)
            cls.cloud_init_status[unit] = process.wait(40)
            if unit == LOCAL:  # what the guest's own network service does next
                configure_guest_end(cls.lab.guest_netns, "eth0")
                cls.after_cloud_init = cls.reported()["provisioning"]

    @classmethod
    def run_waagent(cls) -> None:
        process = cls.start_client(cls.unit(WAAGENT), COMMANDS[WAAGENT], WAAGENT)
        poll("waagent uploads a status", lambda: cls.uploads() or process.poll() is not None, 150)
        time.sleep(SECONDS)
        cls.waagent_ran = process.poll() is None
        end_all(cls.unit(WAAGENT), process)

    @classmethod
    def client_logs(cls) -> str:
        files = [*cls.lab.folder.glob("*.client.log"), cls.lab.folder / "dnsmasq.log", cls.root.path / "var/log/waagent.log",
                 cls.root.path / "var/log/cloud-init.log"]
        return "\n".join(f"--- {f.name}\n" + "\n".join(f.read_text(errors="replace").splitlines()[-60:])
                         for f in files if f.exists())

    @classmethod
    def reported(cls) -> dict:
        """What msp-host keeps of the machine's own reports."""
        return json.loads(subprocess.run(
            [cls.lab.programs / "mspctl", "vm", "status", "vm-1", "--json", "--config", cls.lab.host_config_file],
            check=True, capture_output=True, text=True, timeout=10).stdout)

    @classmethod
    def uploads(cls) -> int:
        return sum(r["service"] == "hostga" and r.get("method") == "PUT" and r["path"] == "/status" and r["status"] == 200
                   for r in cls.lab.host_records())

    # --- what was seen -------------------------------------------------------------------------------------------

    @classmethod
    def records(cls, place: Place) -> list[dict]:
        """The audit log about processes of this cgroup."""
        return [record for record in cls.lab.audit_records() if record.get("cgroup_id") == place.cgroup.stat().st_ino]


def end_all(place: Place, process: subprocess.Popen) -> None:
    (place.cgroup / "cgroup.kill").write_text("1")
    process.wait(10)


def change(file: Path, edit) -> None:
    document = json.loads(file.read_text())
    edit(document)
    file.write_text(json.dumps(document))
