# SPDX-License-Identifier: Apache-2.0
"""Worker, monitor and host are killed with -9 in any order under load: nothing unsigned is served, nothing torn, and all is back at once.

Monitor and host are started again by the test, as a service manager would; the worker by its monitor. Some are killed once
more on their way up, which is not counted. MSP_KILLS says how often (ordinary run 9, the long run 1,000), MSP_SECONDS when
no further kill begins, MSP_SEED repeats victims and moments.
"""
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from statistics import median

from base import LabCase, number
from kills import (CONNECTIONS, LEAST_RATE, TARGET, AuditLog, HostLog, end_load, endorsed, faults_of_agent_state,
                   faults_of_host_state, probe_while, start_load)
from lab.lab import ORDINARY_USER
from lab.world import poll

KILLS = number("MSP_KILLS", 9)
SECONDS = number("MSP_SECONDS", 6 * 3600)
SEED = number("MSP_SEED", 20254)
VICTIMS = ("worker", "monitor", "host")
BACK_WITHIN = 15  # seconds, else the campaign ends: far above what passes
TOLD_EVERY = 50  # kills
# A machine that does something else for a moment brings the load down: the kill then waits for it, a few times at most.
MOMENTS = 8
WAY_UP = 0.15  # seconds, about what a start takes


@dataclass
class Plan:
    victim: str
    moment: float  # seconds from when all was served again
    pause: float  # seconds until a service manager starts the next one
    again: float | None  # seconds of that one's life, if it is killed as well


@dataclass
class Kill:
    plan: Plan
    rate: float  # requests a second that the host verified before it
    moments: int  # that passed until the load was there
    back: float  # seconds until a request was served


def plans() -> list[Plan]:
    chance = random.Random(SEED)
    victims = [VICTIMS[i % len(VICTIMS)] for i in range(KILLS)]
    chance.shuffle(victims)
    return [Plan(victim, 0.2 + 0.8 * chance.random(), chance.choice([0, 0, 0.05, 0.2]),
                 chance.choice([None] * 5 + [chance.random() * WAY_UP])) for victim in victims]


def count_again(kills: list[Kill]) -> int:
    return sum(kill.plan.again is not None for kill in kills)


class KillAny(LabCase):
    def setUp(self) -> None:
        lab = self.lab
        self.keys = lab.key_files()
        self.host_log, self.audit = HostLog(lab.host_log), AuditLog(lab.agent_audit)
        self.host_log.latched()
        self.audit.latched()
        self.kept = {name: (lab.folder / "host" / name).read_bytes() for name in ("master.key", "attested.pem")}
        self.faults: list[str] = []

    def test_any_of_the_three_in_any_order(self):
        lab, kills, begin = self.lab, [], time.monotonic()
        enough = lab.folder / "enough"
        load = start_load(lab, SECONDS + 3600)
        prober = lab.guest.as_user(ORDINARY_USER).start(probe_while, lambda: not enough.exists())
        try:
            for plan in plans():
                if time.monotonic() - begin > SECONDS:
                    break
                kills.append(self.kill(plan))
                if len(kills) % TOLD_EVERY == 0:
                    print(f"{len(kills)} kills in {time.monotonic() - begin:.0f} s, {self.host_log.verified} requests verified, "
                          f"worst return {max(kill.back for kill in kills) * 1000:.0f} ms; faults: {self.faults}", flush=True)
        except Exception as error:
            raise AssertionError(f"seed {SEED}, after {len(kills)} kills: {error}; unsigned at the host: {self.host_log.unsigned[:3]}; "
                                 f"faults: {self.faults[:5]}\n{self.logs()}") from error
        finally:
            enough.touch()
            seen = prober.result()
            seconds, answers = time.monotonic() - begin, end_load(load)
        self.host_log.read()
        self.audit.read()
        self.tell(kills, seconds, seen, answers)
        with self.subTest("load of its own, beside the prober"):
            self.assertGreaterEqual(answers / seconds, LEAST_RATE)
        self.check_kills(kills)
        self.check_logs(kills, seen)
        self.check_state()

    # --- one kill ----------------------------------------------------------------------------------------------------

    def kill(self, plan: Plan) -> Kill:
        rate, moments = self.under_load(plan.moment)
        strike, start = getattr(self, f"kill_{plan.victim}"), getattr(self, f"start_{plan.victim}")
        strike()
        begin = start(plan.pause)
        if plan.again is not None:
            time.sleep(plan.again)
            strike()
            begin = start(0)
        back = self.served_since(begin)
        self.audit.read()
        if self.lab.key_files() != self.keys:
            self.faults.append(f"after a kill of the {plan.victim} the key files are {self.lab.key_files()}")
        return Kill(plan, rate, moments, back)

    def under_load(self, moment: float) -> tuple[float, int]:
        for count in range(1, MOMENTS + 1):
            before, begin = self.host_log.read(), time.monotonic()
            time.sleep(moment)
            rate = (self.host_log.read() - before) / (time.monotonic() - begin)
            if rate >= LEAST_RATE:
                break
        return rate, count

    def note_own_end(self, program: str, process) -> None:
        """A start that fails is no death of ours, and would be hidden by the next one."""
        if process.poll() is not None:
            self.faults.append(f"{program} ended by itself with status {process.returncode}:\n{self.lab.log_of(program)[-2000:]}")

    def kill_worker(self) -> None:
        self.worker = poll("a worker", self.lab.worker_pid, BACK_WITHIN, 0.001)
        os.kill(self.worker, signal.SIGKILL)
        self.killed = time.monotonic()

    def start_worker(self, _pause: float) -> float:
        """Its monitor does, which lives on: served_since() looks."""
        poll("another worker", lambda: self.lab.worker_pid() != self.worker, BACK_WITHIN, 0.001)
        return self.killed

    def kill_monitor(self) -> None:
        self.note_own_end("msp-agent", self.lab.agent)
        self.lab.kill_agent()

    def start_monitor(self, pause: float) -> float:
        time.sleep(pause)
        self.faults += faults_of_agent_state(self.lab)
        restart = time.monotonic()
        self.lab.start_agent(wait=False)
        return restart

    def kill_host(self) -> None:
        self.note_own_end("msp-host", self.lab.host)
        self.lab.host.kill()
        self.lab.host.wait()
        self.host_log.end_of_life()

    def start_host(self, pause: float) -> float:
        time.sleep(pause)
        home = self.lab.folder / "host"
        self.faults += faults_of_host_state(self.lab)
        self.faults += [f"{name} has changed" for name, data in self.kept.items() if (home / name).read_bytes() != data]
        restart = time.monotonic()
        self.lab.start_host(wait=False)
        return restart

    def served_since(self, begin: float) -> float:
        def served() -> bool:
            if self.lab.host.poll() is not None:
                raise RuntimeError(f"msp-host ended with status {self.lab.host.returncode}")
            answer = self.lab.guest_get(TARGET)
            if answer.status == 200 and not endorsed(answer):
                self.faults.append("served around the agent")
            return answer.status == 200
        poll("served again", served, BACK_WITHIN, 0.005)
        return time.monotonic() - begin

    # --- what is told and checked ------------------------------------------------------------------------------------

    def tell(self, kills: list[Kill], seconds: float, seen: Counter, answers: int) -> None:
        log, audit = self.host_log, self.audit
        print(f"seed {SEED}: {len(kills)} of {KILLS} kills in {seconds:.0f} s, under wrk with {CONNECTIONS} connections and {answers} "
              f"answers; the host verified {log.verified} requests and refused {dict(log.refusals)}; prober: {dict(seen)}")
        print(f"audit log: {audit.signed} signed, denied {dict(audit.denials)}; lines torn by a kill: {audit.torn} of the agent's log, "
              f"{log.torn} of the host's; waited for the load: {sum(kill.moments > 1 for kill in kills)} times")
        for victim in VICTIMS:
            if own := [kill for kill in kills if kill.plan.victim == victim]:
                rates, back = [kill.rate for kill in own], [kill.back * 1000 for kill in own]
                print(f"{victim}: {len(own)} kills at {min(rates):.0f} to {max(rates):.0f} requests/s; served again after "
                      f"{median(back):.0f} ms (median), {max(back):.0f} ms (worst); {count_again(own)} killed once more on the way up")
        for at, kill in enumerate(kills, 1):
            if kill.back >= 1.0:
                print(f"kill {at} ({kill.plan}): {kill.back * 1000:.0f} ms")

    def check_kills(self, kills: list[Kill]) -> None:
        with self.subTest("each kind is killed"):
            self.assertGreaterEqual(len(kills), len(VICTIMS))
            self.assertEqual({kill.plan.victim for kill in kills}, set(VICTIMS))
        with self.subTest("load"):
            self.assertGreaterEqual(min(kill.rate for kill in kills), LEAST_RATE)
        for victim in VICTIMS:
            back = [kill.back for kill in kills if kill.plan.victim == victim] or [float("inf")]
            with self.subTest("back within a second", victim=victim):
                # The median: a machine that does something else for a moment is not what is tested here.
                self.assertLess(median(back), 1.0)
            with self.subTest("each time within five seconds", victim=victim):
                self.assertEqual([seconds for seconds in back if seconds >= 5.0], [])

    def check_logs(self, kills: list[Kill], seen: Counter) -> None:
        own = {victim: [kill for kill in kills if kill.plan.victim == victim] for victim in VICTIMS}
        most = {victim: len(some) + count_again(some) for victim, some in own.items()}
        with self.subTest("only served, refused, held or cut"):
            self.assertEqual(set(seen) - {"status 200", "status 410", "status 502", "status 503", "refused", "cut"}, set())
        with self.subTest("no unsigned request reached the host"):
            self.assertEqual(self.host_log.unsigned[:3], [])
        with self.subTest("the agent let none pass without a key"):
            self.assertEqual(self.audit.unsigned[:3], [])
        with self.subTest("one key, asked for once"):
            self.assertEqual(self.host_log.keys_asked, 1)
        with self.subTest("each unclean end is on record"):
            self.assertEqual([self.audit.starts[0], *set(self.audit.starts[1:])], ["none", "unclean"])
            # One that was killed on its way up may have got as far as that line.
            self.assertIn(len(self.audit.starts) - 1, range(len(own["monitor"]), most["monitor"] + 1))
        with self.subTest("no line is torn but by a kill"):
            self.assertLessEqual(self.audit.torn, most["monitor"])
            self.assertLessEqual(self.host_log.torn, most["host"])

    def check_state(self) -> None:
        lab = self.lab
        with self.subTest("nothing is left of former lives"):
            running = (lab.agent_place.cgroup / "cgroup.procs").read_text().split()
            self.assertEqual(sorted(map(int, running)), sorted([lab.agent.pid, lab.worker_pid()]))
            self.assertEqual((lab.host_place.cgroup / "cgroup.procs").read_text().split(), [str(lab.host.pid)])
        lab.kill_agent()
        lab.host.kill()
        lab.host.wait()
        with self.subTest("no torn state file, and the same key"):
            self.assertEqual(self.faults + faults_of_agent_state(lab) + faults_of_host_state(lab), [])
            self.assertEqual(lab.key_files(), self.keys)
        with self.subTest("both start from what is left"):
            lab.start_host()
            lab.start_agent()
            self.assertEqual(lab.key_files(), self.keys)
