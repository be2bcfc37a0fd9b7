# SPDX-License-Identifier: Apache-2.0
"""No key of agent or host is in anything that they write, say, or leave behind: logs at the most talkative level, audit, access
log, status in every form, database with its log and backups, environment, arguments, cores.

The real programs go through provisioning, refusals, broken files, silence, resets; then everything in the lab's folder is
searched for every key that there was, in every encoding (lab/key_search.py), and for the host's master key.
"""
import contextlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from base import LabCase
from lab import http
from lab.key_search import forms, search, search_files
from lab.lab import IMDS, ORDINARY_USER, WIRESERVER, stop
from lab.world import poll
from test_disk import raise_incarnation

LISTENER = "127.0.0.1:3080"

# Root with all other capabilities; one that has more than the looker could not be looked at anyway.
WITHOUT_PTRACE = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"]
DUMPER = Path(__file__).parent.parent / "support" / "lab" / "memory_dump.py"
VERSIONS = "/metadata/versions"


def dump(pid: int) -> str:
    """As the same user, without the right to look into everybody's memory: "read", or why not."""
    return subprocess.run([*WITHOUT_PTRACE, sys.executable, DUMPER, str(pid)], capture_output=True, text=True,
                          check=True).stdout.strip()


def memory(pid: int) -> bytes:
    """All that a process has in its writable memory, as root with every right sees it."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as source:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            area, rights, *_ = line.split()
            start, end = (int(at, 16) for at in area.split("-"))
            if "w" in rights:
                source.seek(start)
                # It lives: what it gives back meanwhile, or maps beyond the end of a file, cannot be read.
                with contextlib.suppress(OSError):
                    while start < end and (part := source.read(end - start)):
                        found.append(part)
                        start += len(part)
    return b"".join(found)


def end_by(process: subprocess.Popen, number: int) -> bool:
    """Whether the kernel has written a core."""
    os.kill(process.pid, number)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -os.WTERMSIG(status)
    return os.WCOREDUMP(status)


class Control(LabCase):
    """The search finds what it looks for; without this, finding nothing would say nothing."""

    @classmethod
    def setUpClass(cls) -> None:
        pass  # no lab

    def test_every_form_is_found_wherever_it_stands(self):
        key = bytes((i * 37 + 251) & 255 for i in range(32))
        self.assertEqual(search(os.urandom(1 << 16), key), [])
        count = 0
        for form in forms(key):
            for before in (b"", b"a", b'{"key":"', os.urandom(1000)):
                self.assertTrue(search(before + form + b'"}\n', key), form)
                count += 1
        print(f"{count} planted forms found", flush=True)

    def test_a_core_is_written_and_searched_where_nobody_forbids_it(self):
        key = bytes(range(100, 132))
        with tempfile.TemporaryDirectory() as folder:
            code = "import os, sys; key = bytes(range(100, 132)); print(1, flush=True); os.read(0, 1)"
            process = subprocess.Popen([*WITHOUT_PTRACE, sys.executable, "-c", code], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30)))
            process.stdout.read(1)
            self.assertEqual(dump(process.pid), "read", "an ordinary process of this user can be dumped")
            cored = end_by(process, signal.SIGABRT)
            process.stdin.close()
            process.stdout.close()
            if not Path("/proc/sys/kernel/core_pattern").read_text().startswith(("|", "/")):
                self.assertTrue(cored)
                self.assertTrue(search_files(Path(folder), {"key": key})[2], "the planted key is in the core")


class KeySearch(LabCase):
    agent_config = {"openmsp": {"logLevel": "debug"}}

    @classmethod
    def prepare(cls) -> None:
        lab = cls.lab
        config = json.loads(lab.host_config_file.read_text())
        cls.admin_socket = lab.folder / "host" / "admin.sock"
        lab.host_config_file.write_text(json.dumps({**config, "logLevel": "debug", "adminSocket": str(cls.admin_socket)}))
        lab.prefix = {"msp-agent": WITHOUT_PTRACE, "msp-host": WITHOUT_PTRACE}
        cls.outputs = lab.folder / "outputs"
        cls.outputs.mkdir()
        cls.keys: dict[str, bytes] = {}
        # As a machine that wants cores: it is the programs that must refuse.
        cls.addClassCleanup(resource.setrlimit, resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE))
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def collect(self, stage: str) -> None:
        """The keys that there are now, and what the programs say and show."""
        lab = self.lab
        for name in lab.key_files():
            text = (lab.folder / "agent" / "keys" / name).read_text()
            try:
                self.keys.setdefault(name, bytes.fromhex(json.loads(text)["key"]))
            except (ValueError, KeyError):
                pass  # broken by this test; known from before
        signer = (lab.folder / "agent" / "status-signed")
        if signer.exists():  # what status answers are checked with: secret as well
            guid, _, digits, *later = signer.read_text().split()
            self.keys[f"status-signed#{guid}"] = bytes.fromhex(digits)
            if later:
                self.keys[f"status-signed#{later[0]}"] = bytes.fromhex(later[1])
        self.keys["master.key"] = bytes.fromhex((lab.folder / "host" / "master.key").read_text().strip())
        agent, host = ["--config", lab.agent_config_file], ["--config", lab.host_config_file]
        for name, command in {
            "status": ["mspctl", "status", *agent], "status-json": ["mspctl", "status", "--json", *agent],
            "vm-list": ["mspctl", "vm", "list", *host], "vm-list-json": ["mspctl", "vm", "list", "--json", *host],
            "vm-get": ["mspctl", "vm", "get", "vm-1", *host], "agent-status": ["msp-agent", "--status", *agent],
            "check-agent": ["msp-agent", "--check-config", *agent], "check-host": ["msp-host", "--check-config", *host],
        }.items():
            done = subprocess.run([lab.programs / command[0], *command[1:]], capture_output=True, check=False, timeout=20)
            (self.outputs / f"{stage}-{name}").write_bytes(done.stdout + done.stderr)
        for target in ("/provision", "/gpa-aggregated-status", VERSIONS, "/secure-channel/key"):
            answer = lab.guest.as_user("root").call(http.get, IMDS, target)
            (self.outputs / f"{stage}{target.replace('/', '-')}").write_bytes(str(answer.headers).encode() + answer.body)
            at_agent = lab.guest.as_user("root").call(http.get, LISTENER, target)
            (self.outputs / f"{stage}-listener{target.replace('/', '-')}").write_bytes(str(at_agent.headers).encode() + at_agent.body)
        for program, pid in (("agent", lab.agent.pid), ("worker", lab.worker_pid()), ("host", lab.host.pid)):
            if Path(f"/proc/{pid}").exists():
                for name in ("environ", "cmdline", "comm", "status", "maps", "limits"):
                    (self.outputs / f"{stage}-{program}-{name}").write_bytes(Path(f"/proc/{pid}/{name}").read_bytes())
        self.what_both_processes_see(stage)
        for file in (lab.folder / "host").glob("host.db*"):
            shutil.copy(file, self.outputs / f"{stage}-{file.name}")

    def what_both_processes_see(self, stage: str) -> None:
        """Counters and the audit queue: memory that has no other file."""
        for fd in Path(f"/proc/{self.lab.agent.pid}/fd").iterdir():
            try:
                name = os.readlink(fd)
            except FileNotFoundError:
                continue  # closed since the folder was read; what is looked for lives as long as the agent
            if name.startswith("/memfd:"):
                (self.outputs / f"{stage}-{fd.name}-{name[7:].split()[0]}").write_bytes(fd.read_bytes())

    def live(self) -> None:
        lab = self.lab
        keys = lab.folder / "agent" / "keys"
        lab.wait_served()
        self.collect("latched")
        for user, to, target in ((ORDINARY_USER, WIRESERVER, "/?comp=versions"), (ORDINARY_USER, IMDS, "/secure-channel/key"),
                                 ("root", IMDS, "/a/../b"), (ORDINARY_USER, IMDS, "/metadata/nowhere")):
            lab.guest.as_user(user).call(http.get, to, target)
        for target in (VERSIONS, "/secure-channel/status"):  # around the agent: refused by the host
            lab.outside.as_user("root").call(http.get, IMDS if target == VERSIONS else WIRESERVER, target)
        self.collect("refused")
        stop(lab.host)
        poll("the host's silence is told", lambda: not lab.status()["channel"]["hostAnswers"])
        lab.guest_get(VERSIONS)
        lab.start_host()
        raise_incarnation(lab)
        lab.wait_served()
        self.collect("reset")
        self.break_key_files(keys)
        self.break_master_key()
        raise_incarnation(lab)
        lab.wait_served()
        self.collect("reset again")

    def break_key_files(self, keys: Path) -> None:
        """Each is read with the key in it, and refused with a message."""
        lab = self.lab
        name = next(n for n in lab.key_files() if n.startswith(lab.status()["channel"]["keyGuid"]))
        good = (keys / name).read_text()
        for number, bad in enumerate((good[:-10], good.replace('"key"', '"Key"'), good.replace('"key":', '"key"'), good + good,
                                      good.replace(": \"", ": [\"", 4), good.upper(), json.loads(good)["key"])):
            lab.stop_agent()
            (keys / name).write_text(bad)
            lab.start_agent(wait=False)
            poll(f"refused: {bad[:20]}…", lambda: lab.status().get("channel", {}).get("phase") == "refused")
            self.assertIn(name, lab.status()["channel"]["message"])
            self.collect(f"broken-{number}")
        lab.stop_agent()
        (keys / name).write_text(good)
        lab.start_agent()

    def break_master_key(self) -> None:
        """The host does not start with any of these."""
        lab = self.lab
        master = lab.folder / "host" / "master.key"
        good = master.read_text()
        stop(lab.host)
        for bad in (good[:-2], good + "x", "0x" + good, good.strip()[::-1]):
            master.write_text(bad)
            lab.start_host(wait=False)
            self.assertNotEqual(lab.host.wait(10), 0)
            self.assertIn("master key", lab.log_of("msp-host", 3))
        master.write_text(good)
        lab.start_host()

    def back_up(self) -> None:
        """As an operator does it: through SQLite, as text, and the file with what its log still has."""
        database = self.lab.folder / "host" / "host.db"
        shutil.copytree(database.parent, self.outputs / "stopped", ignore=lambda _, names: [n for n in names if "host.db" not in n])
        with (closing(sqlite3.connect(self.outputs / "stopped" / "host.db")) as source,
              closing(sqlite3.connect(self.outputs / "backup.db")) as copy):
            source.backup(copy)
            (self.outputs / "backup.sql").write_text("\n".join(source.iterdump()))
            sealed = [row[0] for row in source.execute("SELECT sealed FROM vm_key WHERE state=1")]
        self.assertEqual(len(sealed), 1)
        self.assertGreater(len(sealed[0]), 32, "the latched key is there, sealed")

    def look_into_memory(self) -> None:
        """The key in use is there raw, since it signs; the text that it came as was wiped."""
        lab = self.lab
        lab.wait_served()
        name = f"{lab.status()['channel']['keyGuid']}.key"
        key = bytes.fromhex(json.loads((lab.folder / "agent" / "keys" / name).read_text())["key"])
        for program, pid in (("monitor", lab.agent.pid), ("worker", lab.worker_pid()), ("host", lab.host.pid)):
            found = {what.split(", ")[1] for what in search(memory(pid), key)}
            self.assertLessEqual(found, {"raw"}, program)
        self.assertIn("raw", {what.split(", ")[1] for what in search(memory(lab.agent.pid), key)}, "the search finds what is there")

    def end_with_cores(self) -> None:
        lab = self.lab
        for program, pid in (("msp-agent", lab.agent.pid), ("msp-worker", lab.worker_pid()), ("msp-host", lab.host.pid)):
            limits = Path(f"/proc/{pid}/limits").read_text()
            self.assertRegex(limits, r"Max core file size +0 +0 ")
            self.assertEqual(dump(pid), "PermissionError", f"{program}: root without CAP_SYS_PTRACE cannot look")
        before = set(Path("/").glob("core*"))
        worker = lab.worker_pid()
        os.kill(worker, signal.SIGSEGV)
        poll("another worker", lambda: lab.worker_pid() != worker)
        self.assertEqual(set(Path("/").glob("core*")), before, "the worker leaves a core")
        self.assertFalse(end_by(lab.agent, signal.SIGSEGV), "the agent leaves a core")
        self.assertFalse(end_by(lab.host, signal.SIGABRT), "the host leaves a core")
        self.assertEqual(set(Path("/").glob("core*")), before)

    def test_no_key_anywhere(self):
        lab = self.lab
        self.live()
        self.look_into_memory()
        self.end_with_cores()
        self.back_up()
        self.assertGreaterEqual(len(self.keys), 4, "three keys and the master key")
        # Where a key is meant to be: its own file.
        files, size, found = search_files(lab.folder, self.keys, lambda path, name: path.name == name.split("#")[0])
        self.assertEqual(found, [])
        everywhere = search_files(lab.folder, self.keys)[2]
        for name in self.keys:
            if (lab.folder / "agent" / "keys" / name).exists() or name == "master.key":
                self.assertTrue([line for line in everywhere if line.startswith(f"{name} in ")], "the files are searched")
        for expected in ("msp-agent.log", "msp-host.log", "agent/log/audit.jsonl", "agent/log/status.json", "host/access.jsonl",
                         "outputs/backup.db", "outputs/latched-host.db-wal", "outputs/latched-agent-environ",
                         "outputs/latched-worker-maps"):
            self.assertGreater((lab.folder / expected).stat().st_size, 0, expected)
        self.assertGreaterEqual(sum(name.startswith("status-signed#") for name in self.keys), 2)
        guids = [name.removesuffix(".key") for name in self.keys if name.endswith(".key") and name != "master.key"]
        log = (lab.folder / "msp-agent.log").read_text() + (lab.folder / "msp-host.log").read_text()
        self.assertTrue(all(guid in log for guid in guids), "ids are told, keys are not")
        print(f"{len(self.keys)} keys, {files} files, {size >> 10} KiB: none found outside its own file; control: "
              f"{len(everywhere)} hits in the files of the keys", flush=True)
