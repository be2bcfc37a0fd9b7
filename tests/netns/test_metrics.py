# SPDX-License-Identifier: Apache-2.0
"""Metrics of both programs: promtool takes them, and they are true: what is counted is compared with what was asked."""
import http.client
import os
import re
import socket
import stat
import subprocess
from pathlib import Path

from base import LabCase
from lab import http as lab_http
from lab.lab import ORDINARY_USER, WIRESERVER, stop
from lab.world import poll

LISTENER = "127.0.0.1:3080"
PROMTOOL = Path(__file__).resolve().parents[2] / "build/promtool/promtool"
AGENT, HOST = "127.0.0.1:9464", "127.0.0.1:9465"
SAMPLE = re.compile(r"^([a-z_]+(?:\{[^}]*\})?) (\S+)$")


def scrape(place: str, path: str = "/metrics") -> tuple[int, str, str]:
    """Status, type and text, from a port or a unix socket."""
    address, _, port = place.rpartition(":")
    connection = http.client.HTTPConnection(address or "localhost", int(port) if address else None, timeout=5)
    if place.startswith("/"):
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(place)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers["content-type"], text


def samples(text: str) -> dict[str, float]:
    return {match[1]: float(match[2]) for line in text.splitlines() if (match := SAMPLE.match(line))}


class Metrics(LabCase):
    agent_config = {"openmsp": {"metricsListen": AGENT, "pollIntervalMilliseconds": 1000}}

    @classmethod
    def prepare(cls) -> None:
        config = cls.lab._host_config() | {"metricsListen": HOST}
        cls.lab._write("host.json", config)

    def of_agent(self) -> dict[str, float]:
        return samples(self.lab.guest.call(scrape, AGENT)[2])

    def of_host(self) -> dict[str, float]:
        return samples(self.lab.host_place.call(scrape, HOST)[2])

    def test_promtool_and_the_endpoint(self):
        for place, where in ((self.lab.guest.as_user(ORDINARY_USER), AGENT), (self.lab.host_place, HOST)):
            with self.subTest(where):
                status, kind, text = place.call(scrape, where)
                self.assertEqual((status, kind), (200, "text/plain; version=0.0.4; charset=utf-8"))
                done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
                self.assertEqual(place.call(scrape, where, "/")[0], 404)
                self.assertGreaterEqual(len(samples(text)), 10)
                # A scrape is no request of a guest, nor does it name anything of one.
                self.assertNotIn(ORDINARY_USER, text)
        with self.subTest("promtool would object"):
            done = subprocess.run([PROMTOOL, "check", "metrics"], input="# TYPE x counter\nx 1\n", capture_output=True, text=True,
                                  check=False)
            self.assertNotEqual(done.returncode, 0)

    def test_what_is_counted_is_what_was_asked(self):
        lab = self.lab
        poll("nothing is open", lambda: self.of_agent()["msp_agent_connections_open"] == 0, 5)
        agent, host = self.of_agent(), self.of_host()
        for _ in range(7):
            self.assertEqual(lab.guest_get("/metadata/versions").status, 200)
        for _ in range(3):
            self.assertEqual(lab.guest_get("/?comp=versions", WIRESERVER).status, 403)
        for _ in range(2):
            self.assertEqual(lab.guest_get("/metadata/%zz").status, 400)
        self.assertEqual(lab.guest_get("/provision", LISTENER).status, 200)
        # Around the agent: the host refuses, and counts.
        for _ in range(4):
            self.assertIn(lab.outside.call(lab_http.get, "169.254.169.254:80", "/metadata/versions").status, (401, 403))
        wanted = {'msp_agent_requests_total{outcome="served"}': 7, 'msp_agent_requests_total{outcome="denied"}': 3,
                  'msp_agent_requests_total{outcome="malformed"}': 2, 'msp_agent_requests_total{outcome="local"}': 1,
                  "msp_agent_connections_total": 13, 'msp_agent_kernel_events_total{event="redirected"}': 12,
                  'msp_agent_kernel_events_total{event="direct"}': 1,
                  "msp_agent_connections_open": 0}

        def grown(now: dict, before: dict, names) -> dict:
            return {name: now[name] - before.get(name, 0) for name in names}
        poll("the agent's counts", lambda: grown(self.of_agent(), agent, wanted) == wanted, 5)
        poll("its audit records", lambda: self.of_agent()["msp_agent_audit_records_total"] - agent[
            "msp_agent_audit_records_total"] == 13, 5)
        now = self.of_host()
        refused = sum(now[name] - host.get(name, 0) for name in now if name.startswith("msp_host_requests_refused_total"))
        self.assertEqual(refused, 4)
        [name] = [name for name in now if name.startswith("msp_host_requests_total")]
        polls = sum(record.get("path", "").startswith("/secure-channel") for record in lab.host_records())
        self.assertGreaterEqual(now[name] - host[name], 11)
        self.assertLessEqual(now[name] - host[name], 11 + polls)
        self.assertEqual([value for key, value in now.items() if key.startswith("msp_host_key_latched")], [1])

    def test_states(self):
        now = self.of_agent()
        self.assertEqual(now["msp_agent_protected"], 1)
        self.assertEqual(now['msp_agent_channel_phase{phase="latched"}'], 1)
        self.assertEqual(sum(value for name, value in now.items() if name.startswith("msp_agent_channel_phase")), 1)
        self.assertEqual(now["msp_agent_channel_long_poll"], 1)
        self.assertEqual(now['msp_agent_service_mode{service="imds",mode="enforce"}'], 1)
        status = subprocess.run([self.lab.programs / "mspctl", "status", "--config", self.lab.agent_config_file],
                                capture_output=True, text=True, check=False).stdout
        self.assertIn("answers, long poll: changes arrive at once", status)
        stop(self.lab.host)
        poll("the host is gone", lambda: self.of_agent()["msp_agent_channel_host_answers"] == 0, 10)
        self.assertEqual(self.of_agent()["msp_agent_protected"], 0)
        self.assertEqual(self.of_agent()["msp_agent_channel_long_poll"], 0)
        self.lab.start_host()
        poll("protected again", lambda: self.of_agent()["msp_agent_protected"] == 1, 10)


class MetricsSocket(LabCase):
    start_agent = False

    def test_off_by_default_and_a_socket_for_root_alone(self):
        lab, path = self.lab, self.lab.folder / "agent" / "metrics.sock"
        lab.start_agent()
        sockets = {entry for entry in os.listdir(path.parent) if entry.endswith(".sock")}
        self.assertEqual(sockets, {"control.sock"})
        with self.assertRaisesRegex(RuntimeError, "ConnectionRefused"):
            lab.guest.call(scrape, AGENT)
        lab.stop_agent()
        config = lab._agent_config(lab.guest_cgroup / "agent")
        config["openmsp"]["metricsListen"] = str(path)
        lab._write("agent.json", config)
        lab.start_agent()
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertIn("msp_agent_protected 1\n", lab.guest.call(scrape, str(path))[2])
        with self.assertRaisesRegex(RuntimeError, "PermissionError"):
            lab.guest.as_user(ORDINARY_USER).call(scrape, str(path))
        lab.stop_agent()
        self.assertFalse(path.exists())
        for place in ("0.0.0.0:9464", "10.77.0.2:9464", "metrics.sock", "127.0.0.1:0"):
            with self.subTest(place):
                config["openmsp"]["metricsListen"] = place
                lab._write("agent.json", config)
                done = subprocess.run([lab.programs / "msp-agent", "--config", lab.agent_config_file, "--check-config"],
                                      capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn("/openmsp/metricsListen", done.stderr)
