# SPDX-License-Identifier: Apache-2.0
"""One host, two bridges, and at each a guest that has the same address: who asks is said by the interface that a request comes in
by. A third network (the lab's cable) ends at the same services; its machine is of no network."""
import json
import signal
import socket
import time
from pathlib import Path

from lab import http
from lab.lab import GUEST_ADDRESS, IMDS, SERVICES, VM_ID, WIRESERVER, stop
from lab.world import Place, poll, run
from modelled import ModelledLab, VM_ID_2, model
from own_agent import OwnAgent

ARM = Path(__file__).resolve().parents[1] / "support" / "arm"
ADDRESS, GATEWAY = "10.99.0.2", "10.99.0.1"  # in both networks
NAME = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"
PORT = 40_000
PATIENCE = 1.0  # seconds, for what never comes
SERVED = ("imds", "wireserver")
BRIDGES = ("br-a", "br-b")


def names_on_one_connection(port: int, times: int) -> set:
    """Whom the host takes who asks from this port for; 0: any free one."""
    with socket.create_connection(http.split_address(IMDS), 10, source_address=(ADDRESS, port)) as connection:
        reader, seen = http.Reader(connection), set()
        for _ in range(times):
            connection.sendall(http.request_bytes(IMDS, NAME))
            answer = reader.answer()
            seen.add(answer.body.decode() if answer.status == 200 else str(answer))
            time.sleep(0.01)
        return seen


class Guest:
    def __init__(self, lab, bridge: str):
        self.lab, self.bridge, self.port = lab, bridge, bridge.replace("br", "tap")
        self.netns = lab.world.netns(bridge)
        self.place = Place(self.netns, lab.world.cgroup(bridge))
        run("ip", "-n", self.netns, "link", "add", "eth0", "type", "veth", "peer", "name", self.port, "netns", lab.host_netns)
        run("ip", "-n", self.netns, "address", "add", f"{ADDRESS}/24", "dev", "eth0")
        run("ip", "-n", self.netns, "link", "set", "eth0", "up")
        for address in (IMDS, WIRESERVER):
            run("ip", "-n", self.netns, "route", "add", address.split(":")[0] + "/32", "via", GATEWAY)
        self.build()
        self.agent = OwnAgent(self.place, ADDRESS)

    def build(self) -> None:
        host, bridge = self.lab.host_netns, self.bridge
        run("ip", "-n", host, "link", "add", bridge, "type", "bridge")
        run("ip", "-n", host, "address", "add", f"{GATEWAY}/24", "dev", bridge)
        run("ip", "-n", host, "link", "set", bridge, "up")
        run("ip", "-n", host, "link", "set", self.port, "master", bridge, "up")
        # Both bridges lead to the same addresses, so that the other way back would do for the kernel as well.
        self.lab.host_place.call(self.loosen)
        run("ip", "-n", self.netns, "neighbour", "flush", "all")

    def loosen(self) -> None:
        with open(f"/proc/sys/net/ipv4/conf/{self.bridge}/rp_filter", "w", encoding="ascii") as file:
            file.write("2")

    def build_anew(self) -> None:
        run("ip", "-n", self.lab.host_netns, "link", "del", self.bridge)
        self.build()

    def status(self) -> http.Answer:
        return self.place.call(http.exchange, WIRESERVER, http.request_bytes(WIRESERVER, "/secure-channel/status"), "GET", PATIENCE)


class Networks(ModelledLab):
    @classmethod
    def prepare(cls) -> None:
        super().prepare()
        cls.a, cls.b = (Guest(cls.lab, bridge) for bridge in BRIDGES)
        cls.configure(*BRIDGES, "vm0")

    def setUp(self) -> None:
        self.addCleanup(self.forget_all)

    def forget_all(self) -> None:
        for known in json.loads(self.mspctl("vm", "list", "--json"))["value"]:
            self.mspctl("vm", "delete", known["vmId"])

    @classmethod
    def configure(cls, *interfaces: str) -> None:
        file = cls.lab.host_config_file
        config = json.loads(file.read_text())
        config["listeners"] = [
            {**dict(zip(("address", "port"), http.split_address(SERVICES[service]))), "service": service, "interface": interface}
            for interface in interfaces for service in SERVED]
        file.write_text(json.dumps(config))

    def machine(self, name: str, vm_id: str, *more: str, code: int = 0, **settings) -> str:
        document = model(name, vm_id, **{"enabled": True, "keyIncarnationId": 1, **settings})
        return self.mspctl("vm", "apply", self.file(document), "--source-address", ADDRESS, *more, code=code)

    def log(self) -> str:
        return self.lab.log_of("msp-host", 10_000)

    def begin_anew(self) -> str:
        """What the log says of it."""
        before = self.log()
        self.lab.host.send_signal(signal.SIGHUP)
        poll("it serves again", lambda: self.log()[len(before):].count(" virtual machines"))
        return self.log()[len(before):]

    def test_machines_with_one_address_in_two_networks(self):
        a, b = self.a, self.b
        with self.subTest("a machine of one network is not heard in the other, and the log says what to do"):
            self.machine("vm-a", VM_ID, "--network", "br-a")
            self.assertEqual((a.status().status, str(b.status())), (200, "403 unknown_caller"))
            listed = self.mspctl("vm", "list")
            self.assertRegex(listed, r"vm-a .* 10\.99\.0\.2 +br-a +applied")
            self.assertIn("10.99.0.2 at br-b: 1 request,", listed)
            self.assertIn("--network NAME", listed)
            self.assertIn("10.99.0.2 at br-b belongs to no virtual machine", self.log())
            self.assertIn(f"--source-address {ADDRESS} --network br-b", self.log())
            self.assertIn(("br-b", "unknown_caller"), {(r.get("network"), r.get("reason")) for r in self.lab.host_records()})
        with self.subTest("a place is one machine's, and a network is one that is listened in"):
            self.assertIn("10.99.0.2 at br-a is a source address of vm-a", self.machine("vm-b", VM_ID_2, "--network", "br-a", code=1))
            self.assertIn("no listener has the interface br-x", self.machine("vm-b", VM_ID_2, "--network", "br-x", code=1))
        with self.subTest("each latches a key of its own, is answered with its own metadata, and is not believed with the other's key"):
            told = self.machine("vm-b", VM_ID_2, "--network", "br-b", "--interface", b.port)
            self.assertIn("+ network: br-b", told)
            self.machine("vm-a", VM_ID, "--interface", a.port)
            self.assertNotIn("10.99.0.2 at", self.mspctl("vm", "list"), "it is known now")
            for guest, other in ((a, b), (b, a)):
                self.assertEqual([guest.agent.acquire().status, guest.agent.attest().status], [200, 200])
                if other.agent.key:
                    self.assertNotEqual(guest.agent.key.guid, other.agent.key.guid)
            self.own_metadata()
            self.assertEqual(a.agent.get(key=b.agent.key).code, "foreign_key")
            self.assertEqual(b.agent.get(key=a.agent.key).code, "foreign_key")
        with self.subTest("rules against spoofing let both have their address"):
            done = self.lab.host_place.run(["nft", "-f", "-"], input=self.mspctl("host", "guard", "--nftables"), text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.own_metadata()
        with self.subTest("beginning anew keeps each listener, and who is who"):
            said = self.begin_anew()
            for interface in (*BRIDGES, "vm0"):
                for address in (IMDS, WIRESERVER):
                    self.assertIn(f"the listener on {address} at {interface} is taken over", said)
            self.own_metadata()
        with self.subTest("a machine of no network is heard where nobody else has its address"):
            self.assertIn("10.77.0.2 at vm0", self.unknown_at_the_cable())
            document = model("vm-c", VM_ID[:-2] + "03", enabled=False)
            self.mspctl("vm", "apply", self.file(document), "--source-address", GUEST_ADDRESS, "--source-address", ADDRESS)
            self.assertEqual(self.lab.outside.call(http.get, IMDS, NAME).body, b"vm-c")
            self.own_metadata()
            self.mspctl("vm", "delete", "vm-b")
            self.assertEqual(b.place.call(names_on_one_connection, 0, 1), {"vm-c"})
            self.assertIn("10.99.0.2 is a source address of vm-c", self.machine("vm-a", VM_ID, "--any-network", code=1))
            self.mspctl("vm", "delete", "vm-c")
            self.assertEqual(b.agent.get(key=a.agent.key).code, "unknown_caller")

    def unknown_at_the_cable(self) -> str:
        self.assertEqual(self.lab.outside.call(http.get, WIRESERVER, "/secure-channel/status").code, "unknown_caller")
        return self.mspctl("vm", "list")

    def own_metadata(self) -> None:
        for guest, name in ((self.a, "vm-a"), (self.b, "vm-b")):
            answer = guest.agent.get(NAME)
            self.assertEqual((answer.status, answer.body.decode()), (200, name))

    def test_instances_of_a_scale_set(self):
        files = [ARM / "scale_set.json", ARM / "scale_set_instances.json"]
        addresses = ["--source-address", f"0={ADDRESS}", "--source-address", f"web_1={ADDRESS}", "--network", "0=br-a"]
        self.mspctl("vmss", "apply", *files, *addresses, "--network", "web_1=br-b", "--network", "1=br-a", code=2)
        self.assertIn("is a source address of", self.mspctl("vmss", "apply", *files, *addresses, "--network", "web_1=br-a", code=1))
        self.mspctl("vmss", "apply", *files, *addresses, "--network", "web_1=br-b")
        self.assertEqual([self.known(name)["network"] for name in ("web_0", "web_1")], ["br-a", "br-b"])
        self.assertEqual([self.a.status().status, self.b.status().status], [200, 200])

    def test_one_port_at_the_same_time(self):
        """Connections that differ in the interface alone."""
        for guest, name, vm_id in ((self.a, "open-a", VM_ID[:-2] + "11"), (self.b, "open-b", VM_ID[:-2] + "12")):
            self.machine(name, vm_id, "--network", guest.bridge, enabled=False)
        both = [guest.place.start(names_on_one_connection, PORT, 50) for guest in (self.a, self.b)]
        self.assertEqual([one.result() for one in both], [{"open-a"}, {"open-b"}])

    def test_an_interface_that_goes(self):
        guest = self.b
        self.assertEqual(guest.status().code, "unknown_caller")
        with self.subTest("made anew it is another one, until the host begins anew"):
            guest.build_anew()
            self.assertEqual(guest.status().status, 0)
            self.assertIn("is not taken over: cannot ask for the interface of a socket", self.begin_anew())
            self.assertEqual(guest.status().code, "unknown_caller")
        self.addCleanup(self.configure, *BRIDGES, "vm0")
        self.configure(*BRIDGES, "vm0", "br-x")
        with self.subTest("one that is not there changes nothing, and refuses the start"):
            self.lab.host.send_signal(signal.SIGHUP)
            poll("the log says so", lambda: "nothing has changed: cannot listen at the interface br-x" in self.log())
            self.assertEqual(guest.status().code, "unknown_caller")
            stop(self.lab.host)
            done = self.lab.host_place.run([self.lab.programs / "msp-host", "--config", self.lab.host_config_file], text=True)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("cannot listen at the interface br-x", done.stderr)
            self.assertIn("`ip link`", done.stderr)
        self.configure(*BRIDGES, "vm0")
        self.lab.start_host()
