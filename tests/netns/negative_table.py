# SPDX-License-Identifier: Apache-2.0
"""What msp-host refuses, as a table: a request that is served, what is wrong with it in this row, status and reason.

test_negative_table.py sends each twice: wrong as the row says, then with that one thing mended. An Ask is a request by its
parts; its fields say in the order of the work what the sender does: parts, signature, then what happens on the cable.
"""
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from own_agent import ROOT

IMDS, WIRESERVER, HOSTGA = "imds", "wireserver", "hostga"
OTHER = '{ "isRoot": "false"}'

# Machines, each with an address of its own: two that have latched a key, one whose model enables nothing, two that have no
# key yet, one whose key was reset. NESTED asks from a namespace behind the guest, through its NAT; GUEST is an ordinary process
# of the guest, whose request msp-agent endorses.
A, B, OPEN, NEW, LATE, RESET, STRANGER = "a", "b", "open", "new", "late", "reset", "stranger"
NESTED, GUEST = "nested", "guest"
# Keys that are no machine's: NONE is not to sign at all; the others are what an attacker may have.
NONE, MADE_UP, A_ID_OTHER_SECRET, BEFORE_RESET = "none", "made up", "a's id, other secret", "before the reset"


@dataclass(frozen=True)
class Ask:
    to: str = IMDS
    target: str = "/metadata/versions"
    method: str = "GET"
    fields: tuple = ()  # headers beside host, metadata and the trusted ones
    host: tuple = ("169.254.169.254",)
    metadata: tuple = ("true",)
    body: bytes | None = None
    source: str = A
    key: str = A
    claims: tuple = (ROOT,)
    dates: tuple = (0,)  # seconds from now, or the text itself
    signed_as: "Ask | None" = None  # the signature is the one that this request would have
    # What becomes of the authorization header once it is made: a list of values from one.
    authorization: object = field(default=lambda value: [value])
    cable: tuple = ()  # (what stands in the bytes, what takes its place)


class Row(NamedTuple):
    name: str
    good: Ask
    wrong: dict
    status: int
    reason: str
    says: str = ""  # in the body, where it is not the reason: errors of the public contract of IMDS
    mend: str = ""  # what the agent does before the mended request: a method of the test
    mended: dict = {}  # the mended request, where it is not the good one
    outcome: str = "refused"  # in the access log; what is endorsed, and of no sense to the service, is "verified"

    def ask(self) -> Ask:
        return replace(self.good, **self.wrong)

    def mended_ask(self) -> Ask:
        return replace(self.good, **self.mended)


GET = Ask(target="/metadata/instance?api-version=2021-02-01&mark=one", fields=(("x-note", "some value"),))
POST = Ask(to=WIRESERVER, host=("168.63.129.16",), method="POST", target="/machine?comp=roleProperties", body=b"some body",
           fields=(("x-ms-version", "2012-11-30"),))
GOAL = replace(POST, method="GET", target="/machine?comp=goalstate", body=None)
PLUGIN = Ask(to=HOSTGA, host=("168.63.129.16",), target="/vmSettings")
STATUS = Ask(to=WIRESERVER, host=("168.63.129.16",), target="/secure-channel/status", key=NONE)
ACQUIRE = Ask(to=WIRESERVER, host=("168.63.129.16",), method="POST", target="/secure-channel/key", key=NONE, source=NEW,
              body=b'{"authorizationScheme": "Azure-HMAC-SHA256"}')
# To attest again what is latched is good.
ATTEST = Ask(to=WIRESERVER, host=("168.63.129.16",), method="POST", target="/secure-channel/key/{a}/key-attestation", body=b"")
TOKEN = Ask(target="/metadata/identity/info?api-version=2018-02-01")

PLAIN = {"key": NONE, "claims": (), "dates": ()}


def altered(name: str, good: Ask, old: bytes, new: bytes) -> Row:
    return Row(f"altered on its way: {name}", good, {"cable": (old, new)}, 401, "bad_signature")


def header(text: str):
    """The authorization header is this; {id} and {signature} stand for those of the good one."""
    def make(value: str) -> list[str]:
        scheme, guid, signature = value.split(" ")
        return [text.format(scheme=scheme, id=guid, ID=guid.upper(), signature=signature, SIGNATURE=signature.upper())]
    return make


def no_request(name: str, old: bytes, new: bytes, status: int, reason: str, good: Ask = GET) -> Row:
    """Refused before anybody looks at a signature."""
    return Row(f"no request: {name}", good, {"cable": (old, new)}, status, reason)


def senseless(name: str, good: Ask, wrong: dict, status: int, reason: str, says: str = "", outcome: str = "verified") -> Row:
    """Endorsed, but not what the service takes."""
    return Row(name, good, wrong, status, reason, says, outcome=outcome)


WHO_CALLS = [
    Row("an address that no machine has", GET, {"source": STRANGER}, 403, "unknown_caller"),
    Row("an address that no machine has, to WireServer", GOAL, {"source": STRANGER}, 403, "unknown_caller"),
    Row("an address that no machine has, asks for a key", ACQUIRE, {"source": STRANGER}, 403, "unknown_caller"),
    Row("nested behind the guest's NAT, plain", GET, {"source": NESTED, **PLAIN}, 401, "unsigned", mended={"source": GUEST, **PLAIN}),
    Row("nested behind the guest's NAT, a made-up key", GET, {"source": NESTED, "key": MADE_UP}, 401, "unknown_key"),
    Row("nested behind the guest's NAT, to HostGAPlugin", PLUGIN, {"source": NESTED, **PLAIN}, 401, "unsigned",
        mended={"source": GUEST, **PLAIN}),
    Row("nested behind the guest's NAT, wants the key", ACQUIRE, {"source": NESTED}, 403, "key_latched"),
    senseless("passed on by a proxy", GET, {"fields": (("x-note", "some value"), ("X-Forwarded-For", "10.0.0.9"))}, 400,
        "forwarded_request", "X-Forwarded-For"),
    senseless("passed on by a proxy that writes _", GET, {"fields": (("x-note", "some value"), ("x_forwarded_for", "10.0.0.9"))}, 400,
        "forwarded_request", "X-Forwarded-For"),
    Row("another machine's key", GET, {"source": B}, 403, "foreign_key"),
    Row("another machine's key, to WireServer", GOAL, {"source": B}, 403, "foreign_key"),
]

KEYS = [
    Row("unsigned", GET, {"key": NONE}, 401, "unsigned"),
    Row("unsigned, to WireServer", GOAL, {"key": NONE}, 401, "unsigned"),
    Row("unsigned, to HostGAPlugin", PLUGIN, {"key": NONE}, 401, "unsigned"),
    Row("a key that nobody has", GET, {"key": MADE_UP}, 401, "unknown_key"),
    Row("the right id, a wrong key", GET, {"key": A_ID_OTHER_SECRET}, 401, "bad_signature"),
    Row("a key of an old incarnation", replace(GET, source=RESET, key=RESET), {"key": BEFORE_RESET}, 401, "key_ended"),
    Row("a key that is not attested yet", replace(GET, source=LATE, key=LATE), {}, 401, "key_not_latched", mend="attest_late"),
    Row("another scheme", GET, {"authorization": header("Bearer {id} {signature}")}, 401, "bad_authorization_header"),
    Row("no signature", GET, {"authorization": header("{scheme} {id}")}, 401, "bad_authorization_header"),
    Row("an empty header", GET, {"authorization": header("")}, 401, "bad_authorization_header"),
    Row("id in upper case", GET, {"authorization": header("{scheme} {ID} {signature}")}, 401, "bad_authorization_header"),
    Row("signature in upper case", GET, {"authorization": header("{scheme} {id} {SIGNATURE}")}, 401, "bad_authorization_header"),
    Row("signature of 63 digits", GET, {"authorization": header("{scheme} {id} {signature:.63}")}, 401, "bad_authorization_header"),
    Row("signature of 65 digits", GET, {"authorization": header("{scheme} {id} {signature}0")}, 401, "bad_authorization_header"),
    Row("two blanks", GET, {"authorization": header("{scheme}  {id} {signature}")}, 401, "bad_authorization_header"),
    Row("the signature of another request", GET, {"signed_as": GOAL}, 401, "bad_signature"),
    Row("the signature of the same path without its query", GET, {"signed_as": replace(GET, target="/metadata/instance")}, 401,
        "bad_signature"),
    Row("a made-up signature", GET, {"authorization": header("{scheme} {id} " + "5a" * 32)}, 401, "bad_signature"),
    Row("authorization twice", GET, {"authorization": lambda value: [value, value]}, 401, "duplicate_trusted_header"),
]

ALTERED = [
    altered("method", POST, b"POST /", b"PUT /"),
    altered("path", GET, b"/metadata/instance", b"/metadata/instance/compute"),
    altered("case of the path", GET, b"/metadata/instance", b"/Metadata/instance"),
    altered("an escape in the path", GET, b"/metadata/instance", b"/metadata/%69nstance"),
    altered("value of the query", GET, b"mark=one", b"mark=two"),
    altered("a parameter more", GET, b"mark=one", b"mark=one&format=text"),
    altered("a parameter less", GET, b"&mark=one", b""),
    altered("value of a header", GET, b"some value", b"same value"),
    altered("name of a header", GET, b"x-note", b"x-nota"),
    altered("a header more", GET, b"x-note", b"x-more: 1\r\nx-note"),
    altered("a header less", GET, b"x-note: some value\r\n", b""),
    altered("host", GET, b"host: 169.254.169.254", b"host: 169.254.169.253"),
    altered("claims raised to root", replace(GET, claims=(OTHER,)), b'"false"', b'"true"'),
    altered("date", GET, b"-date: ", b"-date: Mon, 01 Jan 2024 00:00:00 GMT\r\nx-was: "),
    Row("altered on its way: another value before a signed one", GET, {"cable": (b"x-note", b"x-note: other\r\nx-note")}, 400,
        "repeated_header"),
    Row("altered on its way: another value before what the service goes by", GET, {"cable": (b"metadata:", b"metadata: no\r\nmetadata:")},
        400, "repeated_header"),
    altered("body", POST, b"some body", b"same body"),
    altered("a body where there was none", GET, b"\r\n\r\n", b"\r\ncontent-length: 1\r\n\r\nx"),
]

CLAIMED = [
    Row("claims missing", GET, {"claims": ()}, 401, "bad_claims"),
    Row("claims empty", GET, {"claims": ("",)}, 401, "bad_claims"),
    Row("claims of another form", GET, {"claims": ('{"isRoot":true}',)}, 401, "bad_claims"),
    Row("claims with a member more", GET, {"claims": ('{ "isRoot": "true", "more": "true"}',)}, 401, "bad_claims"),
    Row("claims twice", GET, {"claims": (ROOT, ROOT)}, 401, "duplicate_trusted_header"),
    Row("claims that contradict", GET, {"claims": (OTHER, ROOT)}, 401, "duplicate_trusted_header"),
    Row("no root, to WireServer", GOAL, {"claims": (OTHER,)}, 403, "not_elevated"),
    Row("no root, to HostGAPlugin", PLUGIN, {"claims": (OTHER,)}, 403, "not_elevated"),
    Row("date missing", GET, {"dates": ()}, 401, "bad_date"),
    Row("date of another form", GET, {"dates": ("2025-04-23T12:00:00Z",)}, 401, "bad_date"),
    Row("date that is none", GET, {"dates": ("Wed, 31 Feb 2026 12:00:00 GMT",)}, 401, "bad_date"),
    Row("date twice", GET, {"dates": (0, 0)}, 401, "duplicate_trusted_header"),
    Row("a stale date", GET, {"dates": (-310,)}, 401, "stale_date"),
    Row("a date of yesterday", GET, {"dates": (-86_400,)}, 401, "stale_date"),
    Row("a date in the future", GET, {"dates": (310,)}, 401, "stale_date"),
    Row("a date of next year, to WireServer", GOAL, {"dates": (366 * 86_400,)}, 401, "stale_date"),
]

CHANNEL = [
    Row("a key, while one is latched", ACQUIRE, {"source": A}, 403, "key_latched"),
    Row("a key, for a machine that is not enabled", ACQUIRE, {"source": OPEN}, 403, "channel_disabled"),
    Row("a key, for another scheme", ACQUIRE, {"body": b'{"authorizationScheme": "none"}'}, 400, "key_request_malformed"),
    Row("a key, without a body", ACQUIRE, {"body": b""}, 400, "key_request_malformed"),
    Row("a key, for what is no JSON", ACQUIRE, {"body": b'{"authorizationScheme'}, 400, "key_request_malformed"),
    Row("a key, with GET", ACQUIRE, {"method": "GET"}, 405, "method_not_allowed"),
    Row("a key, with a query", ACQUIRE, {"target": "/secure-channel/key?x=1"}, 404, "not_found"),
    Row("a path of the channel that is none", ACQUIRE, {"target": "/secure-channel/keys"}, 404, "not_found"),
    Row("the status, with POST", STATUS, {"method": "POST", "body": b""}, 405, "method_not_allowed"),
    Row("an attestation, unsigned", ATTEST, {"key": NONE}, 401, "unsigned"),
    Row("an attestation, with a wrong key", ATTEST, {"key": A_ID_OTHER_SECRET}, 401, "bad_signature"),
    Row("an attestation of another id", ATTEST, {"target": "/secure-channel/key/{b}/key-attestation"}, 401, "bad_authorization_header"),
    Row("an attestation of another machine's key", ATTEST, {"target": "/secure-channel/key/{b}/key-attestation", "key": B}, 403,
        "foreign_key"),
    Row("an attestation of a made-up key", ATTEST, {"target": "/secure-channel/key/{made up}/key-attestation", "key": MADE_UP}, 401,
        "unknown_key"),
    Row("an attestation by somebody else than root", ATTEST, {"claims": (OTHER,)}, 403, "not_elevated"),
    Row("an attestation that is stale", ATTEST, {"dates": (-310,)}, 401, "stale_date"),
    Row("an attestation, with PUT", ATTEST, {"method": "PUT"}, 405, "method_not_allowed"),
]

MALFORMED = [
    no_request("HTTP/2.0", b"HTTP/1.1", b"HTTP/2.0", 505, "version_not_supported"),
    no_request("two blanks in its first line", b"GET /", b"GET  /", 400, "bad_target"),
    no_request("no version", b" HTTP/1.1", b"", 400, "bad_request_line"),
    no_request("a line that ends in LF alone", b"some value\r\n", b"some value\n", 400, "bad_line_end"),
    no_request("a header on two lines", b"some value", b"some\r\n value", 400, "obs_fold"),
    no_request("a blank before the colon", b"x-note:", b"x-note :", 400, "bad_header"),
    no_request("a byte that cannot be signed", b"some value", b"some v\xe4lue", 400, "header_not_signable"),
    no_request("no host", b"host: 169.254.169.254\r\n", b"", 400, "bad_host"),
    no_request("two hosts", b"host: ", b"host: 169.254.169.254\r\nhost: ", 400, "bad_host"),
    no_request("a connection header that strips another", b"x-note", b"connection: x-ms-azure-host-claims\r\nx-note", 400,
               "bad_connection_header"),
    no_request("an expectation that is unknown", b"x-note", b"expect: more\r\nx-note", 417, "expectation_failed"),
    no_request("two lengths", b"content-length: 9", b"content-length: 9\r\ncontent-length: 9", 400, "length_ambiguous", POST),
    no_request("length and transfer-encoding", b"content-length: 9", b"content-length: 9\r\ntransfer-encoding: chunked", 400,
               "length_ambiguous", POST),
    no_request("a length with a sign", b"content-length: 9", b"content-length: +9", 400, "bad_content_length", POST),
    no_request("another transfer-encoding", b"content-length: 9", b"transfer-encoding: gzip", 400, "bad_transfer_encoding", POST),
    no_request("a chunk that has no size", b"content-length: 9", b"transfer-encoding: chunked", 400, "bad_chunk", POST),
    no_request("a raw byte in the target", b"mark=one", b"mark=\xff", 400, "bad_target"),
    no_request("too long a target", b"mark=one", b"mark=" + b"x" * 65_600, 414, "target_too_long"),
    no_request("too large a head", b"some value", b"v" * 65_600, 431, "head_too_large"),
    no_request("too many headers", b"x-note", b"".join(b"x-%d: 1\r\n" % n for n in range(110)) + b"x-note", 431, "too_many_headers"),
    Row("too large a body", replace(POST, body=b"x" * 102_400), {"body": b"x" * 102_401}, 413, "body_too_large"),
    Row("the target is a URL", GET, {"target": "http://169.254.169.254/metadata/instance?api-version=2021-02-01"}, 400, "bad_target"),
]

CONTENT = [
    senseless("IMDS, without Metadata: true", GET, {"metadata": ()}, 400, "metadata_header_missing", "Required metadata header"),
    senseless("IMDS, Metadata: false", GET, {"metadata": ("false",)}, 400, "metadata_header_missing", "Required metadata header"),
    senseless("IMDS, no api-version", GET, {"target": "/metadata/instance"}, 400, "api_version", "api-version is invalid"),
    senseless("IMDS, an api-version that is none", GET, {"target": "/metadata/instance?api-version=2021-02-31"}, 400, "api_version",
              "api-version is invalid"),
    senseless("IMDS, a parameter twice", GET, {"target": "/metadata/instance?api-version=2021-02-01&api-version=2021-02-01"}, 400,
              "bad_query", "repeats a parameter"),
    senseless("IMDS, a path that is none", GET, {"target": "/metadata/instances?api-version=2021-02-01"}, 404, "not_found", "nothing at this path"),
    senseless("IMDS, another method", GET, {"method": "DELETE"}, 405, "method_not_allowed"),
    senseless("a token, for an identity that the machine has not", TOKEN,
              {"target": "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=urn:x&client_id=none"}, 400, "no_identity",
              "Identity not found"),
    senseless("a token, without a resource", TOKEN, {"target": "/metadata/identity/oauth2/token?api-version=2018-02-01"}, 400, "bad_query",
              "'resource' is missing"),
    senseless("WireServer, without x-ms-version", GOAL, {"fields": ()}, 400, "version_header_missing"),
    senseless("WireServer, another container", GOAL, {"target": "/machine/other/x?comp=config&type=sharedConfig&incarnation=1"}, 410,
              "stale_goal_state"),
    senseless("WireServer, a health report that is none", POST, {"target": "/machine?comp=health"}, 400, "bad_report"),
    senseless("HostGAPlugin, another container", PLUGIN, {"fields": (("x-ms-containerid", "5f1c6f5e-0000-4a52-8a3b-0d8b7f1f6c01"),)}, 410,
              "stale_goal_state"),
    senseless("HostGAPlugin, a log of another container, which goes unsigned",
                    replace(PLUGIN, method="PUT", target="/vmAgentLog", body=b"log", key=NONE),
              {"fields": (("x-ms-containerid", "5f1c6f5e-0000-4a52-8a3b-0d8b7f1f6c01"),)}, 400, "wrong_container", outcome="exempt"),
]

ROWS = WHO_CALLS + KEYS + ALTERED + CLAIMED + CHANNEL + MALFORMED + CONTENT
