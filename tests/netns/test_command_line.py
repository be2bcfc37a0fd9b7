# SPDX-License-Identifier: Apache-2.0
"""The command line as cloud-init and the VM extension call it: by the existing agent's name, beside the real programs."""
import json
import shutil
import subprocess
import time

from base import LabCase
from lab.lab import stop
from lab.world import poll

FAILED = "Failed to query the current provision state with error: cannot connect to 127.0.0.1:3080"


class CommandLine(LabCase):
    start_agent = False

    def setUp(self) -> None:
        self.addCleanup(self.stop_all)
        self.called = self.lab.folder / "azure-proxy-agent"
        if not self.called.exists():
            # Copies: the tree may lie where not everybody gets.
            shutil.copy(self.lab.programs / "msp-agent", self.called)
            shutil.copy(self.lab.programs / "msp-worker", self.called.parent)

    def stop_all(self) -> None:
        if self.lab.agent is not None:
            self.lab.stop_agent()
            self.lab.agent = None
        subprocess.run([self.called, "--config", self.lab.agent_config_file, "uninstall"], check=True, capture_output=True)

    def forget_key(self) -> None:
        """A machine that was never latched, on both sides."""
        home = self.lab.folder / "agent"
        for file in home.iterdir():
            if file.is_file():
                file.unlink()
        shutil.rmtree(home / "keys")
        stop(self.lab.host)
        for file in (self.lab.folder / "host").iterdir():
            if file.is_file() and file.name != "master.key":
                file.unlink()

    def ask(self, *words: str, config: bool = True, user: int | None = None) -> tuple[int, str]:
        argv = [self.called, *words, *(["--config", self.lab.agent_config_file] if config else [])]
        done = self.lab.agent_place.as_user(user).run(argv, timeout=60, cwd="/", text=True)
        return done.returncode, done.stdout

    def test_no_agent(self):
        code, said = self.ask("--status")
        self.assertEqual(code, 1)
        self.assertEqual(said.count(FAILED), 1, said)
        begin = time.monotonic()
        code, said = self.ask("--status", "--wait", "1", config=False)
        self.assertEqual(code, 1)
        self.assertGreaterEqual(time.monotonic() - begin, 1.0)
        self.assertGreaterEqual(said.count(FAILED), 5, said)
        self.assertEqual(said.count("\n"), said.count(FAILED), "nothing else is said")

    def test_a_folder_that_takes_no_hooks_is_named_with_the_remedy(self):
        config = json.loads(self.lab.agent_config_file.read_text())
        config["openmsp"]["cgroup"] = str(self.lab.folder)
        other = self.lab.folder / "no-cgroup.json"
        other.write_text(json.dumps(config))
        other.chmod(0o600)
        done = self.lab.agent_place.run([self.called, "--config", other], timeout=20, cwd="/", text=True)
        said = done.stdout + (done.stderr or "")
        self.assertEqual(done.returncode, 2, said)
        self.assertIn(f"{self.lab.folder} is no cgroup", said)
        self.assertIn("name a folder of the unified hierarchy (version 2), which is mounted at", said)

    def test_a_worker_of_root_is_refused_before_anything_is_attached(self):
        config = json.loads(self.lab.agent_config_file.read_text())
        pins = self.lab.bpffs / "not-made"
        for user, words in (("root", "must not be root"), ("no-such-user", "there is no user 'no-such-user'")):
            config["openmsp"] |= {"workerUser": user, "bpfPinDirectory": str(pins)}
            other = self.lab.folder / "worker-user.json"
            other.write_text(json.dumps(config))
            other.chmod(0o600)
            for check in (["--check-config"], []):
                with self.subTest(user, check=check):
                    done = self.lab.agent_place.run([self.called, "--config", other, *check], timeout=20, cwd="/", text=True)
                    said = done.stdout + (done.stderr or "")
                    self.assertEqual(done.returncode, 2, said)
                    self.assertIn(words, said)
                    self.assertNotIn("hooks attached", said)
                    self.assertFalse(pins.exists(), "nothing was begun")

    def test_without_one_in_etc_the_configuration_beside_the_program_counts(self):
        folder = self.lab.folder / "beside"
        folder.mkdir()
        program, config = folder / "azure-proxy-agent", folder / "proxy-agent.json"
        shutil.copy(self.lab.programs / "msp-agent", program)
        etc = "mount -t tmpfs none /etc && mkdir /etc/azure"

        def check(prepare: str) -> tuple[int, str]:
            done = subprocess.run(["unshare", "--mount", "sh", "-c", f"{prepare} && {program} --check-config"], capture_output=True,
                                  text=True, check=False, timeout=20)
            return done.returncode, done.stdout + done.stderr

        for text, code, names in ((None, 2, "/etc/azure/proxy-agent.json"), ("{", 2, str(config)),
                                  (self.lab.agent_config_file.read_text(), 0, "The configuration is good")):
            with self.subTest(text):
                if text is not None:
                    config.write_text(text)
                    config.chmod(0o644)
                seen, said = check(etc)
                self.assertEqual(seen, code, said)
                self.assertIn(names, said)
        code, said = check(etc + " && echo { > /etc/azure/proxy-agent.json")
        self.assertEqual(code, 2, said)
        self.assertIn("/etc/azure/proxy-agent.json", said)

    def test_waiting_before_the_agent_starts(self):
        """As cloud-init does between DHCP and its first request; without a configuration of its own."""
        waiting = self.lab.agent_place.popen([self.called, "--status", "--wait", "120"], cwd="/", text=True,
                                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.assertIn(FAILED, waiting.stdout.readline())
        self.lab.start_agent()
        self.assertEqual(waiting.wait(20), 0)
        waiting.stdout.close()
        self.assertEqual(self.ask("-s"), (0, ""), "latched: over at once, nothing to say")
        self.assertEqual(self.ask("--status", user=65534, config=False), (0, ""), "anybody may ask")

    def test_before_and_after_the_latch_without_and_with_the_host(self):
        self.forget_key()
        self.lab.start_agent(wait=False)
        poll("the agent answers", lambda: self.ask("--status") == (1, ""), 5)
        code, said = self.ask("--status", "--wait", "1")
        self.assertEqual((code, said), (1, ""), "no host: not over, and no word about it")
        waiting = self.lab.agent_place.popen([self.called, "-s", "-w", "30", "--config", self.lab.agent_config_file],
                                             cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.lab.start_host()
        self.assertEqual(waiting.wait(20), 0)
        waiting.stdout.close()
        self.assertTrue(self.lab.key_files())
        stop(self.lab.host)
        self.assertEqual(self.ask("--status"), (0, ""), "latched stays latched")
        self.lab.start_host()

    def test_channel_disabled(self):
        """Its end of provisioning is older than the question: only what a notify brings counts (H.1)."""
        model = json.loads(self.lab.vm_model_file.read_text())
        self.forget_key()
        self.addCleanup(self.lab.start_host)
        self.addCleanup(self.lab._write, "vm-1.json", model)
        off = json.loads(json.dumps(model))
        off["properties"]["securityProfile"]["proxyAgentSettings"]["enabled"] = False
        self.lab._write("vm-1.json", off)
        self.lab.start_host()
        self.addCleanup(lambda: stop(self.lab.host))
        self.lab.start_agent(wait=False)
        poll("the host says so", lambda: self.lab.status().get("channel", {}).get("phase") == "disabled", 5)
        self.assertEqual(self.ask("--status"), (1, ""))
        self.assertEqual(self.ask("--status", "--wait", "20"), (0, ""))
        self.assertEqual(self.ask("--status", "--wait", "1", user=65534, config=False), (1, ""), "who is not root cannot notify")

    def test_console_ends_with_a_line(self):
        argv = [self.called, "--config", self.lab.agent_config_file, "console"]
        for line in (b"\n", None):
            with open(self.lab.folder / "msp-agent.log", "ab") as log:
                self.lab.agent = self.lab.agent_place.popen(argv, cwd="/", stdin=subprocess.PIPE, stdout=log, stderr=log)
            self.lab.wait_served()
            self.lab.agent.stdin.write(b"no line yet")
            self.lab.agent.stdin.flush()
            self.lab.wait_served()
            with self.lab.agent.stdin as given:
                if line is not None:
                    given.write(line)
                    given.flush()
                    self.assertEqual(self.lab.agent.wait(10), 0)
            self.assertEqual(self.lab.agent.wait(10), 0, "the end of the input counts as a line")
            self.lab.agent = None
        done = self.lab.agent_place.run(argv, cwd="/", stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_usage_errors(self):
        for words in (("--wait", "5"), ("--status", "--wait"), ("--status", "--wait", "x"), ("--unknown",), ("unknown",),
                      ("--status=false",), ("--status=true",), ("--help=1",)):
            self.assertEqual(self.ask(*words)[0], 2, words)
        for word in ("--check-config=false", "--help=false", "--version=0"):
            done = self.lab.agent_place.run([self.lab.programs / "msp-host", word], timeout=30, cwd="/", text=True)
            self.assertEqual(done.returncode, 2, f"{word}: {done.stdout}{done.stderr}")
            self.assertIn("flag override", done.stdout + done.stderr)
        version = self.ask("--version", config=False)
        self.assertEqual(version[0], 0)
        self.assertRegex(version[1], r"^\d+\.\d+\.\d+\n$")


    def test_a_configuration_that_is_not_there(self):
        """Bad usage, of every program and however it is called."""
        absent = str(self.lab.folder / "absent.json")
        for words in (("msp-host",), ("msp-host", "--check-config"), ("msp-agent",), ("msp-agent", "--check-config"),
                      ("msp-agent", "--status"), ("msp-agent", "check-hooks"), ("msp-agent", "uninstall"),
                      ("mspctl", "status"), ("mspctl", "vm", "list"), ("mspctl", "host", "guard", "--nftables")):
            done = self.lab.agent_place.run([self.lab.programs / words[0], *words[1:], "--config", absent], timeout=30,
                                            cwd="/", text=True)
            self.assertEqual(done.returncode, 2, f"{words}: {done.stdout}{done.stderr}")
            self.assertIn(absent, done.stdout + done.stderr)
            self.assertIn("--config", done.stdout + done.stderr)


class LogLevel(LabCase):
    agent_config = {"openmsp": {"logLevel": "error"}}

    def test_the_configured_log_level_holds(self):
        self.assertNotIn(" info ", self.lab.log_of("msp-agent", 1000))
