#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""schema_test.py ITEM_LINES: share/openmsp/rules.schema.json against the reader that the agent uses, both ways.

Every rule item and local rule file of the golden vectors, and some thousand mutants of a full one: valid by the schema if
and only if the reader takes it. What a schema cannot see is not asked here: repeated members, names that do not exist.
"""
import copy
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import jsonschema

TOP = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((TOP / "share/openmsp/rules.schema.json").read_text())
VECTORS = TOP / "tests/vectors"

FULL = {
    "defaultAccess": "deny", "mode": "enforce", "id": "full",
    "rules": {
        "privileges": [{"name": "p", "path": "/a", "queryParameters": {"k": "v"}, "openmsp": {"methods": ["GET", "PUT"]}}],
        "roles": [{"name": "r", "privileges": ["p"]}],
        "identities": [{"name": "i", "userName": "u", "groupName": "g", "exePath": "/x", "processName": "x",
                        "openmsp": {"unit": "a.service", "cgroup": "/a/b", "container": "0123456789ab",
                                    "exeSha256": "A" * 64}}],
        "roleAssignments": [{"role": "r", "identities": ["i"], "openmsp": {"effect": "deny", "dryRun": True}}],
    },
}
# Values that stand in for each node of FULL in turn: each fits somewhere and most do not.
STRANGERS = [None, True, 0, 1.5, "", "x", "deny", "/", "/a", "/a/", "/a//b", "/a/../b", "/..a/.b", "a.service", ".service",
             "user@1.service", "a b.service", "a.slice", "GET", "get", "TRACE", "0123456789a", "0123456789AB", "0" * 64,
             "0" * 65, "g" * 64, [], [1], ["x"], ["GET"], ["GET", "GET"], [[]], {}, {"x": "y"}, {"x": 1},
             # Where an end of the text is not the end of a line, and lengths at the bounds.
             "a.service\n", "0123456789ab\n", "A" * 64 + "\n", "/a\n", "/..\n", "/a/.\n", "u" * 247 + ".service",
             "u" * 248 + ".service", "/" + "a" * 4094, "/" + "a" * 4095, "/" + "\u00e9" * 2047,
             {"methods": []}, {"unit": "a.scope"}, {"effect": "allow"}, {"dryRun": 1}, [{}], [{"name": "n"}]]
# A path of fewer characters than bytes allow, and of more bytes: no schema counts bytes, and its description says so.
TOO_MANY_BYTES = "/" + "\u00e9" * 2048
# Members that are added to each object in turn.
ADDED = {"openmsp": [{}, None, {"unknown": 1}], "more": [1], "openMSP": [{"x": 1}], "units": ["a.service"]}


def nodes(value, path=()):
    yield path
    for key, child in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from nodes(child, (*path, key))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def mutants():
    for path in nodes(FULL):
        for stranger in STRANGERS:
            if not path:
                yield stranger
                continue
            mutant = copy.deepcopy(FULL)
            at(mutant, path[:-1])[path[-1]] = stranger
            yield mutant
        if path:
            mutant = copy.deepcopy(FULL)
            del at(mutant, path[:-1])[path[-1]]
            yield mutant
        if isinstance(at(FULL, path), dict):
            for name, values in ADDED.items():
                for value in values:
                    mutant = copy.deepcopy(FULL)
                    at(mutant, path)[name] = value
                    yield mutant


def vectors():
    """(where from, kind, value) of all that parses as JSON."""
    for vector in json.loads((VECTORS / "authorization.json").read_text())["vectors"]:
        if vector["rules"] is not None:
            yield vector["name"], "item", vector["rules"]
    local = json.loads((VECTORS / "local_rules.json").read_text())
    for vector in local["merges"]:
        yield vector["name"], "item", vector["remote"]
        yield vector["name"], "item", vector["expect"]
        if vector["local"] is not None:
            yield vector["name"], "file", vector["local"]
    for vector in local["files"]:
        yield from parsed(vector["name"], vector["file_text"], lambda document: [("file", document)])
    for vector in json.loads((VECTORS / "status.json").read_text())["vectors"]:
        yield from parsed(vector["name"], vector["document_text"], items_of)


def parsed(name, text, pick):
    try:
        document = json.loads(text.removeprefix("\ufeff"))
    except ValueError:
        return
    for kind, value in pick(document):
        yield name, kind, value


def items_of(document):
    rules = document.get("authorizationRules") if isinstance(document, dict) else None
    return [("item", rules[name]) for name in ("imds", "wireserver", "hostga")
            if isinstance(rules, dict) and rules.get(name) is not None]


def main() -> int:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validators = {kind: jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})
                  for kind, name in (("item", "item"), ("file", "localFile"))}
    cases = list(vectors())
    of_vectors = len(cases)
    for number, mutant in enumerate(mutants()):
        cases.append((f"mutant {number}", "item", mutant))
        if isinstance(mutant, dict):
            # The same without the members that an item must have: a local file.
            cases.append((f"mutant {number}", "file", {k: v for k, v in mutant.items() if k != "mode"}))
    too_long = copy.deepcopy(FULL)
    too_long["rules"]["identities"][0]["openmsp"] = {"cgroup": TOO_MANY_BYTES}
    cases.append(("more bytes than characters", "item", too_long))
    done = subprocess.run([sys.argv[1]], input="".join(json.dumps({"kind": kind, "value": value}) + "\n"
                                                       for _, kind, value in cases),
                          capture_output=True, text=True, check=True)
    verdicts = done.stdout.splitlines()
    assert len(verdicts) == len(cases), (len(verdicts), len(cases))
    wrong = 0
    seen: Counter = Counter()
    # The one disagreement that is meant.
    meant = validators["item"].is_valid(cases.pop()[2]) and verdicts.pop() == "openmsp"
    for number, ((name, kind, value), verdict) in enumerate(zip(cases, verdicts)):
        valid = validators[kind].is_valid(value)
        seen["vectors" if number < of_vectors else "mutants", verdict] += 1
        if valid != (verdict == "ok"):
            wrong += 1
            if wrong <= 20:
                print(f"{name} ({kind}): the reader says {verdict}, the schema {valid}: {json.dumps(value)[:400]}")
    for (group, verdict), count in sorted(seen.items()):
        print(f"{group}, {verdict}: {count}")
    print(f"{len(cases)} documents, {wrong} disagreements")
    # A test in which one side never says no shows nothing.
    enough = min(seen["vectors", "ok"] // 200, seen["vectors", "shape"], seen["mutants", "ok"], seen["mutants", "shape"],
                 seen["mutants", "openmsp"]) > 0
    return 0 if wrong == 0 and enough and meant else 1


if __name__ == "__main__":
    sys.exit(main())
