# SPDX-License-Identifier: Apache-2.0
"""A scale set with two instances, from its export: instances are told apart by address, each latches a key of its own; a change of
the set reaches each of them; a key is reset in one or in all; what the host does not know is kept and shown."""
import json
import subprocess
from pathlib import Path

from lab.lab import GUEST_ADDRESS
from lab.world import poll
from modelled import GUEST_2, ModelledLab, SecondGuest, profile, version_id

ARM = Path(__file__).resolve().parents[1] / "support" / "arm"
ADDRESSES = ("--source-address", f"0={GUEST_ADDRESS}", "--source-address", f"web_1={GUEST_2}")
INSTANCE = "/metadata/instance/compute?api-version=2021-02-01"


def strange(value, depth: int = 0):
    """The same with a member more in every object, which nobody knows."""
    if isinstance(value, list):
        return [strange(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    return {f"x-{depth}": [1.50, None, {"deep": "\u00e9\U0001f600"}], **{name: strange(item, depth + 1) for name, item in value.items()}}


class ScaleSets(ModelledLab):
    # Only the long poll can bring a change then.
    agent_config = {"openmsp": {"pollIntervalMilliseconds": 3_600_000}}

    def write(self, name: str, document) -> Path:
        """Odd, but JSON: nothing of its form may be lost."""
        path = self.lab.folder / name
        path.write_text(json.dumps(strange(document), indent=3, separators=(" ,", " : ")).replace("1.5,", "1.50e0,"))
        return path

    def shown(self, *words) -> str:
        done = subprocess.run([self.lab.programs / "mspctl", *words, "--config", self.lab.host_config_file], capture_output=True,
                              text=True, check=True, timeout=30)
        return done.stdout

    def keys(self) -> list:
        return [self.known(name)["keyGuid"] for name in ("web_0", "web_1")]

    def set_with(self, **settings) -> Path:
        document = json.loads((ARM / "scale_set.json").read_text())
        document["properties"]["virtualMachineProfile"]["securityProfile"]["proxyAgentSettings"].update(settings)
        return self.write("set.json", document)

    def test_a_scale_set_from_its_export_to_its_end(self):
        lab = self.lab
        second = SecondGuest(lab)
        instances = json.loads((ARM / "scale_set_instances.json").read_text())
        files = [self.set_with(), self.write("instances.json", instances)]

        with self.subTest("an address that no instance has, and one for two, are refused before anybody is asked"):
            self.mspctl("vmss", "apply", *files, "--source-address", f"7={GUEST_ADDRESS}", code=2)
            self.mspctl("vmss", "apply", *files, "--source-address", GUEST_ADDRESS, code=2)
        with self.subTest("what it would change is said, and nothing changes"):
            self.assertIn("web_1", self.mspctl("vmss", "diff", *files, *ADDRESSES, code=1))
            self.assertIn("no scale set", self.mspctl("vmss", "list"))
        with self.subTest("applied whole; instances are closed as the set says, whatever they say themselves"):
            self.mspctl("vmss", "apply", *files, *ADDRESSES)
            self.assertEqual(second.get().code, "unsigned")
            self.assertEqual(self.shown("vmss", "get", "web").rstrip("\n"), files[0].read_text())
            whole = files[1].read_text()
            for name in ("web_0", "web_1"):
                text = self.shown("vm", "get", name).rstrip("\n")
                self.assertIn(text, whole, "byte for byte")
                self.assertEqual(json.loads(text)["name"], name)
        with self.subTest("each instance latches a key of its own"):
            lab.start_agent()
            second.start_agent()
            self.served(second.get)
            keys = self.keys()
            self.assertEqual(len({*keys, None}), 3, keys)
            self.assertRegex(self.mspctl("vmss", "list"), r"web +enforce +enforce +1 +2 +2 ")
        with self.subTest("an instance that leaves something out has it from its set"):
            first, other = (json.loads(ask(INSTANCE).body) for ask in (self.lab.guest_get, second.get))
            self.assertEqual([d["vmScaleSetName"] for d in (first, other)], ["web", "web"])
            self.assertEqual([d["vmSize"] for d in (first, other)], ["Standard_D2s_v5", "Standard_D4s_v5"])
            self.assertEqual([d["offer"] for d in (first, other)], ["debian-12", "debian-12"])
            self.assertEqual([d["storageProfile"]["osDisk"]["name"] for d in (first, other)], ["web_0_OsDisk_1", ""])
            self.assertEqual([d["osProfile"]["computerName"] for d in (first, other)], ["web000000", "web000001"])
        with self.subTest("a change of the set reaches each instance"):
            self.mspctl("profile", "apply", self.file(profile("P", "root")))
            changed = self.set_with(imds={"inVMAccessControlProfileReferenceId": version_id("P")})
            told = self.mspctl("vmss", "diff", changed, code=1)
            self.assertIn("guest web_0", told)
            self.assertIn("guest web_1", told)
            self.mspctl("vmss", "apply", changed)
            for ask in (self.get, second.get):
                poll("the other allowlist", lambda: ask().code == "identity_mismatch")
            self.assertIn("scale set web refers", self.mspctl("profile", "delete", "P/1.0.0", code=1))
            self.assertEqual(self.keys(), keys)
            self.mspctl("vmss", "apply", self.set_with())
            self.served(self.get)
            self.served(second.get)
        with self.subTest("the key of one instance is reset, and the other notices nothing"):
            self.assertIn("keyIncarnationId: 1 -> 2", self.mspctl("key", "reset", "web_1"))
            poll("another key", lambda: self.keys()[1] not in (None, keys[1]))
            self.served(second.get)
            self.assertEqual(self.keys()[0], keys[0])
            self.assertIn("has 2 already", self.mspctl("vmss", "apply", self.set_with(keyIncarnationId=2), code=1))
        with self.subTest("the keys of all instances are reset"):
            keys = self.keys()
            told = self.mspctl("key", "reset", "web", "--scale-set")
            self.assertIn("keyIncarnationId: 1 -> 3", told)
            self.assertIn("keyIncarnationId: 2 -> 3", told)
            poll("other keys", lambda: not {*self.keys()} & {None, *keys})
            self.served(self.get)
            self.served(second.get)
        with self.subTest("all of it is there after a restart"):
            keys = self.keys()
            lab.host.terminate()
            lab.host.wait(10)
            lab.start_host()
            self.assertEqual(self.keys(), keys)
            self.served(second.get)
            self.assertRegex(self.mspctl("vmss", "list"), r"web +enforce +enforce +3 +2 +2 ")
        with self.subTest("deleted with its instances"):
            self.mspctl("vmss", "delete", "web")
            self.assertEqual([self.get().code, second.get().code], ["unknown_caller"] * 2)
            self.assertIn("no virtual machine", self.mspctl("vm", "list"))

