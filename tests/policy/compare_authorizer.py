#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random rule decisions: the engine (through policy_lines) against tests/vectors/reference_authorizer.py.

Usage: compare_authorizer.py POLICY_LINES [--cases N] [--seed S]

The ordinary test run does 4,000 cases. The long run:
    tests/policy/compare_authorizer.py build/dev/tests/policy/policy_lines --cases 100000 --seed 7
Rule sets have from none to several hundred privileges; requests are made from their paths and queries and then bent
(letter case, escapes, slashes, dots, matrix parameters, hidden queries, characters outside ASCII). Prints seed, number
of cases and how often each verdict came up; exit status 1 at the first differences, which it shows.
"""
import argparse
import collections
import json
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors"))
import reference_authorizer as reference  # noqa: E402
from reference_signer import Unsignable  # noqa: E402

SEGMENTS = ["metadata", "identity", "oauth2", "token", "instance", "compute", "machine", "a", "b", "test", "test-evil",
            "Versions", "x;v=1", ".", "..", "a..b", "", "caf\u00e9", "CAF\u00c9", "\u212a", "\u0391\u03a3", "\u03a3", "\u0130x",
            "a%2fb", "a%2Fb", "%zz", "a b", "%41", "k\u00ebL", "q?x=1", "a'\u03a3", "\u4e2d", "\ufffd", "\U00010400"]
KEYS = ["api-version", "resource", "k", "K", "comp", "a", "b", "\u00c9", "\u212a", "a b", "x+y", "%6b", ""]
VALUES = ["1", "2018-02-01", "https://vault.example/", "goalstate", "V", "v", "", "a+b", "a b", "1&k=2", "\u00c9", "\u00e9",
          "%41", "A", "\u4e2d", "x=y", "\u03a3\u03a3"]
USERS = ["alice", "bob", "root", "Alice", "svc-app", "undefined", ""]
GROUPS = ["users", "devs", "adm", "Users"]
PROCESSES = ["curl", "python3", "waagent", ""]
EXES = ["/usr/bin/curl", "/usr/bin/python3", "//usr//bin/curl/", "/usr/./bin/curl", "/usr/lib/../bin/curl", "usr/bin/curl", "",
        "./curl", "/opt/app/bin/app"]
METHODS = ["GET"] * 12 + ["PUT", "POST", "HEAD", "DELETE", "OPTIONS", "PATCH"]
PATH_BYTES = set(b"\x21\x22" + bytes(range(0x24, 0x3C)) + b"\x3d" + bytes(range(0x40, 0x60)) + bytes(range(0x61, 0x7F)))
QUERY_BYTES = set(b"\x21" + bytes(range(0x24, 0x3C)) + b"\x3d" + bytes(range(0x3F, 0x7F)))


def random_path(r):
    return r.choice(["/"] * 9 + [""]) + "/".join(r.choice(SEGMENTS[:8] if r.random() < 0.7 else SEGMENTS)
                                                  for _ in range(r.randint(0, 4))) + r.choice(["", "", "", "/"])


def random_item(r):
    if r.random() < 0.03:
        return None
    item = {"defaultAccess": r.choice(["allow", "deny", "Allow", "DENY", "allow ", "other"]),
            "mode": r.choice(["enforce"] * 6 + ["audit", "Audit", "disabled", "strict", "", " enforce"]),
            "id": "r%d" % r.randint(0, 9)}
    size = r.choice([0, 1, 1, 2, 3, 5, 8, r.randint(10, 60), r.randint(100, 400)])
    many = size > 60
    privileges = []
    for i in range(size):
        path = random_path(r) if not many or r.random() < 0.2 else "/service/%d/%s" % (r.randint(0, 80), r.choice("abc"))
        privilege = {"name": "p%d" % r.randint(0, size + 2), "path": path}
        if r.random() < 0.4:
            query, seen = {}, set()
            for _ in range(r.randint(0, 2)):
                key = r.choice(KEYS)
                if key.lower() not in seen:  # two keys that fold alike: undefined which one survives
                    seen.add(key.lower())
                    query[key] = r.choice(VALUES)
            privilege["queryParameters"] = query
        privileges.append(privilege)
    names = ["p%d" % i for i in range(size + 3)]
    roles = [{"name": "role%d" % r.randint(0, 4),
              "privileges": [r.choice(names) for _ in range(r.randint(0, max(3, size // 3)))]} for _ in range(r.randint(0, 5))]
    identities = []
    for _ in range(r.randint(0, 6)):
        identity = {"name": "i%d" % r.randint(0, 5)}
        for field, pool in (("userName", USERS), ("groupName", GROUPS), ("processName", PROCESSES), ("exePath", EXES)):
            if r.random() < 0.35:
                identity[field] = r.choice(pool)
        identities.append(identity)
    assignments = [{"role": "role%d" % r.randint(0, 5), "identities": ["i%d" % r.randint(0, 6) for _ in range(r.randint(0, 3))]}
                   for _ in range(r.randint(0, 6))]
    sections = {"privileges": privileges, "roles": roles, "identities": identities, "roleAssignments": assignments}
    if r.random() < 0.05:
        sections.pop(r.choice(list(sections)))
    if r.random() < 0.95:
        item["rules"] = sections
    return item


def bend(r, text, allowed):
    """Encodes what may not stand there, and some of the rest."""
    out = bytearray()
    for byte in text.encode():
        if byte not in allowed or r.random() < 0.03:
            out += b"%%%02x" % byte if r.random() < 0.5 else b"%%%02X" % byte
        elif r.random() < 0.05 and chr(byte).isalpha():
            out += bytes([byte ^ 0x20])
        else:
            out.append(byte)
        if r.random() < 0.004:
            out += r.choice([b"%", b"%4", b"%FF", b"%C3", b"%E4%B8", b"%ED%A0%80", b"%F0%9F", b"%3F", b"%3Fk=1&a", b"%00", b"%2f",
                             b"%2E%2e", b"//", b"/./", b";m=1", b"/../", b"%25", b"%252f", b"%3B", b"%CE%A3"])
    return bytes(out)


def random_case(r, item):
    sections = (item or {}).get("rules") or {}
    privileges = sections.get("privileges") or []
    pairs = [(r.choice(KEYS), r.choice(VALUES)) for _ in range(r.choice([0, 0, 1, 2, 4]))]
    path = random_path(r)
    if privileges and r.random() < 0.85:
        privilege = r.choice(privileges)
        path = privilege["path"] + r.choice(["", "", "", "/", "x", "/x", "/a/b"])
        if r.random() < 0.9:
            pairs += list((privilege.get("queryParameters") or {}).items())
            if r.random() < 0.3:
                r.shuffle(pairs)
    raw = b"/" + bend(r, path.removeprefix("/"), PATH_BYTES)  # encoded, it would be authority-form, which both refuse
    parts = [bend(r, k, QUERY_BYTES - set(b"&=") if r.random() < 0.9 else QUERY_BYTES) +
             (b"=" + bend(r, v, QUERY_BYTES - set(b"&") if r.random() < 0.9 else QUERY_BYTES) if v or r.random() < 0.5 else b"")
             for k, v in pairs]
    if parts or r.random() < 0.1:
        raw += b"?" + b"&".join(parts)
    if r.random() < 0.03:
        raw = r.choice([b"http://169.254.169.254", b"HTTP://host", b"https://h", b"http://u@h", b"http://h:99999", b"http://face.bad"]) + raw
    method = r.choice(METHODS)
    if r.random() < 0.02:
        method, raw = r.choice([("PUT", b"/vmAgentLog"), ("PUT", b"/vmagentlog?"), ("POST", b"/machine/?comp=telemetrydata")])
    elevated = r.random() < 0.4
    claims = {"userName": r.choice(USERS), "userGroups": r.sample(GROUPS, r.randint(0, 3)), "processName": r.choice(PROCESSES),
              "processFullPath": r.choice(EXES), "runAsElevated": elevated}
    return {"request": {"method": method, "url": raw.decode("latin-1")}, "claims": claims,
            "service": r.choice(["imds", "imds", "imds", "wireserver", "hostga"])}


def softened(case, item, verdict, exempt):
    """The complete answer from a bare verdict (protocol.md E.4)."""
    if exempt and case["claims"]["runAsElevated"]:
        return "allow-exempt"
    if case["service"] != "imds" and not case["claims"]["runAsElevated"]:
        return "deny"
    if item is None or verdict == "allow":
        return "allow"
    return "allow-audit" if item["mode"].lower() == "audit" else "deny"


def without_nobody(item):
    """Protocol L.32: no caller is "undefined", nor has the empty name; the field's agent has both."""
    sections = (item or {}).get("rules") or {}
    if not sections.get("identities"):
        return item
    nobody = [dict(i, userName="\x00") if i.get("userName") in ("undefined", "") else i for i in sections["identities"]]
    return dict(item, rules=dict(sections, identities=nobody))


def expected(item, case):
    item = without_nobody(item)
    try:
        field = reference.evaluate(dict(case, rules=item))
    except Unsignable:
        return dict.fromkeys(("expect_legacy", "rules_legacy", "expect_canonical", "enforce", "shadow"), "parse")
    # An unknown mode counts as enforce where the field's reading is not asked for (protocol.md L.31).
    ours = item
    if item is not None and item["mode"].lower() not in ("disabled", "audit", "enforce"):
        ours = dict(item, mode="enforce")
    strict = reference.evaluate(dict(case, rules=ours))
    raw = case["request"]["url"].encode("latin-1")
    exempt = reference.is_exempt(case["request"]["method"].encode(), raw)
    try:
        reference.canonicalize(case["request"]["method"], raw)
        enforce = softened(case, ours, strict["expect_canonical"], exempt)
    except reference.Reject:
        enforce = "deny"
    return {"expect_legacy": field["expect_legacy"], "rules_legacy": field["rules_legacy"] or "no-rules",
            "expect_canonical": strict["expect_canonical"], "enforce": enforce, "shadow": strict["expect_legacy"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("policy_lines")
    parser.add_argument("--cases", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    args = parser.parse_args()
    r = random.Random(args.seed)
    done, bad, seen, largest = 0, 0, collections.Counter(), 0
    while done < args.cases and bad < 5:
        batch = []
        while done + sum(len(cases) for _, cases in batch) < args.cases and len(batch) < 200:
            item = random_item(r)
            batch.append((item, [random_case(r, item) for _ in range(min(20, args.cases - done))]))
            largest = max(largest, len(((item or {}).get("rules") or {}).get("privileges") or []))
        text = "".join(json.dumps({"rules": item, "cases": cases}) + "\n" for item, cases in batch)
        answer = subprocess.run([args.policy_lines], input=text.encode(), stdout=subprocess.PIPE, check=True, timeout=300)
        lines = answer.stdout.decode().splitlines()
        if len(lines) != len(batch):
            sys.exit("policy_lines answered %d of %d lines" % (len(lines), len(batch)))
        for (item, cases), line in zip(batch, lines):
            for case, got in zip(cases, json.loads(line), strict=True):
                want = expected(item, case)
                done += 1
                seen["%s/%s" % (want["rules_legacy"], want["expect_canonical"].split("(")[0])] += 1
                if got != want and bad < 5:
                    bad += 1
                    print("DIFFERENCE\n  rules %s\n  case %s\n  want %s\n  got  %s" % (json.dumps(item), json.dumps(case), want, got))
    print("%d cases, seed %d, up to %d privileges, %d differences" % (done, args.seed, largest, bad))
    print("legacy/canonical verdicts: " + ", ".join("%s %d" % pair for pair in sorted(seen.items())))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
