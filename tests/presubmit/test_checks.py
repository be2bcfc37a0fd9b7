#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The checks of the sources find what they are for, and nothing in what looks like it."""
import sys
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TOP / "scripts"))

import check_source  # noqa: E402
from check_layers import INCLUDE, Layers  # noqa: E402

REFUSED = [
    ("src/gateway/verifier.cpp", '#include "policy/engine.h"'),
    ("src/gateway/verifier.cpp", "#include <policy/engine.h>"),
    ("src/gateway/verifier.cpp", '#include "../policy/engine.h"'),
    ("src/gateway/verifier.cpp", '#include "../src/policy/engine.h"'),
    ("src/gateway/verifier.cpp", '#include "./../policy/engine.h"'),
    ("src/gateway/verifier.cpp", '  #  include "proxy/signer.h"'),
    ("src/gateway/verifier.cpp", "#include <bpf/libbpf.h>"),
    ("src/gateway/verifier.cpp", "#include <openssl/evp.h>"),
    ("src/identity/source.cpp", '#include "bpf/maps.h"'),
    ("src/policy/engine.cpp", "#include <cstdio>"),
    ("src/policy/engine.cpp", "#include <poll.h>"),
    ("src/policy/engine.cpp", "#include <thread>"),
    ("src/policy/engine.cpp", "#include <ctime>"),
    ("src/policy/engine.cpp", "#include <chrono>"),
    ("src/request/target.cpp", "#include <arpa/inet.h>"),
    ("src/elsewhere/new.cpp", "#include <string>"),
    ("apps/mspctl.cpp", '#include "policy/engine.h"'),
]
KEPT = [
    ("src/gateway/verifier.cpp", '#include "protocol/headers.h"'),
    ("src/gateway/verifier.cpp", "#include <ctime>"),
    ("src/identity/source.cpp", '#include "bpf/contract.h"'),
    ("src/intercept/pins.cpp", '#include "bpf/maps.h"'),
    ("src/intercept/pins.cpp", "#include <bpf/libbpf.h>"),
    ("src/policy/engine.cpp", "#include <string>"),
    ("src/policy/engine_test.cpp", "#include <thread>"),
    ("apps/mspctl.cpp", '#include "cli/main.h"'),
]
BANNED = ['g("http://x"); strcpy(a, b);', "stpcpy(a, b);", "close(3);", "close(x.fd);", "::close(n);", "execve(p, a, e);", "::system(x);",
          "std::shared_ptr<Thing> thing;", "auto* p = new Thing();", "#include <iostream>", "if (co_await x) {", "std::regex r;"]
HARMLESS = ['log::info("strcpy(a, b) is not for us");', "// close(3) would be wrong", "stream.close();", "close();", "x.close(fd);",
            "std::shared_ptr<const Thing> thing;", "int renewed = 3;", "my_strcpy(a);"]


class Checks(unittest.TestCase):
    def broken(self, name: str, line: str) -> list[str]:
        found = INCLUDE.findall(line)
        self.assertEqual(len(found), 1, line)
        return Layers((TOP / "ARCHITECTURE.md").read_text()).violations(name, *found[0])

    def test_includes(self):
        for name, line in REFUSED:
            self.assertTrue(self.broken(name, line), f"{name}: {line}")
        for name, line in KEPT:
            self.assertEqual(self.broken(name, line), [], f"{name}: {line}")

    def test_calls(self):
        for line in BANNED:
            self.assertTrue(check_source.banned_in("src/http/x.cpp", line), line)
        for line in HARMLESS:
            self.assertEqual(check_source.banned_in("src/http/x.cpp", line), [], line)


if __name__ == "__main__":
    unittest.main()
