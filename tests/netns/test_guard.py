# SPDX-License-Identifier: Apache-2.0
"""Rules of `mspctl host guard`: two guests at a bridge, of which one wants to be the other, or a metadata service. Every attack is
seen to work first, then the rules are loaded with nft, then it is seen to fail and the guests to be served as before.

Machines are not enabled here: /metadata/instance says whom the host takes the caller for.
"""
import fcntl
import os
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from lab import http
from lab.lab import GUEST_ADDRESS, HOST_ADDRESS, IMDS, VM_ID, WIRESERVER
from lab.world import Place, poll, run
from modelled import ModelledLab, VM_ID_2, model

OTHER_ADDRESS, STRANGE_ADDRESS = "10.77.0.3", "10.77.0.4"
SERVICE = IMDS.split(":")[0]
NAME = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"
PATIENCE = 1.0  # seconds, for what never comes


def ask(source: str, timeout: float = PATIENCE) -> str:
    """Whom the host takes this address for; empty: nobody answers."""
    data = http.request_bytes(IMDS, NAME)
    try:
        with socket.create_connection(http.split_address(IMDS), timeout, source_address=(source, 0)) as connection:
            connection.sendall(data)
            answer = http.Reader(connection).answer()
    except OSError:
        return ""
    return answer.body.decode() if answer.status == 200 else str(answer)


def announce(address: str) -> None:
    """An ARP request that says that the address is here."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("eth0", 0x0806))
        mac, ip = raw.getsockname()[4], socket.inet_aton(address)
        raw.send(b"\xff" * 6 + mac + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1) + mac + ip + bytes(6) + ip)


def lie(netns_ready) -> None:
    class Liar(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"liar")

        def log_message(self, *_) -> None:
            """Nobody reads it."""
    HTTPServer((SERVICE, 80), Liar).serve_forever()


class Guest:
    def __init__(self, lab, name: str, port: str, address: str):
        self.netns, self.port, self.address = lab.world.netns(name), port, address
        run("ip", "-n", self.netns, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", lab.host_netns)
        run("ip", "-n", lab.host_netns, "link", "set", port, "master", "br0", "up")
        run("ip", "-n", self.netns, "address", "add", f"{address}/24", "dev", "eth0")
        run("ip", "-n", self.netns, "link", "set", "eth0", "up")
        self.route()
        self.place = Place(self.netns, lab.world.cgroup(name))

    def ip(self, *words: str) -> None:
        run("ip", "-n", self.netns, *words)

    def route(self) -> None:
        for address in (SERVICE, WIRESERVER.split(":")[0]):
            self.ip("route", "replace", f"{address}/32", "via", HOST_ADDRESS)

    def mac(self) -> str:
        return self.place.call(mac_of_eth0)


def mac_of_eth0() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return fcntl.ioctl(any_socket, 0x8927, struct.pack("256s", b"eth0"))[18:24].hex(":")


class Guard(ModelledLab):
    @classmethod
    def prepare(cls) -> None:
        super().prepare()
        lab, host = cls.lab, cls.lab.host_netns
        run("ip", "-n", host, "address", "del", f"{HOST_ADDRESS}/24", "dev", "vm0")
        run("ip", "-n", host, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", host, "address", "add", f"{HOST_ADDRESS}/24", "dev", "br0")
        run("ip", "-n", host, "link", "set", "br0", "up")
        cls.first = Guest(lab, "first", "tap1", GUEST_ADDRESS)
        cls.other = Guest(lab, "other", "tap2", OTHER_ADDRESS)
        cls.strange = Guest(lab, "strange", "tap3", STRANGE_ADDRESS)
        # What starts the host looks from here whether it answers.
        lab.outside = cls.first.place

    def machine(self, name: str, vm_id: str, guest: Guest, *more: str) -> None:
        document = model(name, vm_id, enabled=False)
        document["properties"]["networkProfile"] = {"networkInterfaces": [{"properties": {
            "macAddress": guest.mac().replace(":", "-").upper(), "ipConfigurations": []}}]}
        self.mspctl("vm", "apply", self.file(document), "--source-address", guest.address, *more)

    def load(self) -> str:
        rules = self.mspctl("host", "guard", "--nftables")
        file = self.lab.folder / "guard.nft"
        file.write_text(rules)
        done = self.lab.host_place.run(["nft", "-f", file], text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return rules

    def unload(self) -> None:
        self.lab.host_place.run(["nft", "flush", "ruleset"])

    def neighbour(self, address: str) -> str:
        return run("ip", "-n", self.lab.host_netns, "neighbour", "show", address)

    def honest(self) -> None:
        self.assertEqual(self.first.place.call(ask, self.first.address, 5.0), "vm-1")
        self.assertEqual(self.other.place.call(ask, self.other.address, 5.0), "vm-2")

    def takes_the_address(self, thief: Guest) -> str:
        """While the owner is away; what the host makes of it."""
        self.first.ip("link", "set", "eth0", "down")
        thief.ip("address", "add", f"{self.first.address}/32", "dev", "eth0")
        run("ip", "-n", self.lab.host_netns, "neighbour", "flush", "all")
        try:
            return thief.place.call(ask, self.first.address)
        finally:
            thief.ip("address", "del", f"{self.first.address}/32", "dev", "eth0")
            self.first.ip("link", "set", "eth0", "up")
            self.first.route()
            run("ip", "-n", self.lab.host_netns, "neighbour", "flush", "all")

    def is_the_service(self) -> str:
        """The other guest has the service's address, and the first asks on the cable who has it."""
        run("ip", "-n", self.lab.host_netns, "address", "del", f"{SERVICE}/32", "dev", "lo")
        self.other.ip("address", "add", f"{SERVICE}/32", "dev", "eth0")
        self.first.ip("route", "replace", f"{SERVICE}/32", "dev", "eth0")
        liar = self.other.place.start(lie, None)
        try:
            poll("the liar listens", lambda: self.other.place.call(ask, SERVICE) == "liar", 5)
            return self.first.place.call(ask, self.first.address)
        finally:
            liar.kill()
            self.first.route()
            self.first.ip("neighbour", "flush", "all")
            self.other.ip("address", "del", f"{SERVICE}/32", "dev", "eth0")
            run("ip", "-n", self.lab.host_netns, "address", "add", f"{SERVICE}/32", "dev", "lo")

    def announces(self) -> bool:
        """Whether the host believes the other guest that the first one's address is with it."""
        self.honest()
        self.other.place.call(announce, self.first.address)
        try:
            return bool(poll("another owner", lambda: self.other.mac() in self.neighbour(self.first.address), PATIENCE))
        except TimeoutError:
            return False
        finally:
            run("ip", "-n", self.lab.host_netns, "neighbour", "flush", "all")

    def takes_the_hardware_address(self) -> str:
        """The other guest under its own address, but the first one's hardware address: answers for that one would reach it."""
        own, stolen = self.other.mac(), self.first.mac()
        self.first.ip("link", "set", "eth0", "down")
        self.other.ip("link", "set", "eth0", "address", stolen)
        run("ip", "-n", self.lab.host_netns, "neighbour", "flush", "all")
        try:
            return self.other.place.call(ask, self.other.address)
        finally:
            self.other.ip("link", "set", "eth0", "address", own)
            self.first.ip("link", "set", "eth0", "up")
            self.first.route()
            run("ip", "-n", self.lab.host_netns, "neighbour", "flush", "all")

    def test_nobody_is_another(self):
        self.machine("vm-1", VM_ID, self.first)
        self.machine("vm-2", VM_ID_2, self.other)
        self.honest()
        with self.subTest("without rules each attack works"):
            self.assertEqual(self.takes_the_address(self.other), "vm-1")
            self.assertEqual(self.takes_the_address(self.strange), "vm-1")
            self.assertEqual(self.is_the_service(), "liar")
            self.assertTrue(self.announces())
            self.assertEqual(self.takes_the_hardware_address(), "vm-2")
            self.honest()
        with self.subTest("a machine whose interface nobody said is named, and left as it is"):
            self.assertIn("vm-1 is not guarded", self.mspctl("host", "guard", "--nftables"))
            self.assertIn("/interfaces", self.mspctl("vm", "apply", self.file(model("vm-1", VM_ID)), "--interface", "tap 1", code=2))
        self.machine("vm-1", VM_ID, self.first, "--interface", self.first.port)
        self.machine("vm-2", VM_ID_2, self.other, "--interface", self.other.port)
        with self.subTest("with them none does, and guests are served as before"):
            self.load()
            self.load()  # takes its own place
            self.honest()
            self.assertEqual(self.takes_the_address(self.other), "")
            self.assertEqual(self.takes_the_address(self.strange), "")
            self.assertEqual(self.is_the_service(), "")
            self.assertFalse(self.announces())
            self.assertEqual(self.takes_the_hardware_address(), "")
            self.honest()
            self.assertEqual(self.strange.place.call(ask, self.strange.address, 5.0), "403 unknown_caller", "others are not cut off")
        with self.subTest("a machine that comes later is let in by rules that are made again"):
            self.mspctl("vm", "apply", self.file(model("vm-3", VM_ID_2[:-2] + "03", enabled=False)), "--source-address",
                        self.strange.address, "--interface", self.strange.port)
            self.assertEqual(self.takes_the_address(self.strange), "")
            self.load()
            self.assertEqual(self.strange.place.call(ask, self.strange.address, 5.0), "vm-3")
            self.assertEqual(self.takes_the_address(self.strange), "")
        with self.subTest("interfaces stay known over a restart"):
            before = self.load()
            self.lab.host.terminate()
            self.lab.host.wait(10)
            self.lab.start_host()
            self.assertEqual(self.load(), before)

    def test_guests_that_are_routed(self):
        """The lab's cable ends at the host itself: there is no bridge."""
        lab = self.lab
        run("ip", "-n", lab.host_netns, "address", "add", "10.79.0.1/24", "dev", "vm0")
        run("ip", "-n", lab.guest_netns, "address", "add", "10.79.0.2/24", "dev", "eth0")
        run("ip", "-n", lab.guest_netns, "address", "add", "10.79.0.9/24", "dev", "eth0")
        run("ip", "-n", lab.guest_netns, "route", "replace", f"{SERVICE}/32", "via", "10.79.0.1")
        for last, interface in ((2, "vm0"), (9, "elsewhere")):
            self.mspctl("vm", "apply", self.file(model(f"routed-{last}", VM_ID[:-2] + f"1{last}", enabled=False)), "--source-address",
                        f"10.79.0.{last}", "--interface", interface)
        guest = lab.guest
        self.assertEqual([guest.call(ask, f"10.79.0.{last}", 5.0) for last in (2, 9)], ["routed-2", "routed-9"])
        done = lab.host_place.run(["nft", "-f", "-"], input=self.mspctl("host", "guard", "--nftables", "--routed"), text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(self.unload)
        self.assertEqual([guest.call(ask, "10.79.0.2", 5.0), guest.call(ask, "10.79.0.9")], ["routed-2", ""])
