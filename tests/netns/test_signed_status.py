# SPDX-License-Identifier: Apache-2.0
"""The signed status (docs/signed-status.md) with somebody on the cable who strips, alters, forges and replays."""
import hashlib
import hmac
import json
import re
import subprocess
import time

from disks import DisksCase
from lab import http
from lab.lab import VM_ID, WIRESERVER
from lab.relay import Relay
from lab.signing import string_to_sign
from lab.world import poll
from modelled import MARK, VERSIONS, model

SIGN, SIGNATURE = b"x-ms-openmsp-sign: ", b"x-ms-openmsp-signature: "
DISABLED = (b'{"authorizationScheme":"Azure-HMAC-SHA256","keyDeliveryMethod":"http","keyGuid":null,"requiredClaimsHeaderPairs":[],'
            b'"secureChannelEnabled":false,"authorizationRules":null,"version":"2.0"}')


def without(name: bytes):
    return lambda data: re.sub(rb"\r\n" + name + rb"[^\r]*", b"", data)


def flipped(at: re.Pattern):
    """Another hex digit in the place of the first one that the pattern's group holds."""
    def alter(data: bytes) -> bytes:
        found = at.search(data)
        if not found:
            return data
        i = found.start(1)
        return data[:i] + (b"0" if data[i:i + 1] != b"0" else b"1") + data[i + 1:]
    return alter


def body(new: bytes):
    def alter(data: bytes) -> bytes:
        if SIGNATURE not in data:
            return data
        head = re.sub(rb"content-length: \d+", b"content-length: %d" % len(new), data.split(b"\r\n\r\n", 1)[0])
        return head + b"\r\n\r\n" + new
    return alter


def only_signed(change):
    return lambda data: change(data) if SIGNATURE in data else data


def replaced(old: bytes, new: bytes):
    return only_signed(lambda data: data.replace(old, new, 1))


class Replayed:
    """An old answer, signed and all, for every later question."""

    def __init__(self, old: bytes):
        self._old = old

    def __call__(self, data: bytes) -> bytes:
        return self._old if SIGNATURE in data else data


class SignedStatus(DisksCase):
    def signed(self) -> None:
        poll("the host's status is believed", lambda: (c := self.channel()).get("hostAnswers") and c["signedStatus"])

    def test_what_is_not_signed_is_not_believed(self):
        lab = self.lab
        self.signed()
        kept = []
        self.cable = self.enterContext(Relay(lab, alter_back=lambda data: (kept.append(data) if SIGNATURE in data else None) or data))
        poll("an answer to keep", lambda: kept)
        date = re.compile(rb"x-ms-azure-host-date: [^\r]*:(\d)\d GMT")
        cases = [
            ("the signature is stripped", without(SIGNATURE), "status_unsigned"),
            ("the signature is another", only_signed(flipped(re.compile(SIGNATURE + rb"\S+ ([0-9a-f])"))), "status_wrongly_signed"),
            ("it is another key's", only_signed(flipped(re.compile(SIGNATURE + rb"([0-9a-f])"))), "status_wrongly_signed"),
            ("it is no signature", replaced(SIGNATURE, SIGNATURE + b"x"), "status_unsigned"),
            ("a mode is another", replaced(b'"mode":"enforce"', b'"mode":"Enforce"'), "status_wrongly_signed"),
            ("it says disabled", body(DISABLED), "status_wrongly_signed"),
            ("it says disabled and is not signed", lambda data: without(SIGNATURE)(body(DISABLED)(data)), "status_unsigned"),
            ("the status code is another", replaced(b"HTTP/1.1 200", b"HTTP/1.1 203"), "status_wrongly_signed"),
            ("the host's time is another", only_signed(flipped(date)), "status_wrongly_signed"),
            ("the charset is another", replaced(b"charset=utf-8", b"charset=utf-16"), "status_wrongly_signed"),
            ("a header is put before it", replaced(b"content-type: ", b"content-type: text/xml\r\ncontent-type: "), "status_wrongly_signed"),
            ("a long poll is promised", replaced(SIGNATURE, b"x-ms-openmsp-wait: t 30\r\n" + SIGNATURE), "status_wrongly_signed"),
            ("an old answer is replayed", Replayed(kept[0]), "status_wrongly_signed"),
        ]
        for name, alter, code in cases:
            with self.subTest(name):
                self.believed_nothing(alter, code)
        with self.subTest("the question is stripped: as a host that knows nothing of it"):
            self.believed_nothing(None, "status_unsigned", without(SIGN))
        with self.subTest("the question is another"):
            self.believed_nothing(None, "status_wrongly_signed", flipped(re.compile(SIGN + rb"([0-9a-f])")))
        self.after_a_restart()
        print(f"{len(cases) + 2} kinds of answers not believed, key and rules as they were ", end="", flush=True)

    def believed_nothing(self, alter, code: str, alter_question=None) -> None:
        lab = self.lab
        before = lab.status()
        self.assertTrue(before["protected"], before["problems"])
        self.cable.alter, self.cable.alter_back = alter_question, alter
        channel = poll(code, lambda: (c := self.channel())["hostCode"] == code and c)
        self.assertFalse(channel["hostAnswers"])
        for member in ("phase", "state", "keyGuid", "closed", "hostClockOffsetMilliseconds"):
            if member != "hostClockOffsetMilliseconds":
                self.assertEqual(channel[member], before["channel"][member], member)
        self.assertLess(abs(channel["hostClockOffsetMilliseconds"] - before["channel"]["hostClockOffsetMilliseconds"]), 100)
        self.assertEqual(lab.status()["services"], before["services"])
        answer = lab.guest_get(VERSIONS)
        self.assertEqual((answer.status, answer.headers.get(MARK)), (200, "value"))
        said = self.run_page("look, in the guest", code=1)
        self.assertIn("not believed", said)
        self.assertIn("docs/signed-status.md", said)
        self.assertIn("not believed", lab.log_of("msp-agent", 5))
        self.cable.alter, self.cable.alter_back = None, None
        self.signed()

    def after_a_restart(self) -> None:
        lab = self.lab
        for alter in (without(SIGNATURE), lambda data: without(SIGNATURE)(body(DISABLED)(data)), body(DISABLED)):
            self.cable.alter_back = alter
            lab.stop_agent()
            lab.start_agent(wait=False)
            poll("closed", lambda: (c := self.channel()).get("hostCode", "") and c["closed"] and c["keyGuid"] is None)
            self.assertEqual(lab.guest_get(VERSIONS).status, 410)
            self.cable.alter_back = None
            self.assertEqual(self.latched(), self.first_key)
            self.signed()


class FalseHost:
    """Answers the key request and the attestation with a key of his own, and then signs with it that the channel is disabled.

    What is asked is seen by ask(), what is answered by answer(): an agent has one request to its host at a time."""

    def __init__(self, guid: bytes | None):
        self._guid, self._path = guid, b""
        self.key, self.said_disabled = b"", 0

    def ask(self, data: bytes) -> bytes:
        if found := re.match(rb"(?:GET|POST) (/secure-channel/\S+) ", data):
            self._path, self._question = found[1], data
        return data

    def _signature(self, header: bytes, date: bytes) -> bytes:
        def value(name: bytes) -> bytes:
            found = re.search(rb"\r\n" + name + rb": ([^\r]*)", self._question)
            return found[1] if found else b""
        nonce, *ids = value(b"x-ms-openmsp-sign").split(b" ")
        as_key = ids[-1] if header == SIGNATURE else value(b"x-ms-openmsp-sign-next")
        text = b"\n".join([b"openmsp status answer 1", nonce, b"200", value(b"x-ms-azure-host-date"), date,
                           b"application/json; charset=utf-8", b"", b"", DISABLED])
        secret = hmac.new(self.key, b"openmsp signed status 1", hashlib.sha256).digest()
        return header + as_key + b" " + hmac.new(secret, text, hashlib.sha256).hexdigest().encode() + b"\r\n" if as_key else b""

    def answer(self, data: bytes) -> bytes:
        path, self._path = self._path, b""
        if path.endswith(b"/key") and b'"key":"' in data:
            self.key = hashlib.sha256(b"mine").digest()
            if self._guid:
                data = re.sub(rb'"guid":"[^"]*"', b'"guid":"' + self._guid + b'"', data)
            return re.sub(rb'"key":"[^"]*"', b'"key":"' + self.key.hex().encode() + b'"', data)
        if path.endswith(b"/key-attestation"):
            return b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
        if path.endswith(b"/status") and self.key:
            self.said_disabled += 1
            date = re.search(rb"x-ms-azure-host-date: ([^\r]*)", data)[1]
            return (b"HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\n"
                    + b"content-length: %d\r\nx-ms-azure-host-date: " % len(DISABLED) + date + b"\r\n"
                    + self._signature(SIGNATURE, date) + self._signature(b"x-ms-openmsp-signature-next: ", date)
                    + b"\r\n" + DISABLED)
        return data


class WhileAKeyIsReplaced(DisksCase):
    def marked(self) -> tuple[str, str]:
        """The first key that signed the status, and the last that it vouches for."""
        words = (self.lab.folder / "agent" / "status-signed").read_text().split()
        return words[0], words[-2] if len(words) > 3 else words[0]

    def test_who_sits_on_the_cable_opens_nothing_and_the_host_is_heard_again(self):
        lab, key = self.lab, self.first_key
        poll("signed", lambda: self.channel()["signedStatus"])
        cable = self.enterContext(Relay(lab))
        for verb, guid in (("reset", b"11111111-2222-4333-8444-555555555555"), ("rotate", None)):
            with self.subTest(verb):
                self.assertEqual(self.marked(), (self.first_key, key))
                who = FalseHost(guid)
                cable.alter, cable.alter_back = who.ask, who.answer
                self.mspctl("key", verb, "vm-1")
                poll("he has said so again and again", lambda who=who: who.said_disabled > 5)
                channel = self.channel()
                self.assertEqual(channel["hostCode"], "status_wrongly_signed")
                self.assertNotEqual(channel["phase"], "disabled")
                self.assertIsNotNone(channel["keyGuid"])
                lab.stop_agent()
                lab.start_agent(wait=False)
                poll("closed", lambda: (c := self.channel()).get("hostCode") == "status_wrongly_signed" and c["closed"])
                self.assertEqual(lab.guest_get(VERSIONS).status, 410)
                cable.alter, cable.alter_back = None, None
                key = self.latched(other_than=key)
                poll("the first key vouches for it", lambda key=key: self.marked() == (self.first_key, key))


class OnceInPassing:
    """Hands out a key of his own under the host's id, signs the attestation with the host's in its place, and is gone."""
    AUTHORIZATION = re.compile(rb"\r\nx-ms-azure-host-authorization: Azure-HMAC-SHA256 (\S+) ([0-9a-f]{64})")

    def __init__(self):
        self._key, self._guid = b"", b""

    def ask(self, data: bytes) -> bytes:
        found = self.AUTHORIZATION.search(data)
        if not found or found[1] != self._guid:
            return data
        bare = self.AUTHORIZATION.sub(b"", data)
        signature = hmac.new(self._key, string_to_sign(bare), hashlib.sha256).hexdigest().encode()
        return data[:found.start(2)] + signature + data[found.end(2):]

    def answer(self, data: bytes) -> bytes:
        if b'"key":"' not in data:
            return data
        self._key = bytes.fromhex(re.search(rb'"key":"([0-9a-fA-F]+)"', data)[1].decode())
        self._guid = re.search(rb'"guid":"([^"]+)"', data)[1]
        return re.sub(rb'"key":"[^"]*"', b'"key":"' + hashlib.sha256(b"mine").hexdigest().encode() + b'"', data)


class AForeignKeyUnderTheHostsId(DisksCase):
    def doubted(self) -> None:
        lab = self.lab
        poll("told", lambda: self.channel().get("keyDoubted"), 30)
        status = lab.status()
        self.assertFalse(status["protected"])
        self.assertEqual((status["channel"]["phase"], status["channel"]["hostCode"]), ("latched", None))
        said = self.run_page("look, in the guest", code=1)
        self.assertIn("NOT FULLY PROTECTED", said)
        self.assertIn("the host has another key than the one in use", said)
        doctor = subprocess.run([lab.programs / "mspctl", "doctor", "--config", lab.agent_config_file], capture_output=True, text=True,
                                check=False)
        self.assertEqual(doctor.returncode, 2, doctor.stdout)
        self.assertIn("the host has another key than the one in use", doctor.stdout)
        self.assertEqual(lab.guest_get(VERSIONS).status, 401)
        file = lab.folder / "agent" / "log" / "status.json"
        poll("ERROR", lambda: json.loads(file.read_text())["proxyAgentStatus"]["status"] == "ERROR", 5)

    def test_it_is_told_and_a_reset_heals(self):
        lab = self.lab
        poll("signed", lambda: self.channel()["signedStatus"])
        cable, who = self.enterContext(Relay(lab)), OnceInPassing()
        cable.alter, cable.alter_back = who.ask, who.answer
        self.mspctl("key", "rotate", "vm-1")
        key = poll("another key", lambda: (guid := self.channel()["keyGuid"]) != self.first_key and guid)
        cable.alter = cable.alter_back = None
        self.doubted()
        self.assertEqual(lab.log_of("msp-agent", 400).count("is not the one that the host has"), 1)
        lab.stop_agent()
        lab.start_agent(wait=False)
        self.doubted()
        self.mspctl("key", "reset", "vm-1")
        self.latched(other_than=key)
        self.assertFalse(self.channel()["keyDoubted"])


class SignedByTheOperatorsWord(DisksCase):
    def test_a_signed_disabled_opens_and_a_reset_is_followed(self):
        lab = self.lab
        poll("signed", lambda: self.channel()["signedStatus"])
        # Nothing is added for who does not ask.
        answer = lab.outside.as_user("root").call(http.get, WIRESERVER, "/secure-channel/status")
        self.assertEqual(sorted(answer.headers), ["cache-control", "content-length", "content-type", "date", "x-ms-azure-host-date",
                                                   "x-ms-openmsp-asks"])
        for incarnation in (2, 3):
            self.mspctl("key", "reset", "vm-1")
            poll("another key", lambda: (c := self.channel())["keyGuid"] and c["keyIncarnation"] == incarnation)
            self.latched(other_than=self.first_key)
        self.put("vm-1.json", model("vm-1", VM_ID, enabled=False, keyIncarnationId=3))
        self.mspctl("vm", "apply", lab.folder / "vm-1.json")
        poll("open", lambda: self.channel()["phase"] == "disabled")
        self.assertNotIn(MARK, lab.guest_get(VERSIONS).headers)
        lab.stop_agent()
        lab.start_agent(wait=False)
        poll("open", lambda: (c := self.channel()).get("phase") == "disabled" and c["signedStatus"])
        self.put("vm-1.json", model("vm-1", VM_ID, enabled=True, keyIncarnationId=3))
        self.mspctl("vm", "apply", lab.folder / "vm-1.json")
        self.latched()


class WithoutTheExtension(DisksCase):
    """The question never reaches the host, so its answers are those of a host that knows nothing of it."""

    def setUp(self) -> None:
        self.cable = Relay(self.lab, alter=without(SIGN))
        self.addCleanup(self.cable.close)
        super().setUp()

    def test_as_before(self):
        lab = self.lab
        for _ in range(2):
            self.assertEqual(self.latched(), self.first_key)
            self.assertFalse(self.channel()["signedStatus"])
            self.put("vm-1.json", model("vm-1", VM_ID, enabled=False, keyIncarnationId=1))
            self.mspctl("vm", "apply", lab.folder / "vm-1.json")
            poll("open", lambda: self.channel()["phase"] == "disabled")
            self.put("vm-1.json", model("vm-1", VM_ID, enabled=True, keyIncarnationId=1))
            self.mspctl("vm", "apply", lab.folder / "vm-1.json")
            self.latched()
            lab.stop_agent()
            lab.start_agent()
        self.assertIn("is not signed", self.run_page("look, in the guest"))
        self.damaged_key()

    def damaged_key(self) -> None:
        """Nothing but refusals tells that the stored key is another; put right it is used without a restart."""
        lab = self.lab
        lab.stop_agent()
        file = lab.folder / "agent" / "keys" / f"{self.first_key}.key"
        good = file.read_text()
        digits = json.loads(good)["key"]
        file.write_text(good.replace(digits, ("0" if digits[0] != "0" else "1") + digits[1:]))
        lab.start_agent(wait=False)
        poll("refused and told", lambda: lab.guest_get(VERSIONS).code == "bad_signature" and self.channel().get("keyRefused"))
        self.assertIn("the host refuses what is signed with the key in use", json.dumps(lab.status()["problems"]))
        self.assertIn('"ERROR"', (lab.folder / "agent" / "log" / "status.json").read_text())
        for _ in range(3):  # what needs no signature takes nothing back
            posted = lab.guest.as_user("root").call(http.get, WIRESERVER, "/machine/?comp=telemetrydata", "POST", None, b"<x/>")
            self.assertEqual(posted.status, 200)
            time.sleep(1)
        self.assertTrue(self.channel()["keyRefused"])
        file.write_text(good)
        poll("served again", lambda: lab.guest_get(VERSIONS).status == 200)
        poll("well again", lambda: not self.channel()["keyRefused"])
        for _ in range(5):  # and it stays so: it is looked at every 2 s
            self.assertEqual(lab.guest_get(VERSIONS).status, 200)
            time.sleep(1)
            self.assertFalse(self.channel()["keyRefused"])
