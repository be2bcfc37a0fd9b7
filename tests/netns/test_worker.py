# SPDX-License-Identifier: Apache-2.0
"""The data plane as a process of its own: what it may not do, what its death costs, and what both processes weigh.

MSP_KILLS says how often the worker is killed under load (ordinary run 5; the monitor: test_kill.py).
"""
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from pathlib import Path

from base import PROGRAMS, LabCase, number
from kills import IN_FLIGHT, HostLog, probe_until, start_load
from lab import http
from lab.lab import IMDS, ORDINARY_USER, WIRESERVER, stop
from lab.world import poll, run
from test_service import WAIT_ALL, StoppedThread

KILLS = number("MSP_KILLS", 5)
SEED = number("MSP_SEED", 20253)
VERSIONS = "/metadata/versions"
FROM_HOST = "/?comp=versions"
ATTACKER = PROGRAMS / "tests" / "worker" / "attacker"
MOST_PSS_KB = 8 * 1024


def status_of(pid: int) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def pss_kb(pid: int) -> int:
    return int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M).group(1))


def attempts(text: str) -> dict[str, str]:
    return dict(re.findall(r"\battack ([\w-]+): (\w+)$", text, re.M))


class Worker(LabCase):
    def test_it_has_nothing(self):
        worker = self.lab.worker_pid()
        status = status_of(worker)
        self.assertEqual(status["Name"], "msp-worker")
        for ids in ("Uid", "Gid"):
            self.assertNotIn("0", status[ids].split())
        self.assertEqual(status["Groups"].split(), [])
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[capabilities], 16), 0, capabilities)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        self.assertIn("(deleted)", os.readlink(f"/proc/{worker}/root"), "its root is a directory without a name")
        self.assertEqual(os.listdir(f"/proc/{worker}/root"), [])
        libraries = Path(f"/proc/{worker}/maps").read_text()
        for name in ("libbpf", "libelf", "spdlog"):
            self.assertNotIn(name, libraries)
        self.lab.wait_served()  # nothing is on its way any more, and the list stays as it is
        opened = {os.readlink(f"/proc/{worker}/fd/{fd}") for fd in os.listdir(f"/proc/{worker}/fd")}
        files = {name for name in opened if not name.startswith(("socket:", "anon_inode:", "/memfd:", "/dev/null"))}
        self.assertEqual({name.split(":")[0] for name in files}, {"pipe"}, "standard error leads to the monitor")

    def test_a_worker_that_dies_loses_what_is_in_flight_and_nothing_else(self):
        lab, chance = self.lab, random.Random(SEED)
        lab.wait_served()
        agent, keys, host_log = lab.agent.pid, lab.key_files(), HostLog(lab.host_log)
        host_log.latched()
        load = start_load(lab, 3 * KILLS + 10)
        prober = lab.guest.as_user(ORDINARY_USER).start(probe_until, time.time() + 1.0 * KILLS)
        back, died = [], self.deaths()
        for _ in range(KILLS):
            time.sleep(0.2 + chance.random() * 0.5)
            before = poll("a worker", lab.worker_pid, 3, 0.001)
            os.kill(before, signal.SIGKILL)
            begin = time.monotonic()
            poll("another worker", lambda: lab.worker_pid() != before, 3, 0.001)
            self.assertEqual(lab.guest_get(VERSIONS).status, 200)
            back.append(time.monotonic() - begin)
        seen = prober.result()
        load.kill()
        load.wait()
        print(f"seed {SEED}: {KILLS} kills of the worker; served again after {sorted(back)[KILLS // 2] * 1000:.0f} ms (median), "
              f"{max(back) * 1000:.0f} ms (worst); prober: {dict(seen)}", flush=True)
        self.assertEqual(lab.agent.pid, agent)
        self.assertIsNone(lab.agent.poll(), "the monitor lives")
        self.assertLess(sorted(back)[KILLS // 2], 1.0)
        self.assertEqual(set(seen) - {"status 200", "status 410", "cut"}, set(), "nobody is refused")
        self.assertLessEqual(seen["cut"] + seen["status 410"], 2 * KILLS)
        self.assertEqual(lab.key_files(), keys)
        verified = host_log.read()
        self.assertEqual((host_log.unsigned[:3], host_log.refusals), ([], {}))
        # What was known before its death is in the log, or counted where the disk was too slow: the queue is the monitor's.
        audit = poll("all is written", lambda: (a := lab.status()["counters"]["audit"])["written"] + a["lost"] >= verified - KILLS *
                     IN_FLIGHT and a, 5)
        print(f"{verified} verified by the host; audit log: {audit['written']} written, {audit['lost']} lost", flush=True)
        self.assertEqual(self.deaths() - died, KILLS)

    def another_worker(self) -> None:
        before = self.lab.worker_pid()
        os.kill(before, signal.SIGKILL)
        poll("another worker", lambda: self.lab.worker_pid() != before, 3)

    def deaths(self) -> int:
        return self.lab.log_of("msp-agent", 1000).count("ended by signal 9")

    def test_rules_and_names_reach_the_next_worker(self):
        self.another_worker()
        record = self.assert_refused(self.lab.guest_get(FROM_HOST, WIRESERVER), 403)
        self.assertEqual(record["user"], ORDINARY_USER)
        self.assertEqual(self.lab.guest_get(FROM_HOST, WIRESERVER, user=None).status, 200)

    def test_one_that_stands_still_is_replaced_before_the_watchdog_would_end_both(self):
        self.lab.wait_served()
        before, agent = self.lab.worker_pid(), self.lab.agent.pid
        os.kill(before, signal.SIGSTOP)
        begin = time.monotonic()
        waiting = [self.lab.guest.as_user(ORDINARY_USER).start(http.get, IMDS, VERSIONS) for _ in range(5)]
        poll("another worker", lambda: self.lab.worker_pid() != before, 12)
        self.assertLess(time.monotonic() - begin, 9)
        self.assertEqual([child.result().status for child in waiting], [200] * 5, "they have waited")
        self.assertEqual(self.lab.agent.pid, agent)
        self.assertIsNone(self.lab.agent.poll())
        self.assertIn("the worker does not answer", self.lab.log_of("msp-agent"))

    def test_the_thread_whose_end_ends_it_holds_no_file(self):
        """The kernel closes the files of a killed process before its last thread is gone, and inotify takes seconds for that."""
        tasks = Path(f"/proc/{self.lab.agent.pid}/task")
        [parent] = [task for task in tasks.iterdir() if (task / "children").read_text().strip()]
        self.assertEqual(os.listdir(parent / "fd"), [])
        self.assertGreater(len(os.listdir(f"/proc/{self.lab.agent.pid}/fd")), 10, "the others' are there")

    def test_without_its_monitor_it_ends_and_the_gate_is_shut(self):
        worker = self.lab.worker_pid()
        self.lab.kill_agent()
        poll("the worker has ended", lambda: not Path(f"/proc/{worker}").exists(), 2, 0.002)
        self.assertIn("Connection refused", str(self.lab.guest.as_user(ORDINARY_USER).call(http.get, IMDS, VERSIONS)))
        self.lab.start_agent()
        self.assertEqual(self.lab.guest_get(VERSIONS).status, 200)

    def test_what_both_weigh_when_idle(self):
        self.lab.stop_agent()
        self.lab.start_agent()
        time.sleep(1)
        monitor, worker = pss_kb(self.lab.agent.pid), pss_kb(self.lab.worker_pid())
        print(f"PSS idle: monitor {monitor} KB, worker {worker} KB, both {monitor + worker} KB", flush=True)
        self.assertLessEqual(monitor + worker, MOST_PSS_KB)

    def test_a_firewall_that_only_lets_root_pass_lets_the_agent_pass(self):
        """The rules that waagent makes, and the same for nftables: only sockets of uid 0 reach the host."""
        address = WIRESERVER.split(":")[0]
        waagent = [["-d", address, "-p", "tcp", "--destination-port", "53", "-j", "ACCEPT"],
                   ["-d", address, "-p", "tcp", "-m", "owner", "--uid-owner", "0", "-j", "ACCEPT"],
                   ["-d", address, "-p", "tcp", "-m", "conntrack", "--ctstate", "INVALID,NEW", "-j", "DROP"]]

        def inside(*argv: str) -> str:
            return run("nsenter", f"--net=/run/netns/{self.lab.guest_netns}", *argv)

        def iptables(change: str) -> None:
            for rule in waagent:
                inside("iptables", "-w", "-t", "security", change, "OUTPUT", *rule)

        def nftables(change: str) -> None:
            if change == "-D":
                inside("nft", "delete table ip waagent")
                return
            inside("nft", "add table ip waagent")
            inside("nft", "add chain ip waagent out { type filter hook output priority 50; }")
            for rule in ("tcp dport 53 accept", "meta l4proto tcp meta skuid 0 accept", "meta l4proto tcp ct state invalid,new drop"):
                inside("nft", f"add rule ip waagent out ip daddr {address} {rule}")

        for name, change in (("iptables", iptables), ("nftables", nftables)):
            with self.subTest(name):
                change("-A")
                try:
                    # The control: the rules bite. Around the hooks, root reaches the host and another user does not.
                    self.assertIn(self.lab.outside.call(http.get, WIRESERVER, FROM_HOST).status, (401, 403))
                    self.assertTrue(self.lab.outside.as_user(ORDINARY_USER).call(cannot_connect, WIRESERVER))
                    # Upstream connections that are new, since a new worker has none.
                    self.another_worker()
                    self.assertEqual(self.lab.guest_get(FROM_HOST, WIRESERVER, user=None).status, 200)
                finally:
                    change("-D")


def cannot_connect(address: str) -> bool:
    try:
        with socket.create_connection(http.split_address(address), 0.5):
            return False
    except OSError:
        return True


class Stuck(LabCase):
    """A worker whose loop answers and whose compiler stands still."""

    RULES = {"privileges": [{"name": "versions", "path": VERSIONS}], "roles": [{"name": "looker", "privileges": ["versions"]}],
             "identities": [{"name": "user", "userName": ORDINARY_USER}],
             "roleAssignments": [{"role": "looker", "identities": ["user"]}]}

    def test_one_that_takes_no_new_rules_is_replaced(self):
        lab = self.lab
        lab.wait_served()
        before = lab.worker_pid()
        [compiler] = [int(task.name) for task in Path(f"/proc/{before}/task").iterdir() if task.name != str(before)]
        StoppedThread(compiler).__enter__()
        self.give_imds_rules("/inVMAccessControlProfiles/versions/versions/1", self.RULES)
        stop(lab.host)
        lab.start_host()
        poll("it is ended", lambda: "does not take a new gate over" in lab.log_of("msp-agent"), 20)
        os.waitpid(compiler, WAIT_ALL)  # the kernel keeps a traced thread for its tracer
        poll("another worker", lambda: lab.worker_pid() != before, 5)
        self.assertEqual(lab.guest_get(VERSIONS).status, 200)
        self.assert_refused(lab.guest_get("/metadata/instance?api-version=2021-02-01"), 403)
        self.assertIsNone(lab.agent.poll(), "the monitor lives")


class Attacked(LabCase):
    """The worker's own code with an attacker's in it (tests/worker/attacker.cpp), started by the shipped monitor."""

    start_agent = False

    def test_every_attempt_is_refused_and_each_is_possible_outside(self):
        free = attempts(subprocess.run([ATTACKER, "--free"], stderr=subprocess.PIPE, text=True, check=True, timeout=30).stderr)
        self.assertGreater(len(free), 25)
        self.assertEqual({name: how for name, how in free.items() if how != "done"}, {}, "the control can do all of it")
        programs = self.lab.folder / "programs"
        programs.mkdir(mode=0o755)
        shutil.copy(PROGRAMS / "msp-agent", programs / "msp-agent")
        shutil.copy(ATTACKER, programs / "msp-worker")
        self.lab.programs, shipped = programs, self.lab.programs
        self.addCleanup(lambda: setattr(self.lab, "programs", shipped))
        self.lab.start_agent()  # it serves all the same
        inside = attempts(self.lab.log_of("msp-agent", 1000))
        self.assertEqual(set(inside), set(free))
        self.assertEqual({name: how for name, how in inside.items() if how != "EPERM"}, {})


class AnotherBuild(LabCase):
    """A worker of another build than its monitor: the shipped one with another name of its build in it."""

    start_agent = False

    @classmethod
    def prepare(cls) -> None:
        programs = cls.lab.folder / "programs"
        programs.mkdir(mode=0o755)
        for name in ("msp-agent", "msp-worker", "mspctl", "msp-host"):
            shutil.copy(PROGRAMS / name, programs / name)
        cls.lab.programs = programs

    def rename_build(self, program: str) -> tuple[str, str]:
        """As a package puts a file in another's place. Returns the names of before and after."""
        path = self.lab.programs / program
        names = set(re.findall(rb"\d+\.\d+\.\d+\+[0-9a-f]{16}", path.read_bytes()))
        self.assertEqual(len(names), 1)
        name = names.pop()
        other = name[:-16] + b"0123456789abcdef"
        fresh = path.with_suffix(".new")
        fresh.write_bytes(path.read_bytes().replace(name, other))
        fresh.chmod(0o755)
        fresh.rename(path)
        self.addCleanup(shutil.copy, PROGRAMS / program, path)
        self.addCleanup(path.unlink)
        return name.decode(), other.decode()

    def test_is_refused_at_start_whichever_is_the_other(self):
        self.lab.start_agent()
        self.assertEqual(self.lab.stop_agent(), 0)
        for program in ("msp-worker", "msp-agent"):
            with self.subTest(program):
                own, other = self.rename_build(program)
                self.lab.start_agent(wait=False)
                self.assertNotEqual(self.lab.agent.wait(10), 0)
                agent, worker = (own, other) if program == "msp-worker" else (other, own)
                said = self.lab.log_of("msp-agent", 8)
                self.assertIn(f"msp-agent is of build {agent}, msp-worker of build {worker}", said)
                self.assertIn("install both from one package", said)
                self.assertIn("refused", self.lab.guest.as_user(ORDINARY_USER).call(http.get, IMDS, VERSIONS).error.lower())
                self.doCleanups()
                self.lab.start_agent()
                self.assertEqual(self.lab.stop_agent(), 0)

    def test_a_monitor_keeps_the_worker_that_it_came_with(self):
        self.lab.start_agent()
        self.addCleanup(self.lab.stop_agent)
        before = self.lab.worker_pid()
        self.rename_build("msp-worker")
        os.kill(before, signal.SIGKILL)
        self.lab.wait_served()
        self.assertNotEqual(self.lab.worker_pid(), before)
        self.assertNotIn("of build", self.lab.log_of("msp-agent", 8))


class TakenOver(LabCase):
    """The worker's own code, used against the monitor (tests/worker/garbage.cpp): no way of it costs more than that worker."""

    start_agent = False

    @classmethod
    def prepare(cls) -> None:
        programs = cls.lab.folder / "programs"
        programs.mkdir(mode=0o755)
        shutil.copy(PROGRAMS / "msp-agent", programs / "msp-agent")
        shutil.copy(PROGRAMS / "mspctl", programs / "mspctl")
        shutil.copy(PROGRAMS / "msp-host", programs / "msp-host")
        shutil.copy(PROGRAMS / "tests" / "worker" / "garbage", programs / "msp-worker")
        cls.lab.programs, cls.mode = programs, programs / "mode"

    def setUp(self) -> None:
        self.mode.unlink(missing_ok=True)
        self.lab.start_agent()
        self.lab.wait_served()

    def tearDown(self) -> None:
        self.mode.unlink(missing_ok=True)
        self.assertEqual(self.lab.stop_agent(), 0)

    def memory_kb(self) -> int:
        return int(status_of(self.lab.agent.pid)["VmRSS"].split()[0])

    def lines(self) -> int:
        return (self.lab.folder / "msp-agent.log").read_text(errors="replace").count("\n")

    def suffer(self, mode: str, said: str, seconds: float, least: int = 2) -> float:
        """How many workers a second died of it; it goes on until there were `least`. The gate is shut meanwhile, the
        monitor as small as before, its log not full."""
        at, memory, lines, before = len(self.lab.host_records()), self.memory_kb(), self.lines(), self.lab.worker_pid()
        self.mode.write_text(mode)
        os.kill(before, signal.SIGKILL)
        waiting = self.lab.guest.as_user(ORDINARY_USER).start(http.get, IMDS, VERSIONS)
        pids, most, begin = set(), 0, time.monotonic()
        while (elapsed := time.monotonic() - begin) < seconds or len(pids) < least:
            self.assertLess(elapsed, seconds + 30, f"only {len(pids)} workers: not started again each time")
            try:
                pids.add(self.lab.worker_pid())
            except OSError:
                pass  # none, at this moment
            most = max(most, self.memory_kb())
            time.sleep(0.01)
        self.assertIsNone(self.lab.agent.poll(), "the monitor lives")
        self.assertLess(most - memory, 24 * 1024, "its memory is bounded")
        self.assertIn("latched", json.dumps(self.lab.status()["channel"]), "and it answers")
        log = self.lab.log_of("msp-agent", 3000)
        self.assertTrue(said in log, f"{said} is told")
        self.assertFalse("\nforged" in log)
        self.mode.unlink()
        poll("a good worker serves", lambda: self.lab.guest_get(VERSIONS).status == 200, 15)
        time.sleep(1.1)  # and has not died young
        self.assertIn(waiting.result().status, (0, 200), "it has waited, or was cut")
        self.assertLess(self.lines() - lines, 1000)
        self.assertEqual([r for r in self.lab.host_records()[at:] if r["outcome"] not in ("verified", "channel")][:3], [])
        print(f"{mode}: {len(pids)} workers in {elapsed:.1f} s, the monitor grew by {most - memory} KB at most", flush=True)
        return len(pids) / elapsed

    def test_what_is_no_message_ends_it(self):
        for mode, said in (("undecodable", "a message between monitor and worker is none"), ("descriptor", "has sent a descriptor"),
                           ("packet", "a packet of the other process is")):
            with self.subTest(mode):
                self.assertLess(self.suffer(mode, said, 3, least=6), 13, "started again each time, but not without a pause")

    def test_floods_are_bounded_and_end_it(self):
        for mode, said in (("stuck", "does not answer"), ("lines", "worker: forged\\n"), ("errors", "worker: zzzz"), ("wishes", "does not answer"),
                           ("dials", "does not answer")):
            with self.subTest(mode):
                self.suffer(mode, said, 9)
