# SPDX-License-Identifier: Apache-2.0
"""Machines by the hundred behind one host: addresses of one namespace, each with the agent's channel code (many_channels.cpp),
and a few real agents with namespaces of their own among them.
"""
import ipaddress
import json
import subprocess
from pathlib import Path

from lab.lab import VM_ID, WIRESERVER, merge, stop
from lab.world import Place, run
from modelled import SecondGuest, model, plug
from own_agent import Key, send

CABLE_GUEST, CABLE_HOST = "10.99.0.2", "10.99.0.1"
FIRST = ipaddress.IPv4Address("10.100.0.1")


def machine_model(number: int, address: str, **settings) -> dict:
    interface = {"properties": {"ipConfigurations": [{"properties": {"privateIPAddress": address}}]}}
    return merge(model(f"vm-{number}", f"{VM_ID[:-4]}{number:04x}", **settings),
                 {"properties": {"networkProfile": {"networkInterfaces": [interface]}}})


def ask(requests: list[tuple[str, str, bytes]]) -> list[tuple[int, str]]:
    """Source address, where to, bytes; each on a connection of its own."""
    answers = [send(to, data, "GET", source)[0] for source, to, data in requests]
    return [(answer.status, answer.code) for answer in answers]


class ChannelMachines:
    """`count` machines in one namespace and one process."""

    def __init__(self, lab, program: Path, count: int, interval_ms: int):
        self.addresses = [str(FIRST + i) for i in range(count)]
        self.netns = lab.world.netns("many")
        plug(lab, self.netns, "many", CABLE_GUEST, CABLE_HOST)
        # All behind one hop: the host needs no neighbour entry for each.
        run("ip", "-n", lab.host_netns, "route", "add", f"{FIRST}/16".replace(".1/", ".0/"), "via", CABLE_GUEST)
        batch = lab.folder / "addresses"
        batch.write_text("".join(f"address add {address}/32 dev lo\n" for address in self.addresses))
        run("ip", "-n", self.netns, "-batch", str(batch))
        self.place = Place(self.netns, lab.outside.cgroup)
        self.home = lab.folder / "many"
        self.home.mkdir()
        # A key is written with four syncs. That is each machine's own disk in the field, and would be one for all here.
        run("mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", str(self.home))
        lab.world.on_close(run, "umount", str(self.home))
        self.said, log = self.home / "said.jsonl", (lab.folder / "many.log").open("ab")
        with self.said.open("wb") as said, log:
            self.process = self.place.popen([program, WIRESERVER, FIRST, count, self.home, interval_ms],
                                            stdin=subprocess.DEVNULL, stdout=said, stderr=log, cwd="/")
        lab.world.on_close(stop, self.process)

    def latches(self) -> int:
        """How often one of them has taken a key into use."""
        return sum(1 for line in self.said.read_bytes().split(b"\n") if line and b'"guid":""' not in line)

    def history(self) -> list[list[Key]]:
        """Of each machine the keys that it had in use, the present one last; none in use at present: that is not here."""
        keys: list[list[Key]] = [[] for _ in self.addresses]
        for line in self.said.read_text().split("\n")[:-1]:
            told = json.loads(line)
            if told["guid"]:
                keys[told["vm"]].append(Key(told["guid"], bytes.fromhex(told["key"])))
        return keys


class Fleet:
    """Machine number i: the real agents come first."""

    def __init__(self, lab, program: Path, count: int, real: int, interval_ms: int):
        self.guests = [SecondGuest(lab, number + 2) for number in range(real)]
        self.many = ChannelMachines(lab, program, count - real, interval_ms)
        self.addresses = [guest.address for guest in self.guests] + self.many.addresses
        for guest in self.guests:
            guest.start_agent()

    def homes(self) -> list[Path]:
        """Each has a folder "keys"."""
        return [guest.home for guest in self.guests] + [self.many.home / str(i) for i in range(len(self.many.addresses))]

    def history(self) -> list[list[Key]]:
        """As above; of real agents what their key files say, the one in use last."""
        real = []
        for guest in self.guests:
            in_use = guest.status().get("channel", {}).get("keyGuid")
            keys = [Key.read(file) for file in (guest.home / "keys").glob("*.key")]
            real.append(sorted(keys, key=lambda key: key.guid == in_use))
        return real + self.many.history()

    def ask(self, requests: list[tuple[int, str, bytes]]) -> list[tuple[int, str]]:
        """Requests of machines by number, past their agents."""
        answers: dict[int, tuple[int, str]] = {}
        real = len(self.guests)
        by_place = {None: [i for i, request in enumerate(requests) if request[0] >= real]}
        for number, guest in enumerate(self.guests):
            by_place[guest] = [i for i, request in enumerate(requests) if request[0] == number]
        for guest, indexes in by_place.items():
            if indexes:
                place = guest.outside if guest else self.many.place
                asked = [(self.addresses[requests[i][0]], *requests[i][1:]) for i in indexes]
                answers.update(zip(indexes, place.call(ask, asked)))
        return [answers[i] for i in range(len(requests))]
