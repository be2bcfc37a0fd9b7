# SPDX-License-Identifier: Apache-2.0
"""Every row of negative_table.py against the real msp-host: refused with its own reason, which client and access log say
alike; and the same request with the one thing mended is served.

The test is the agent of most machines: it latches keys and signs with an implementation of its own. Machine A has a real
msp-agent, whose key the test reads from its file.
"""
import os
import secrets
import shutil
import socket
import stat
import subprocess
import uuid
from email.utils import formatdate
from time import time

from lab import http
from lab.lab import GUEST_ADDRESS, HOSTGA, IMDS, ORDINARY_USER, VM_ID, WIRESERVER, read_json_lines
from lab.world import Place, poll, run
from modelled import MARK, ModelledLab, model
from negative_table import (A, ACQUIRE, A_ID_OTHER_SECRET, ATTEST, B, BEFORE_RESET, GUEST, LATE, MADE_UP,
                            NESTED, NEW, NONE, OPEN, RESET, ROWS, STRANGER, Ask, replace)
from own_agent import AUTHORIZATION, CLAIMS, DATE, Key, send

ENDPOINTS = {"imds": IMDS, "wireserver": WIRESERVER, "hostga": HOSTGA}
ADDRESSES = {A: GUEST_ADDRESS, **{name: f"10.77.0.{n}" for n, name in enumerate((B, OPEN, NEW, LATE, RESET, STRANGER), 10)}}
NESTED_GUEST, NESTED_ADDRESS = "10.99.0.1", "10.99.0.2"
LEAST_ROWS = 60
MASQUERADE = "table ip nat { chain post { type nat hook postrouting priority 100; ip saddr 10.99.0.0/24 masquerade; }; }"


def vm_id(name: str) -> str:
    return VM_ID if name == A else str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


class NegativeTable(ModelledLab):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.keys: dict[str, Key] = {}
        lab = cls.lab
        for name, address in ADDRESSES.items():
            if name != A:
                run("ip", "-n", lab.guest_netns, "address", "add", f"{address}/24", "dev", "eth0")
        cls.nested = cls._nest(lab)

    @staticmethod
    def _nest(lab) -> Place:
        """A namespace whose packets leave by the guest's address."""
        inner = lab.world.netns("nested")
        run("ip", "-n", inner, "link", "add", "eth0", "type", "veth", "peer", "name", "inner", "netns", lab.guest_netns)
        for netns, device, address in ((lab.guest_netns, "inner", NESTED_GUEST), (inner, "eth0", NESTED_ADDRESS)):
            run("ip", "-n", netns, "address", "add", f"{address}/24", "dev", device)
            run("ip", "-n", netns, "link", "set", device, "up")
        run("ip", "-n", inner, "route", "add", "default", "via", NESTED_GUEST)
        for argv in (["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"], ["nft", MASQUERADE]):
            done = lab.outside.run(argv, text=True)
            assert done.returncode == 0, done.stderr
        return Place(inner, lab.world.cgroup("nested"))

    def machine(self, name: str, **settings) -> None:
        document = model(name, vm_id(name), **settings)
        document["identity"] = {"type": "SystemAssigned", "tenantId": vm_id("tenant")}
        self.mspctl("vm", "apply", self.file(document), "--source-address", ADDRESSES[name])

    # --- keys --------------------------------------------------------------------------------------------------------

    def prepare_machines(self) -> None:
        for name in (A, B, NEW, LATE):
            self.machine(name, enabled=True)
        self.machine(OPEN, enabled=False)
        self.machine(RESET, enabled=True, keyIncarnationId=1)
        self.lab.start_agent()
        [file] = self.lab.key_files()
        self.keys[A] = Key.read(self.lab.folder / "agent" / "keys" / file)
        self.keys[A_ID_OTHER_SECRET] = Key(self.keys[A].guid, secrets.token_bytes(32))
        self.keys[MADE_UP] = Key(str(uuid.uuid4()), secrets.token_bytes(32))
        self.latch(B)
        self.latch(RESET)
        self.keys[BEFORE_RESET] = self.keys[RESET]
        self.mspctl("key", "reset", RESET)
        self.latch(RESET)
        self.acquire(LATE)

    def acquire(self, name: str) -> None:
        answer, _ = self.send(replace(ACQUIRE, source=name))
        self.assertEqual(answer.status, 200, answer.body)
        self.keys[name] = Key(answer.json()["guid"], bytes.fromhex(answer.json()["key"]))

    def attest(self, name: str) -> None:
        target = ATTEST.target.replace("{a}", f"{{{name}}}")
        self.assertEqual(self.send(replace(ATTEST, source=name, key=name, target=target))[0].status, 200)

    def latch(self, name: str) -> None:
        self.acquire(name)
        self.attest(name)

    def attest_late(self) -> None:
        self.attest(LATE)

    # --- requests ----------------------------------------------------------------------------------------------------

    def bytes_of(self, ask: Ask) -> bytes:
        fields = [("host", value) for value in ask.host] + [("metadata", value) for value in ask.metadata] + list(ask.fields)
        fields += [(CLAIMS, text) for text in ask.claims]
        fields += [(DATE, when if isinstance(when, str) else formatdate(time() + when, usegmt=True)) for when in ask.dates]
        if ask.body is not None:
            fields.append(("content-length", str(len(ask.body))))
        target = ask.target
        for name, key in self.keys.items():
            target = target.replace(f"{{{name}}}", key.guid)

        def text(fields: list) -> bytes:
            head = f"{ask.method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields)
            return head.encode("latin-1") + b"\r\n" + (ask.body or b"")

        if ask.key == NONE:
            return text(fields)
        signs_url = target.startswith("http://")  # what a signer makes of it is the path
        unsigned = self.bytes_of(replace(ask.signed_as, key=NONE)) if ask.signed_as else text(fields)
        if signs_url:
            unsigned = unsigned.replace(b"http://169.254.169.254/", b"/", 1)
        return text(fields + [(AUTHORIZATION, value) for value in ask.authorization(self.keys[ask.key].sign(unsigned))])

    def send(self, ask: Ask) -> tuple[http.Answer, str]:
        data = self.bytes_of(ask)
        if ask.cable:
            self.assertEqual(data.count(ask.cable[0]), 1, f"{ask.cable[0]!r} in {data!r}")
            data = data.replace(*ask.cable)
        place = {NESTED: self.nested, GUEST: self.lab.guest}.get(ask.source, self.lab.outside)
        return place.call(send, ENDPOINTS[ask.to], data, ask.method, ADDRESSES.get(ask.source, ""))

    # --- what is seen ------------------------------------------------------------------------------------------------

    def record_of(self, ask: Ask, answer: http.Answer, peer: str) -> dict:
        """The host's line of the request that came from there; of one that came through NAT, by its id."""
        def good(record: dict) -> bool:
            return record["request_id"] == answer.json()["request_id"] if ask.source == NESTED else record["peer"] == peer
        records = poll(f"line of {peer} in the access log", lambda: [
            r for r in read_json_lines(self.lab.host_log)[self._seen:] if good(r)], 5)
        self._seen = len(read_json_lines(self.lab.host_log))
        self.assertEqual(len(records), 1)
        return records[0]

    def check_refused(self, row) -> None:
        ask = row.ask()
        answer, peer = self.send(ask)
        self.assertEqual(answer.status, row.status, f"{answer.status} {answer.body[:300]!r}")
        if row.says:
            self.assertIn(row.says, answer.body.decode())
        else:
            self.assertEqual(answer.code, row.reason)
            self.assertEqual(sorted(answer.json()), ["error", "error_description", "request_id"])
        self.assertNotIn(MARK, answer.headers)
        record = self.record_of(ask, answer, peer)
        self.assertEqual((record["outcome"], record["status"], record["reason"]), (row.outcome, row.status, row.reason))
        if not row.says:
            self.assertEqual(record["request_id"], answer.json()["request_id"])
        if ask.source == STRANGER:
            self.assertNotIn("vm", record)
        else:
            self.assertEqual(record["vm"], A if ask.source == NESTED else ask.source)

    def check_served(self, row) -> None:
        ask = replace(row.good, **row.mended)
        answer, peer = self.send(ask)
        self.assertIn(answer.status, (200, 202), f"mended: {answer.status} {answer.body[:300]!r}")
        if ask.source == GUEST:
            self.assertEqual(answer.headers.get(MARK), "value", "the agent has endorsed it")
            return
        record = self.record_of(ask, answer, peer)
        self.assertIn(record["outcome"], ("verified", "channel", "exempt"))
        self.assertNotIn("reason", record)

    def test_every_row_is_refused_for_its_reason_and_served_when_mended(self):
        self.prepare_machines()
        self.assertEqual(len({row.name for row in ROWS}), len(ROWS), "each row is another")
        self.assertGreaterEqual(len(ROWS), LEAST_ROWS)
        # The agent polls, too: its lines come from ports of its own.
        self._seen = len(read_json_lines(self.lab.host_log))
        lines = []
        for row in ROWS:
            with self.subTest(row.name):
                self.check_refused(row)
                if row.mend:
                    getattr(self, row.mend)()
                    self._seen = len(read_json_lines(self.lab.host_log))
                self.check_served(row)
                lines.append(f"  {row.status} {row.reason:26} {row.name}")
        print(f"{len(lines)} rows refused, each served when mended, {len({row.reason for row in ROWS})} reasons:")
        print("\n".join(lines))

    def test_admin_socket_as_another_user(self):
        """The mode of the socket keeps others out; where somebody loosens it, the host does, and says who it was."""
        path = self.lab.folder / "host" / "admin.sock"
        self.assertEqual((stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)), (0o600, 0o700))
        rows = [("GET", "/v1/virtualMachines"), ("POST", "/v1/apply"), ("POST", "/v1/virtualMachines/a/resetKey")]
        stranger = self.lab.outside.as_user(ORDINARY_USER)
        for method, target in rows:
            self.assertIn("PermissionError", stranger.call(ask_admin, str(path), method, target).error)
        for loosened, mode in ((path.parent, 0o711), (path, 0o666)):
            before = stat.S_IMODE(loosened.stat().st_mode)
            os.chmod(loosened, mode)
            self.addCleanup(os.chmod, loosened, before)
        for method, target in rows:
            answer = stranger.call(ask_admin, str(path), method, target)
            self.assertEqual((answer.status, answer.code), (403, "not_owner"))
            poll("a line in the host's log", lambda: f"not_owner, request {answer.json()['request_id']}" in self.lab.log_of("msp-host"), 3)
        self.assertEqual(self.lab.outside.call(ask_admin, str(path), *rows[0]).status, 200)
        tool = shutil.copy(self.lab.programs / "mspctl", self.lab.folder)  # the tree may lie where no stranger gets
        done = subprocess.run([tool, "vm", "list", "--socket", path], capture_output=True, text=True, check=False, preexec_fn=stranger.enter,
                              cwd="/")
        self.assertEqual(done.returncode, 2)
        self.assertIn("is for root and the user that runs msp-host", done.stderr)


def ask_admin(path: str, method: str, target: str) -> http.Answer:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(path)
        except OSError as error:
            return http.Answer(error=f"{type(error).__name__}: {error}")
        length = "content-length: 0\r\n" if method == "POST" else ""
        connection.sendall(f"{method} {target} HTTP/1.1\r\nhost: localhost\r\n{length}\r\n".encode())
        return http.Reader(connection).answer()
