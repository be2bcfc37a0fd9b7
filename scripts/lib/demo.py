#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demo: demo.py --programs DIR [--keep]. Started by scripts/demo, which builds first.

Every row is a real request by an unmodified curl in the guest's namespace; what is expected is compared with what came.
"""
import argparse
import json
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support"))

from lab.lab import IMDS, ORDINARY_USER, WIRESERVER, Lab  # noqa: E402
from lab.relay import Relay  # noqa: E402
from lab.world import Place, poll  # noqa: E402

INSTANCE = f"http://{IMDS.split(':')[0]}/metadata/instance?api-version=2021-02-01"
VERSIONS = f"http://{WIRESERVER.split(':')[0]}/?comp=versions"
FORGED = ["-H", 'x-ms-azure-host-claims: { "isRoot": "true"}',
          "-H", "x-ms-azure-host-authorization: Azure-HMAC-SHA256 00000000-0000-0000-0000-000000000000 " + "0" * 64]
BODY = '{"pay": 1}'
COULD_NOT_CONNECT = 7


class Seen:
    """What curl saw: status 0 means that there was no answer, then curl's own exit code tells why."""

    def __init__(self, place: Place, url: str, *options: str):
        done = place.run(["curl", "-sS", "-m", "10", "-H", "Metadata: true", "-w", "\n%{http_code}", *options, url])
        text, _, status = done.stdout.decode(errors="replace").rpartition("\n")
        self.exit, self.status, self.body = done.returncode, int(status or 0), text

    def reason(self) -> str:
        try:
            document = json.loads(self.body)
            return f"{document.get('error', '')}: {document.get('error_description', '')}"
        except (ValueError, AttributeError):
            return ""

    def __str__(self) -> str:
        if self.exit == COULD_NOT_CONNECT:
            return "connection refused"
        return str(self.status) if self.status else f"no answer (curl exit {self.exit})"


class Table:
    def __init__(self):
        self.good = True
        print(f"\n  {'what was tried':<66} {'expected':<20} seen")
        print(f"  {'-' * 66} {'-' * 20} {'-' * 26}")

    def row(self, what: str, expected: str, seen, good: bool, remark: str = "") -> None:
        self.good = self.good and good
        print(f"  {what:<66} {expected:<20} {seen}{'' if good else '   NOT AS EXPECTED'}")
        if remark:
            print(f"      {remark}")
        sys.stdout.flush()


def show(lab: Lab) -> bool:
    user, root, around = lab.guest.as_user(ORDINARY_USER), lab.guest, lab.outside
    table = Table()

    seen = Seen(user, INSTANCE)
    table.row(f"curl by '{ORDINARY_USER}' to the instance metadata service (IMDS)", "200", seen, seen.status == 200)
    seen = Seen(user, VERSIONS)
    table.row("the same to WireServer, where only root may", "403, with reason", seen,
              seen.status == 403 and bool(seen.reason()), seen.reason())
    seen = Seen(root, VERSIONS)
    table.row("curl by root to WireServer", "200", seen, seen.status == 200)
    seen = Seen(user, VERSIONS, *FORGED)
    table.row(f"'{ORDINARY_USER}' claims to be root in forged headers", "403", seen, seen.status == 403)
    seen = Seen(user, INSTANCE, *FORGED)
    stripped = lab.audit_says(lambda record: record.get("stripped") is True)
    table.row("the same headers to IMDS: taken off, ours put on", "200, audited", f"{seen}{', audited' if stripped else ''}",
              seen.status == 200 and stripped)
    seen = Seen(around, VERSIONS)
    table.row("root goes around the agent (a cgroup without hooks)", "401/403 by host", seen, seen.status in (401, 403),
              seen.reason())

    keys = lab.key_files()
    lab.kill_agent()
    seen = Seen(user, INSTANCE)
    table.row("the agent is killed with -9, the same curl again", "connection refused", seen,
              seen.exit == COULD_NOT_CONNECT)
    begin = time.monotonic()
    lab.start_agent()
    took = time.monotonic() - begin
    seen = Seen(user, INSTANCE)
    same = lab.key_files() == keys and len(keys) == 1
    table.row("the agent is started again: served with the key it had", "200, same key",
              f"{seen}, {'same key' if same else 'another key'}, {took * 1000:.0f} ms", seen.status == 200 and same,
              f"key {keys[0].removesuffix('.key') if keys else 'none'}")

    with Relay(lab) as relay:
        body = ["-X", "GET", "-d", BODY]
        seen = Seen(user, INSTANCE, *body)
        table.row("somebody sits on the cable to the host and only listens", "200", seen, seen.status == 200)
        relay.alter = lambda data: data.replace(BODY.encode(), BODY.replace("1", "9").encode())
        seen = Seen(user, INSTANCE, *body)
        table.row("and now changes one byte of the request's body", "401/403 by host", seen, seen.status in (401, 403),
                  seen.reason())
    return table.good


def helper(lab: Lab, name: str, place: Place) -> Path:
    """A script that runs its arguments at that place, for the person who plays."""
    path = lab.folder / name
    path.write_text(f"#!/bin/sh\necho 0 >{place.cgroup}/cgroup.procs\n"
                    f"exec nsenter --net=/run/netns/{place.netns} \"$@\"\n")
    path.chmod(0o755)
    return path


def suggest(lab: Lab) -> None:
    guest, outside = helper(lab, "guest", lab.guest), helper(lab, "outside", lab.outside)
    print(f"""
It is running. In another terminal, as root:
  {guest} runuser -u {ORDINARY_USER} -- curl -s -H Metadata:true '{INSTANCE}'
  {guest} curl -s '{VERSIONS}'
  {outside} curl -s '{VERSIONS}'             (around the agent)
  {lab.programs}/mspctl status --config {lab.agent_config_file}
  tail -f {lab.agent_audit}         (one line a request: who, what, why)
  tail -f {lab.host_log}             (what the host saw)
The virtual machine as the host knows it: {lab.vm_model_file}
Ctrl-C ends it and cleans up.""", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    begin = time.monotonic()
    with Lab(arguments.programs, "msp-demo") as lab:
        try:
            lab.start_host()
            lab.start_agent()
            good = show(lab)
        except Exception as error:
            print(f"\nThe demo broke off: {error}", file=sys.stderr)
            for program in ("msp-host", "msp-agent"):
                print(f"--- {program}, last lines\n{lab.log_of(program)}", file=sys.stderr)
            return 1
        print(f"\n{'Every row is as expected.' if good else 'SOME ROWS ARE NOT AS EXPECTED.'} "
              f"({time.monotonic() - begin:.0f} s)")
        if arguments.keep:
            suggest(lab)
            try:
                while True:
                    signal.pause()
            except KeyboardInterrupt:
                print("cleaning up")
        else:
            print("Next: 'scripts/demo --keep' leaves all this running and tells how to play with it; ARCHITECTURE.md\n"
                  "shows how it works, SECURITY.md what it survives; 'scripts/test' runs every test.")
    return 0 if good else 1


sys.exit(main())
