# SPDX-License-Identifier: Apache-2.0
"""Disks of guests that change, the commands of docs/disks.md, and who watches meanwhile."""
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from callers import PYTHON
from lab.lab import GUEST_ADDRESS, HOST_ADDRESS, IMDS, ORDINARY_USER, VM_ID, WIRESERVER, configure_host_end, read_json_lines, stop
from lab.world import Place, poll, run
from modelled import ModelledLab, model

PAGE = Path(__file__).parent.parent.parent / "docs" / "disks.md"
# Asks without pause, each time on a connection of its own, and says every answer.
WATCHER = r"""
import http.client
while True:
    connection = http.client.HTTPConnection("169.254.169.254", 80, timeout=5)
    try:
        connection.request("GET", "/metadata/versions", headers={"Metadata": "true"})
        answer = connection.getresponse()
        print(answer.status, answer.headers.get("x-ms-azure-host-authorization"), flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
    connection.close()
"""


def commands(name: str) -> list[str]:
    """The lines of the page's block that is marked `<!-- run: NAME -->`."""
    found = re.findall(rf"<!-- run: {re.escape(name)} -->\n```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(found) == 1, f"{name}: {len(found)} blocks in {PAGE.name}"
    return found[0].splitlines()


class Disk:
    """What an agent has on its disk: keys, marks, logs. `pins` is the kernel's, and goes with every start of the machine."""

    def __init__(self, folder: Path, pins: Path):
        self._folder, self._pins = folder, pins

    def _empty(self) -> None:
        for entry in self._folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        for pin in sorted(self._pins.rglob("*"), reverse=True):
            pin.rmdir() if pin.is_dir() else pin.unlink()

    def re_image(self) -> None:
        self._empty()
        for name in ("keys", "log"):
            (self._folder / name).mkdir(mode=0o700)

    def copy_to(self, other: Path) -> None:
        shutil.copytree(self._folder, other, dirs_exist_ok=True, ignore=lambda _, names: [n for n in names if n.endswith(".sock")])

    def restore(self, backup: Path) -> None:
        self._empty()
        shutil.copytree(backup, self._folder, dirs_exist_ok=True)

    def keys(self) -> dict[str, str]:
        """Hex digits by id."""
        documents = [json.loads(file.read_text()) for file in (self._folder / "keys").glob("*.key")]
        return {document["guid"]: document["key"] for document in documents}


class OtherHost:
    """A second msp-host, in a namespace that has the metadata addresses as well; a cable can be plugged over to it."""

    def __init__(self, lab):
        self._lab = lab
        self.netns = lab.world.netns("host2")
        for address in (IMDS, WIRESERVER):
            run("ip", "-n", self.netns, "address", "add", address.split(":")[0] + "/32", "dev", "lo")
        self.place = Place(self.netns, lab.world.cgroup("host2"))
        self.folder = lab.folder / "host2"
        self.folder.mkdir(mode=0o700)
        config = json.loads(lab.host_config_file.read_text())
        self.log = self.folder / "access.jsonl"
        config.update(stateDirectory=str(self.folder), accessLog=str(self.log), adminSocket=str(self.folder / "admin.sock"))
        self.config = lab.folder / "host2.json"
        self.config.write_text(json.dumps(config))
        log = open(lab.folder / "msp-host2.log", "ab")
        process = self.place.popen([lab.programs / "msp-host", "--config", self.config], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        log.close()
        lab.world.on_close(stop, process)
        poll("the other host listens", (self.folder / "admin.sock").exists)

    def plug_in(self) -> None:
        run("ip", "-n", self._lab.host_netns, "link", "set", "vm0", "netns", self.netns)
        configure_host_end(self.netns, "vm0")

    def unplug(self) -> None:
        run("ip", "-n", self.netns, "link", "set", "vm0", "netns", self._lab.host_netns)
        configure_host_end(self._lab.host_netns, "vm0")


class DisksCase(ModelledLab):
    """A lab and one test for each class: vm-1 is applied and latched when it begins."""

    def setUp(self) -> None:
        lab = self.lab
        self.disk = Disk(lab.folder / "agent", lab.bpffs / "openmsp")
        self.seen_keys: dict[str, str] = {}
        self.logs_of_hosts = [lab.host_log]
        self.put("vm-1.json", model("vm-1", VM_ID, enabled=True, keyIncarnationId=1))
        self.mspctl("vm", "apply", lab.folder / "vm-1.json", "--source-address", GUEST_ADDRESS)
        self.on_machine("vm-1", lab.agent_config_file)
        lab.start_agent()
        self.first_key = self.latched()

    def on_machine(self, name: str, config: Path) -> None:
        """What the firmware says of the machine, which no disk takes along."""
        file = self.lab.folder / f"product_uuid-{name}"
        file.write_text(f"{name}\n")
        document = json.loads(config.read_text())
        document["openmsp"]["machineIdFile"] = str(file)
        config.write_text(json.dumps(document))

    # --- commands of the page ------------------------------------------------------------------------------------

    def tools(self, name: str, config: Path) -> Path:
        """A folder with a mspctl that asks this one, as the one of a machine does by its default configuration."""
        folder = self.lab.folder / f"bin-{name}"
        folder.mkdir(exist_ok=True)
        tool = folder / "mspctl"
        tool.write_text(f'#!/bin/sh\nexec "{self.lab.programs}/mspctl" "$@" --config "{config}"\n')
        tool.chmod(0o755)
        # No service manager runs here; the test does what it was asked for.
        manager = folder / "systemctl"
        manager.write_text(f'#!/bin/sh\necho "$@" >> "{self.lab.folder}/systemctl.log"\n')
        manager.chmod(0o755)
        return folder

    def run_page(self, name: str, code: int = 0, config: Path | None = None, **variables) -> str:
        """Runs the block's lines, each with this exit code at the most; what they print."""
        where = name.rsplit(", ", 1)[1]
        config = config or {"on the host": self.lab.host_config_file, "in the guest": self.lab.agent_config_file}[where]
        environment = {**os.environ, "PATH": f"{self.tools(config.stem, config)}:{os.environ['PATH']}", **variables}
        said = ""
        for line in commands(name):
            line = line.replace("/var/lib/azure-proxy-agent", str(self.lab.folder / "agent"))
            done = subprocess.run(["sh", "-c", line], cwd=self.lab.folder, env=environment, capture_output=True, text=True,
                                  check=False, timeout=30)
            said += done.stdout + done.stderr
            self.assertLessEqual(done.returncode, code, f"{line}: {done.stdout}{done.stderr}")
        return said

    def forget_the_host(self) -> None:
        self.lab.stop_agent()  # no service manager runs here
        self.run_page("forget the host, in the guest")
        asked = self.lab.folder / "systemctl.log"
        self.assertEqual(asked.read_text(), "stop msp-agent\nstart msp-agent\n")
        asked.unlink()
        self.lab.start_agent(wait=False)

    def put(self, name: str, document: dict) -> None:
        (self.lab.folder / name).write_text(json.dumps(document, indent=1))

    # --- what is seen --------------------------------------------------------------------------------------------

    def channel(self) -> dict:
        return self.lab.status().get("channel", {})

    def note_keys(self, *disks: Disk) -> None:
        """Before a disk goes."""
        for disk in (self.disk, *disks):
            self.seen_keys.update(disk.keys())

    def latched(self, other_than: str | None = None) -> str:
        """By itself, served with a signature, and both ends name the same key."""
        self.lab.wait_served()
        guid = poll("latched, and nothing is wrong", lambda: (s := self.lab.status()).get("protected") and s["channel"]["keyGuid"])
        self.assertNotEqual(guid, other_than)
        self.note_keys()
        return guid

    def closed(self, code: str, message: str, remedy: str) -> None:
        """Said on the guest's end; nothing is served, and nothing is adopted."""
        lab = self.lab
        channel = poll("closed", lambda: (c := self.channel()).get("hostCode") == code and c["closed"] and c)
        self.assertIn(message, channel["message"])
        self.assertIsNone(channel["keyGuid"])
        answer = lab.guest_get("/metadata/versions")
        self.assertEqual(answer.status, 410, answer)
        said = self.run_page("look, in the guest", code=1)
        self.assertIn("NOT FULLY PROTECTED", said)
        self.assertIn(message, said)
        self.assertIn(remedy, said)
        self.assertIn(message, lab.log_of("msp-agent", 400))
        # Nothing is latched by waiting.
        polls = len(self.requests("/secure-channel/status"))
        poll("more polls", lambda: len(self.requests("/secure-channel/status")) > polls + 5)
        self.assertTrue(self.channel()["closed"])

    def requests(self, path: str, status: int | None = None) -> list[dict]:
        return [record for log in self.logs_of_hosts for record in read_json_lines(log)
                if record.get("path") == path and status in (None, record["status"])]

    def watch(self, place: Place | None = None):
        """Somebody who must be served all the time, and some times more; call what is returned to hear whether he was."""
        place = place or self.lab.guest.as_user(ORDINARY_USER)
        process = place.popen([PYTHON, "-c", WATCHER], stdout=subprocess.PIPE, text=True, cwd="/")
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def heard() -> None:
            said = [process.stdout.readline() for _ in range(10)]
            process.terminate()
            answers = "".join([*said, process.stdout.read()]).split("\n")[:-1]  # what was cut is no answer
            self.assertEqual(set(answers), {"200 value"})
        return heard

    def judge(self, *disks: Disk) -> None:
        """Whatever happened: nothing unsigned was served, and each key that was handed out was a new one."""
        self.note_keys(*disks)
        served = [r for log in self.logs_of_hosts for r in read_json_lines(log) if r["outcome"] not in ("verified", "channel", "refused")]
        self.assertEqual(served, [])
        handed_out = self.requests("/secure-channel/key", 200)
        self.assertEqual(len(self.seen_keys), len(handed_out), "every key that was handed out is known, and has an id of its own")
        self.assertEqual(len(set(self.seen_keys.values())), len(self.seen_keys), "no key twice")
        print(f"{len(handed_out)} keys handed out, none twice; {len(self.requests('/metadata/versions', 200))} requests served, "
              f"all signed; {len(self.requests('/secure-channel/key', 403))} key requests refused ", end="", flush=True)
