# SPDX-License-Identifier: Apache-2.0
"""The table of test_rule_scenarios: rule sets, who asks for what under each of them, and what must come of it.

A scenario is one program of one user (in some groups, in some cgroup) with one request under one rule set. `said` is the
status that the client sees, and the code of a refusal. `by` is "privilege/role/identity" as the audit record must name what
decided, or the part of it that rules give without choice; "" demands that nothing is named.
"""
from typing import NamedTuple

# What the host has, in any case; it serves tokens to nobody (400), and knows GET alone (405).
VERSIONS, INSTANCE = "GET /metadata/versions", "GET /metadata/instance?api-version=2021-02-01"
COMPUTE = "GET /metadata/instance/compute?api-version=2021-02-01"
TOKEN = "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net"
WIRE, PLUGIN, HEALTH = "GET /?comp=versions", "GET /versions", "GET /health"
TELEMETRY, LOGS = "POST /machine/?comp=telemetrydata", "PUT /vmAgentLog"

MISMATCH, NO_RULE, DENIED = "403 identity_mismatch", "403 no_rule", "403 explicit_deny"
UNUSABLE, NOT_ROOT = "403 rules_unusable", "403 not_elevated"
NO_METHOD = "405 method_not_allowed"  # says the host
NOT_READY = "410 not_ready"
UNIT = "walinuxagent.service"
CONTAINER = "feed" + "5" * 60
NAMELESS = 54321


class Scenario(NamedTuple):
    who: str  # curl, python, client (the C program), copy (of it, called "curl")
    user: str | int
    request: str
    said: str
    by: str = ""
    at: str = ""  # cgroup below the reference cgroup
    groups: tuple = ()
    to: str = "imds"
    audit: dict = {}


class RuleSet(NamedTuple):
    """`privileges` as name: path or name: object; `grants` as (role, identities, what stands in openmsp)."""
    name: str
    scenarios: list
    privileges: dict | None = None
    roles: dict = {}
    identities: dict = {}
    grants: tuple = ()
    access: str = "Deny"
    mode: str = "Enforce"
    service: str = "imds"
    sections: tuple = ("privileges", "roles", "identities", "roleAssignments")

    def document(self, programs: str) -> dict:
        """`programs` is the folder that stands for "BIN" in rules."""
        def named(items: dict) -> list:
            return [{"name": name, **fields} for name, fields in items.items()]
        paths = {name: {"path": item} if isinstance(item, str) else item for name, item in self.privileges.items()}
        identities = {name: {**fields, **({"exePath": fields["exePath"].replace("BIN", programs)} if "exePath" in fields else {})}
                      for name, fields in self.identities.items()}
        whole = {"privileges": named(paths), "identities": named(identities),
                 "roles": [{"name": name, "privileges": held.split()} for name, held in self.roles.items()],
                 "roleAssignments": [{"role": role, "identities": who.split(), **({"openmsp": ours[0]} if ours else {})}
                                     for role, who, *ours in self.grants]}
        return {section: whole[section] for section in self.sections}


class Kept(NamedTuple):
    """A connection that lives while rules change: the same request before (None: it only connects) and after."""
    who: str
    user: str | int
    request: str
    before: str | None
    after: str
    at: str = ""
    to: str = "imds"


class Change(NamedTuple):
    to: str  # name of the rule set that comes
    connections: list[Kept]


S = Scenario
K = Kept
ALL = {"all": "/metadata"}
READER = {"reader": "all"}
DENY, DRY = {"effect": "deny"}, {"dryRun": True}
DRY_DENY = {**DENY, **DRY}

SETS = [
    RuleSet("no-rules-deny", [
        S("curl", "root", VERSIONS, NO_RULE), S("python", "nobody", INSTANCE, NO_RULE), S("client", NAMELESS, VERSIONS, NO_RULE),
    ]),
    RuleSet("no-rules-allow", [
        S("curl", "root", VERSIONS, "200"), S("python", "nobody", INSTANCE, "200"), S("client", NAMELESS, VERSIONS, "200"),
        S("client", "nobody", "GET /metadata/nothing-here", "404"),
    ], access="Allow"),
    RuleSet("users-and-groups", [
        S("curl", "nobody", INSTANCE, "200", "instance/reader/nobody"),
        S("client", "nobody", COMPUTE, "200", "instance/reader/nobody"),
        S("python", "www-data", INSTANCE, MISMATCH, "instance/"),
        S("client", "root", INSTANCE, MISMATCH, "instance/"),
        S("client", NAMELESS, INSTANCE, MISMATCH, "instance/"),
        S("client", "games", INSTANCE, "200", "instance/reader/players"),
        S("curl", "www-data", INSTANCE, "200", "instance/reader/players", groups=("games",)),
        S("client", "www-data", INSTANCE, "200", "instance/reader/players", groups=("operator", "staff", "games")),
        S("client", "www-data", INSTANCE, MISMATCH, "instance/", groups=("operator", "staff")),
        S("client", "daemon", "GET /metadata/attested", "404", "attested/attester/daemon-in-staff", groups=("staff",)),
        S("client", "daemon", "GET /metadata/attested", MISMATCH, "attested/attester/daemon-in-staff"),
        S("client", "games", "GET /metadata/attested", MISMATCH, "attested/attester/daemon-in-staff", groups=("staff",)),
        S("client", "nobody", "GET /metadata/scheduledevents", MISMATCH, "events/"),
        S("client", NAMELESS, "GET /metadata/scheduledevents", MISMATCH, "events/"),
        S("client", NAMELESS, VERSIONS, "200", "versions/everything/everybody"),
        S("python", "root", VERSIONS, "200", "versions/everything/everybody"),
        S("client", "nobody", "GET /metadata/loadbalancer", MISMATCH, "unheld"),
        S("client", "nobody", "GET /metadata/elsewhere", NO_RULE),
    ], {"instance": "/metadata/instance", "attested": "/metadata/attested", "events": "/metadata/scheduledevents",
        "versions": "/metadata/versions", "unheld": "/metadata/loadbalancer"},
        {"reader": "instance", "attester": "attested", "watcher": "events", "everything": "versions"},
        {"nobody": {"userName": "nobody"}, "players": {"groupName": "games"}, "everybody": {},
         "daemon-in-staff": {"userName": "daemon", "groupName": "staff"}, "upper": {"userName": "NOBODY"},
         "undefined": {"userName": "undefined"}, "number": {"userName": str(NAMELESS)}, "empty": {"userName": ""}},
        (("reader", "nobody players"), ("attester", "daemon-in-staff"), ("watcher", "upper undefined number empty"),
         ("everything", "everybody"))),
    RuleSet("programs", [
        S("client", "nobody", INSTANCE, "200", "instance/reader/client"),
        S("copy", "nobody", INSTANCE, MISMATCH, "instance/reader/client"),
        S("curl", "nobody", INSTANCE, MISMATCH, "instance/reader/client"),
        S("client", "www-data", INSTANCE, MISMATCH, "instance/reader/client"),
        S("curl", "daemon", VERSIONS, "200", "versions/looker/called-curl"),
        S("copy", "daemon", VERSIONS, "200", "versions/looker/called-curl"),  # a name is anybody's
        S("python", "daemon", VERSIONS, MISMATCH, "versions/looker/called-curl"),
        S("curl", "nobody", VERSIONS, MISMATCH, "versions/looker/called-curl"),
        S("python", "www-data", "GET /metadata/attested", "404", "attested/attester/python"),  # the rule names a link
        S("client", "www-data", "GET /metadata/attested", MISMATCH, "attested/attester/python"),
        S("client", "nobody", "GET /metadata/loadbalancer", MISMATCH, "balancer/balancers/"),
        S("client", "games", "GET /metadata/scheduledevents", "400", "events/watcher/spelt"),
    ], {"instance": "/metadata/instance", "versions": "/metadata/versions", "attested": "/metadata/attested",
        "balancer": "/metadata/loadbalancer", "events": "/metadata/scheduledevents"},
        {"reader": "instance", "looker": "versions", "attester": "attested", "balancers": "balancer", "watcher": "events"},
        {"client": {"userName": "nobody", "exePath": "BIN/client"}, "called-curl": {"userName": "daemon", "processName": "curl"},
         "python": {"userName": "www-data", "exePath": "/usr/bin/python3"},
         "dots": {"userName": "nobody", "exePath": "BIN/other/../client"}, "relative": {"userName": "nobody", "exePath": "client"},
         "spelt": {"groupName": "games", "exePath": "BIN//./client"}},
        (("reader", "client"), ("looker", "called-curl"), ("attester", "python"), ("balancers", "dots relative"),
         ("watcher", "spelt"))),
    RuleSet("places", [
        S("client", "root", INSTANCE, "200", "instance/reader/agent", at=f"system.slice/{UNIT}"),
        S("curl", "root", INSTANCE, "200", "instance/reader/agent", at=f"system.slice/{UNIT}/below"),
        S("curl", "root", INSTANCE, MISMATCH, "instance/reader/agent", at="system.slice/other.service"),
        S("python", "nobody", INSTANCE, MISMATCH, "instance/reader/agent", at=f"system.slice/{UNIT}"),
        S("client", "root", INSTANCE, MISMATCH, "instance/reader/agent", at=f"user.slice/user@33.service/{UNIT}"),
        S("client", "www-data", VERSIONS, "200", "versions/looker/workers", at="web.slice/workers"),
        S("client", "daemon", VERSIONS, "200", "versions/looker/workers", at="web.slice/workers/1"),
        S("client", "www-data", VERSIONS, MISMATCH, "versions/looker/workers", at="web.slice/workers2"),
        S("python", NAMELESS, "GET /metadata/attested", "404", "attested/attester/job", at=f"docker/{CONTAINER}"),
        S("client", "nobody", "GET /metadata/attested", MISMATCH, "attested/attester/job", at=f"docker/beef{CONTAINER[4:]}"),
        S("client", "nobody", "GET /metadata/attested", MISMATCH, "attested/attester/job"),
    ], {"instance": "/metadata/instance", "versions": "/metadata/versions", "attested": "/metadata/attested"},
        {"reader": "instance", "looker": "versions", "attester": "attested"},
        {"agent": {"userName": "root", "openmsp": {"unit": UNIT}}, "workers": {"openmsp": {"cgroup": "/web.slice/workers"}},
         "job": {"openmsp": {"container": CONTAINER[:16]}}},
        (("reader", "agent"), ("looker", "workers"), ("attester", "job"))),
    RuleSet("requests", [
        S("curl", "nobody", COMPUTE, "200", "compute/reader/everybody"),
        S("client", "nobody", "GET /metadata/instance/compute/vmId?api-version=2021-02-01&format=text", "200", "compute/reader/everybody"),
        S("client", "nobody", "GET /Metadata/%49nstance/COMPUTE/?api-version=2021-02-01", "404", "compute/reader/everybody"),
        S("client", "nobody", "GET /metadata/./instance/compute;a=1/name?api-version=2021-02-01", "404", "compute/reader/everybody"),
        S("client", "nobody", "GET /metadata/instance/computers?api-version=2021-02-01", NO_RULE),
        S("client", "nobody", INSTANCE, NO_RULE), S("python", "root", "GET /metadata/instance/network", NO_RULE),
        S("client", "nobody", VERSIONS, "200", "slash/reader/everybody"),
        S("client", "nobody", VERSIONS + "-of-another", NO_RULE),
        S("curl", "www-data", TOKEN, "400", "vault/reader/everybody"),
        S("python", "www-data", "GET /metadata/identity/oauth2/token?RESOURCE=HTTPS://vault.azure.net&x=1", "400", "vault/reader/everybody"),
        S("client", "www-data", TOKEN.replace("vault", "storage"), NO_RULE),
        S("client", "www-data", TOKEN + "/", NO_RULE),
        S("client", "www-data", "GET /metadata/identity/oauth2/token?api-version=2018-02-01", NO_RULE),
        S("client", "daemon", "GET /metadata/two?a=1&b=2", "404", "two/reader/everybody"),
        S("client", "daemon", "GET /metadata/two?a=1", NO_RULE),
        S("curl", "daemon", "HEAD /metadata/events", "405", "events/reader/everybody"),
        S("client", "daemon", "GET /metadata/events", "404", "events/reader/everybody"),
        S("curl", "daemon", "POST /metadata/events", NO_RULE), S("client", "daemon", "DELETE /metadata/events/1", NO_RULE),
        S("client", "daemon", "POST /metadata/acknowledge", NO_METHOD, "acknowledge/reader/everybody"),
        S("client", "daemon", "GET /metadata/acknowledge", NO_RULE),
    ], {"compute": "/metadata/instance/compute", "slash": "/metadata/versions/",
        "vault": {"path": "/metadata/identity/oauth2/token", "queryParameters": {"resource": "https://vault.azure.net"}},
        "two": {"path": "/metadata/two", "queryParameters": {"a": "1", "b": "2"}},
        "events": {"path": "/metadata/events", "openmsp": {"methods": ["GET", "HEAD"]}},
        "acknowledge": {"path": "/metadata/acknowledge", "openmsp": {"methods": ["POST"]}}},
        {"reader": "compute slash vault two events acknowledge"}, {"everybody": {}}, (("reader", "everybody"),)),
    RuleSet("denies", [
        S("client", "nobody", INSTANCE, "200", "all/reader/everybody"),
        S("curl", "www-data", INSTANCE, DENIED, "instance/instance-reader/batch"),
        S("client", "www-data", VERSIONS, "200", "all/reader/everybody"),
        S("python", "nobody", INSTANCE, DENIED, "instance/instance-reader/players", groups=("games",)),
        S("client", "root", INSTANCE, DENIED, "instance/instance-reader/web", at="system.slice/web.service"),
        S("client", "root", INSTANCE, "200", "all/reader/everybody", at="system.slice/webs.service"),
        S("client", NAMELESS, INSTANCE, DENIED, "instance/instance-reader/batch"),  # it may be who is denied
        S("client", NAMELESS, VERSIONS, "200", "all/reader/everybody"),
    ], {**ALL, "instance": "/metadata/instance"}, {**READER, "instance-reader": "instance"},
        {"everybody": {}, "batch": {"userName": "www-data"}, "players": {"groupName": "games"},
         "web": {"openmsp": {"unit": "web.service"}}},
        (("reader", "everybody"), ("instance-reader", "batch players web", DENY))),
    RuleSet("default-allow", [
        S("client", "nobody", VERSIONS, "200"), S("curl", "root", VERSIONS, "200"),
        S("client", "daemon", INSTANCE, "200", "instance/reader/daemon"),
        S("client", "nobody", INSTANCE, MISMATCH, "instance/"), S("python", "root", INSTANCE, MISMATCH, "instance/"),
        S("client", "www-data", TOKEN, DENIED, "token/token-reader/batch"),
        S("client", "nobody", TOKEN, MISMATCH, "token"),  # a privilege closes, also one that is there for a deny alone
        S("client", "nobody", "DELETE /metadata/events", NO_METHOD),
        S("client", "nobody", "GET /metadata/events", MISMATCH, "events"),
    ], {"instance": "/metadata/instance", "token": "/metadata/identity/oauth2/token",
        "events": {"path": "/metadata/events", "openmsp": {"methods": ["GET"]}}},
        {"reader": "instance", "token-reader": "token"}, {"daemon": {"userName": "daemon"}, "batch": {"userName": "www-data"}},
        (("reader", "daemon"), ("token-reader", "batch", DENY)), access="Allow"),
    RuleSet("dry-run", [
        S("client", "nobody", VERSIONS, "200", "all/reader/nobody"),
        S("curl", "nobody", INSTANCE, "200", "all/reader/nobody",
          audit={"dry_run": "deny", "dry_run_privilege": "instance", "dry_run_role": "narrow", "dry_run_identity": "nobody"}),
        S("python", "daemon", INSTANCE, MISMATCH, "all/reader/nobody",
          audit={"dry_run": "allow", "dry_run_privilege": "all", "dry_run_role": "reader", "dry_run_identity": "daemon"}),
        S("client", "root", VERSIONS, MISMATCH, "all/reader/nobody", audit={"dry_run": None}),
    ], {**ALL, "instance": "/metadata/instance"}, {**READER, "narrow": "instance"},
        {"nobody": {"userName": "nobody"}, "daemon": {"userName": "daemon"}},
        (("reader", "nobody"), ("narrow", "nobody", DRY_DENY), ("reader", "daemon", DRY))),
    RuleSet("mode-audit", [
        S("client", "nobody", INSTANCE, "200", "instance/reader/nobody"),
        S("curl", "root", INSTANCE, "200", "instance/", audit={"decision": "audit", "reason": "identity_mismatch"}),
        S("python", "nobody", VERSIONS, "200", audit={"decision": "audit", "reason": "no_rule"}),
        S("client", "www-data", INSTANCE, "200", "instance/reader/batch", audit={"decision": "audit", "reason": "explicit_deny"}),
    ], {"instance": "/metadata/instance"}, {"reader": "instance"},
        {"nobody": {"userName": "nobody"}, "batch": {"userName": "www-data"}},
        (("reader", "nobody"), ("reader", "batch", DENY)), mode="Audit"),
    RuleSet("mode-disabled", [
        S("client", "nobody", INSTANCE, "200"), S("curl", "root", VERSIONS, "200"), S("python", "www-data", INSTANCE, "200"),
    ], {"instance": "/metadata/instance"}, {"reader": "instance"}, {"batch": {"userName": "www-data"}},
        (("reader", "batch", DENY), ), mode="Disabled"),
    RuleSet("deny-of-nobody", [
        S("client", "nobody", VERSIONS, UNUSABLE), S("curl", "root", INSTANCE, UNUSABLE),
    ], ALL, READER, {"everybody": {}}, (("reader", "everybody"), ("reader", "ghost", DENY)), access="Allow", mode="Audit"),
    RuleSet("allow-of-nobody", [
        S("client", "nobody", VERSIONS, MISMATCH, "all/reader/daemon"), S("client", "daemon", VERSIONS, "200", "all/reader/daemon"),
    ], ALL, READER, {"daemon": {"userName": "daemon"}}, (("reader", "ghost daemon"), ("ghost", "daemon"))),
    RuleSet("a-section-is-missing", [
        S("client", "nobody", INSTANCE, "200"), S("curl", "root", VERSIONS, "200"),
    ], ALL, READER, {"daemon": {"userName": "daemon"}}, (("reader", "daemon"),), access="Allow",
        sections=("privileges", "roles", "identities")),
    RuleSet("an-assignment-is-missing", [
        S("client", "daemon", INSTANCE, MISMATCH, "all"), S("curl", "root", VERSIONS, MISMATCH, "all"),
    ], ALL, READER, {"daemon": {"userName": "daemon"}}, (), access="Allow"),
    RuleSet("wire-units", [
        S("curl", "root", WIRE, "200", "versions/reader/agent", at=f"system.slice/{UNIT}", to="wireserver"),
        S("client", "root", WIRE, MISMATCH, "versions/reader/agent", at="system.slice/other.service", to="wireserver"),
        S("python", "nobody", WIRE, NOT_ROOT, at=f"system.slice/{UNIT}", to="wireserver"),  # whatever rules say
        S("client", "root", "GET /?comp=goalstate", NO_RULE, to="wireserver"),
        S("client", "root", PLUGIN, "200", "plugin/reader/agent", at=f"system.slice/{UNIT}", to="hostga"),
        S("client", "root", PLUGIN, MISMATCH, "plugin/reader/agent", to="hostga"),
        S("curl", "root", HEALTH, DENIED, "health/prober/everybody", at=f"system.slice/{UNIT}", to="hostga"),
        S("client", "daemon", HEALTH, NOT_ROOT, to="hostga"),
        S("client", "root", TELEMETRY, "200", to="wireserver"), S("curl", "root", LOGS, "200", to="hostga"),
        S("client", "nobody", TELEMETRY, NOT_ROOT, to="wireserver"), S("client", "nobody", LOGS, NOT_ROOT, to="hostga"),
    ], {"versions": {"path": "/", "queryParameters": {"comp": "versions"}}, "plugin": "/versions", "health": "/health",
        "uploads": "/vmAgentLog", "telemetry": "/machine"},
        {"reader": "versions plugin", "prober": "health uploads telemetry"},
        {"agent": {"userName": "root", "openmsp": {"unit": UNIT}}, "everybody": {}},
        (("reader", "agent"), ("prober", "everybody", DENY)), service="wireServer"),
    RuleSet("wire-audit", [
        S("client", "root", WIRE, "200", to="wireserver", audit={"decision": "audit", "reason": "no_rule"}),
        S("curl", "root", HEALTH, "200", to="hostga", audit={"decision": "audit", "reason": "no_rule"}),
        S("client", "nobody", WIRE, NOT_ROOT, to="wireserver"),
    ], {"none": "/none"}, {"none": "none"}, {"everybody": {}}, (("none", "everybody"),), mode="Audit", service="wireServer"),
]

BY_NAME = {one.name: one for one in SETS}
# One after the other; what a connection had before is by the rules of the line above.
CHANGES = [
    Change("users-and-groups", []),
    Change("denies", [
        K("client", "nobody", INSTANCE, "200", "200"), K("python", "games", INSTANCE, "200", DENIED),
        K("client", "www-data", VERSIONS, "200", "200"), K("python", "www-data", INSTANCE, None, DENIED),
        K("client", "root", INSTANCE, None, "200"), K("client", "root", VERSIONS, "200", "200", at="system.slice/web.service"),
    ]),
    # Whose executable is one of the rules' but was not held when it connected has to come again, whatever it asks for.
    Change("programs", [
        K("client", "nobody", INSTANCE, "200", NOT_READY), K("python", "nobody", VERSIONS, "200", NOT_READY),
        K("copy", "nobody", VERSIONS, "200", MISMATCH), K("copy", "daemon", VERSIONS, "200", "200"),
        K("copy", "root", "GET /metadata/elsewhere", "404", NO_RULE),
    ]),
    Change("places", [
        K("client", "nobody", INSTANCE, "200", MISMATCH), K("client", "root", INSTANCE, None, "200", at=f"system.slice/{UNIT}"),
        K("python", "daemon", VERSIONS, None, "200", at="web.slice/workers"), K("copy", "daemon", VERSIONS, "200", MISMATCH),
    ]),
    Change("default-allow", [
        K("client", "root", INSTANCE, "200", MISMATCH, at=f"system.slice/{UNIT}"),
        K("python", "daemon", VERSIONS, "200", "200", at="web.slice/workers"),
        K("client", "www-data", TOKEN, None, DENIED), K("python", "daemon", INSTANCE, None, "200"),
    ]),
    Change("mode-audit", [
        K("client", "nobody", VERSIONS, "200", "200"), K("python", "nobody", INSTANCE, None, "200"),
        K("client", "www-data", INSTANCE, None, "200"),
    ]),
    Change("dry-run", [
        K("client", "root", INSTANCE, "200", MISMATCH), K("python", "nobody", INSTANCE, "200", "200"),
        K("client", "www-data", INSTANCE, "200", MISMATCH),
    ]),
    Change("requests", [
        K("client", "nobody", INSTANCE, "200", NO_RULE), K("python", "nobody", VERSIONS, "200", "200"),
        K("client", "daemon", "POST /metadata/events", None, NO_RULE), K("client", NAMELESS, COMPUTE, None, "200"),
    ]),
    Change("deny-of-nobody", [
        K("client", "nobody", VERSIONS, "200", UNUSABLE), K("python", "root", COMPUTE, "200", UNUSABLE),
    ]),
    Change("no-rules-allow", [K("client", "nobody", VERSIONS, None, "200"), K("python", NAMELESS, INSTANCE, None, "200")]),
    Change("mode-disabled", [K("client", "nobody", INSTANCE, "200", "200"), K("python", "www-data", INSTANCE, None, "200")]),
    Change("wire-units", []),
    Change("wire-audit", [
        K("client", "root", WIRE, None, "200", to="wireserver"), K("python", "root", PLUGIN, None, "200", to="hostga"),
        K("client", "root", WIRE, "200", "200", at=f"system.slice/{UNIT}", to="wireserver"),
        K("client", "nobody", WIRE, None, NOT_ROOT, to="wireserver"),
    ]),
    Change("wire-units", [
        K("client", "root", WIRE, "200", MISMATCH, at="system.slice/other.service", to="wireserver"),
        K("python", "root", WIRE, "200", "200", at=f"system.slice/{UNIT}", to="wireserver"),
        K("client", "root", HEALTH, "200", DENIED, to="hostga"),
    ]),
]
