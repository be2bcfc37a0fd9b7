# SPDX-License-Identifier: Apache-2.0
"""msp-host is restarted, begins anew and is killed while clients ask without a pause: who asks, and how, loses nothing.

The service manager is a stand-in (lab/manager.py) that hears and keeps what systemd would.
"""
import json
import random
import select
import signal
import time
from collections import Counter

from base import LabCase, number
from lab import http
from lab.lab import HOST_ADDRESS, IMDS, ORDINARY_USER, WIRESERVER, stop
from lab.manager import Manager
from lab.world import poll

RESTARTS = number("MSP_RESTARTS", 4)
SEED = number("MSP_SEED", 7)
QUEUED = 20
CHANNEL = "/secure-channel/status"  # answered without a signature
VERSIONS = "/metadata/versions"
SECOND = f"{HOST_ADDRESS}:8080"


def ask_anew(address: str, target: str, until: float) -> Counter:
    """A connection for each request."""
    seen: Counter = Counter()
    while time.time() < until:
        answer = http.get(address, target)
        seen["served" if answer.status == 200 else f"failed: {answer}"] += 1
        time.sleep(0.004)
    return seen


def ask_on(address: str, target: str, until: float, pause: float) -> Counter:
    """One connection for as long as the other side keeps it. It may say that it closes, or close while nothing is asked."""
    seen: Counter = Counter()
    connection = reader = None
    while time.time() < until:
        if connection and select.select([connection], [], [], 0)[0]:
            seen["closed between requests"] += 1
            connection = None
        try:
            if not connection:
                connection = http.connect(address)
                reader = http.Reader(connection)
            connection.sendall(http.request_bytes(address, target))
            answer = reader.answer()
        except OSError as error:
            seen[f"failed: {error}"] += 1
            connection = None
            continue
        seen["served" if answer.status == 200 else f"failed: {answer}"] += 1
        if answer.headers.get("connection") == "close":
            seen["told to close"] += 1
            connection = None
        time.sleep(pause)
    return seen


def sockets_in_queue(port: int) -> int:
    """The kernel's count, of every listener at this port of this namespace."""
    with open("/proc/thread-self/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in list(table)[1:]]
    listening = "0A"
    return sum(int(row[4].split(":")[1], 16) for row in rows if row[3] == listening and int(row[1].split(":")[1], 16) == port)


class HostRestart(LabCase):
    def setUp(self) -> None:
        stop(self.lab.host)
        self.manager = Manager(self.lab.folder / f"{self.id().rsplit('.')[-1][:40]}.sock")
        self.addCleanup(self.manager.close)
        self.addCleanup(lambda: stop(self.lab.host))
        self.start()

    def start(self) -> None:
        with open(self.lab.folder / "msp-host.log", "ab") as log:
            argv = [self.lab.programs / "msp-host", "--config", self.lab.host_config_file]
            self.lab.host = self.manager.start(self.lab.host_place, argv, {}, dict(self.manager.kept), cwd="/", stdout=log, stderr=log)
        self.manager.wait_for("READY=1")

    def under_load(self, each, rounds: int = RESTARTS) -> None:
        """`each` once a round, at any moment of the load."""
        chance = random.Random(SEED)
        lab, until = self.lab, time.time() + 2 + 2 * rounds
        user = lab.guest.as_user(ORDINARY_USER)
        clients = {
            "anew, host": [lab.outside.start(ask_anew, WIRESERVER, CHANNEL, until) for _ in range(2)],
            "kept, host": [lab.outside.start(ask_on, WIRESERVER, CHANNEL, until, 0.002) for _ in range(2)],
            "kept with pauses, host": [lab.outside.start(ask_on, WIRESERVER, CHANNEL, until, 0.6)],
            "anew, agent": [user.start(ask_anew, IMDS, VERSIONS, until) for _ in range(2)],
            "kept, agent": [user.start(ask_on, IMDS, VERSIONS, until, 0.002)],
        }
        took = []
        for _ in range(rounds):
            time.sleep(0.3 + chance.random())
            begin = time.monotonic()
            each()
            took.append(time.monotonic() - begin)
        seen = {name: sum((one.result() for one in some), Counter()) for name, some in clients.items()}
        print(f"seed {SEED}, {rounds} times, at most {max(took):.2f} s: {({name: dict(one) for name, one in seen.items()})}", flush=True)
        for name, one in seen.items():
            with self.subTest(name):
                self.assertEqual([key for key in one if key.startswith("failed")], [])
                self.assertGreater(one["served"], 2)
        self.assertGreaterEqual(seen["kept, host"]["told to close"], rounds)

    def begin_anew(self) -> None:
        self.lab.host.send_signal(signal.SIGHUP)
        self.manager.wait_for("RELOADING=1")
        self.manager.wait_for("READY=1")

    def channel(self, address: str = WIRESERVER):
        return self.lab.outside.call(http.get, address, CHANNEL)

    def test_a_restart_under_load_loses_nothing(self):
        self.assertEqual(sorted(one.getsockname()[1] for one in self.manager.kept.values()), [80, 80, 32526])
        keys = self.lab.key_files()

        def restart() -> None:
            self.lab.host.terminate()
            self.manager.wait_for("STOPPING=1")
            self.assertEqual(self.lab.host.wait(10), 0)
            self.manager.said.clear()
            self.start()
            self.assertNotIn("FDSTORE=1", "\n".join(self.manager.said), "it is kept already")
        self.under_load(restart)
        self.assertEqual(self.lab.key_files(), keys)

    def test_it_begins_anew_in_place_under_load(self):
        process = self.lab.host.pid
        self.under_load(self.begin_anew)
        self.assertEqual((self.lab.host.pid, self.lab.host.poll()), (process, None))

    def test_without_a_manager_it_begins_anew_under_load(self):
        stop(self.lab.host)
        for name in list(self.manager.kept):
            self.manager.forget(name)
        self.lab.start_host()

        def anew() -> None:
            lines = self.lab.log_of("msp-host", 10_000).count("serves 1 virtual machines")
            self.lab.host.send_signal(signal.SIGHUP)
            poll("it serves again", lambda: self.lab.log_of("msp-host", 10_000).count("serves 1 virtual machines") > lines)
        self.under_load(anew)

    def test_who_waits_in_the_queue_survives_a_kill(self):
        lab = self.lab
        keys, issued = lab.key_files(), len([r for r in lab.host_records() if r.get("path") == "/secure-channel/key"])
        for when in ("before the kill", "after it"):
            with self.subTest(when):
                if when == "before the kill":
                    lab.host.send_signal(signal.SIGSTOP)
                else:
                    lab.host.kill()
                    lab.host.wait()
                waiting = [lab.outside.start(http.get, WIRESERVER, CHANNEL) for _ in range(QUEUED)]
                poll("they wait", lambda: self.queued() >= QUEUED)
                lab.host.kill()
                lab.host.wait()
                self.start()
                self.assertEqual(Counter(one.result().status for one in waiting), {200: QUEUED})
        poll("the agent is served with its old key", lambda: lab.guest_get(VERSIONS).status == 200)
        self.assertEqual(lab.key_files(), keys)
        self.assertEqual(len([r for r in lab.host_records() if r.get("path") == "/secure-channel/key"]), issued)

    def queued(self) -> int:
        """Connections that nobody has accepted, at the listener of WireServer."""
        return self.lab.host_place.call(sockets_in_queue, 80)

    def test_a_configuration_that_does_not_hold_changes_nothing(self):
        good = self.lab.host_config_file.read_text()
        self.addCleanup(self.lab.host_config_file.write_text, good)
        config = json.loads(good)
        listener = {**config["listeners"][0], "address": "203.0.113.9"}
        changed = {
            "another state": {"stateDirectory": str(self.lab.folder / "elsewhere")},
            "no master key there": {"masterKeyFile": "no-such.key"},
            "an access log in no folder": {"accessLog": "no-such-folder/access.jsonl"},
            "an address that this machine has not": {"listeners": [*config["listeners"], listener]},
            "a socket that cannot be made": {"adminSocket": "/proc/no-such/admin.sock"},
            "metrics that cannot be": {"metricsListen": "/proc/no-such/metrics.sock"},
            "no key to attest with": {"attestationFile": "no-such.pem"},
        }
        damages = {"no JSON": "{", "a model that is not there": good.replace("vm-1.json", "vm-9.json"),
                   **{what: json.dumps({**config, **change}) for what, change in changed.items()}}
        for what, damage in damages.items():
            with self.subTest(what):
                self.lab.host_config_file.write_text(damage)
                self.refuses_to_begin_anew()
        self.assertFalse((self.lab.folder / "elsewhere").exists())

    def test_a_model_whose_incarnation_fell_changes_nothing(self):
        file = self.lab.host_config_file.parent / json.loads(self.lab.host_config_file.read_text())["virtualMachines"][0]["model"]
        good = file.read_text()
        self.addCleanup(file.write_text, good)
        model = json.loads(good)
        settings = model["properties"]["securityProfile"]["proxyAgentSettings"]
        self.assertGreater(settings["keyIncarnationId"], 0)
        settings["keyIncarnationId"] = 0
        file.write_text(json.dumps(model))
        self.refuses_to_begin_anew()

    def refuses_to_begin_anew(self) -> None:
        said = self.lab.log_of("msp-host", 10_000).count("nothing has changed")
        self.manager.drain()
        self.manager.said.clear()
        self.lab.host.send_signal(signal.SIGHUP)
        poll("the log says so", lambda: self.lab.log_of("msp-host", 10_000).count("nothing has changed") > said)
        self.assertEqual(self.channel().status, 200)
        self.assertTrue(self.manager.silent_about("RELOADING", 0.2))
        self.assertIsNone(self.lab.host.poll())

    def test_listeners_come_and_go_with_the_configuration(self):
        config = json.loads(self.lab.host_config_file.read_text())
        self.addCleanup(self.lab.host_config_file.write_text, json.dumps(config))
        host, port = http.split_address(SECOND)
        more = {**config, "listeners": [*config["listeners"], {"address": host, "port": port, "service": "wireserver"}]}
        self.assertIn("refused", self.channel(SECOND).error.lower())
        self.lab.host_config_file.write_text(json.dumps(more))
        self.begin_anew()
        self.assertEqual(self.channel(SECOND).status, 200)
        self.assertEqual(len(self.manager.kept), 4)
        self.lab.host_config_file.write_text(json.dumps(config))
        self.begin_anew()
        self.assertIn("refused", self.channel(SECOND).error.lower())
        self.assertEqual(len(self.manager.kept), 3)
        self.assertEqual(self.channel().status, 200)

    def test_what_is_not_its_listener_is_not_taken(self):
        name = next(one for one in self.manager.kept if one.endswith("168.63.129.16-80"))
        stop(self.lab.host)
        other = next(one for one in self.manager.kept if one.endswith("-32526"))
        self.manager.kept[name], kept = self.manager.kept[other].dup(), self.manager.kept[name]
        kept.close()
        self.manager.said.clear()
        self.start()
        self.assertIn(f"FDSTOREREMOVE=1\nFDNAME={name}", self.manager.said)
        self.assertEqual(self.manager.kept[name].getsockname(), ("168.63.129.16", 80), "a new one is kept in its place")
        self.assertIn("is not taken over: it listens on 168.63.129.16:32526", self.lab.log_of("msp-host"))
        self.assertEqual(self.channel().status, 200)
