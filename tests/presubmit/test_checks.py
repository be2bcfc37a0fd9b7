#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The checks of the sources find what they are for, and nothing in what looks like it."""
import sys
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TOP / "scripts"))

import check_source  # noqa: E402
from check_layers import Layers, includes  # noqa: E402

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
    # In quotes the compiler goes on to the system's.
    ("src/policy/engine.cpp", '#include "poll.h"'),
    ("src/policy/engine.cpp", '#include "sys/socket.h"'),
    ("src/policy/engine.cpp", '#include "thread"'),
    ("src/policy/engine.cpp", '#include "chrono"'),
    ("src/policy/engine.cpp", '#include "policy/no_such_file.h"'),
    ("src/policy/engine.cpp", '#include "bpf/no_such_file.skel.h"'),
    ("src/gateway/verifier.cpp", '#include "sqlite3.h"'),
    ("src/cli/status_view.cpp", '#include "policy/engine.cpp"'),
    ("src/policy/engine.cpp", '#include "tests/support/raw_peer.h"'),
    # Other spellings than the one.
    ("src/policy/engine.cpp", '#include/**/"proxy/signer.h"'),
    ("src/policy/engine.cpp", '/**/#include <poll.h>'),
    ("src/policy/engine.cpp", '/* of\nmany lines */#include <poll.h>'),
    ("src/policy/engine.cpp", '#/* of\nmany lines */include <poll.h>'),
    ("src/policy/engine.cpp", 'auto x = "/*";\n#include <poll.h>\nauto y = "*/";'),
    ("src/policy/engine.cpp", "auto x = 1'000; auto y = '\"';\n#include <poll.h>\nauto z = '\"';"),
    ("src/policy/engine.cpp", 'auto x = R"(/*)";\n#include <poll.h>\nauto y = "*/";'),
    ("src/policy/engine.cpp", 'auto x = PR"(";\n#include <poll.h>\nauto y = ")";'),
    ("src/policy/engine.cpp", '// a comment /*\n#include <poll.h>'),
    ("src/policy/engine.cpp", '#import "proxy/signer.h"'),
    ("src/policy/engine.cpp", '#include_next <poll.h>'),
    ("src/policy/engine.cpp", '#embed "/etc/passwd"'),
    ("src/policy/engine.cpp", '%:include "proxy/signer.h"'),
    ("src/policy/engine.cpp", '??=include "proxy/signer.h"'),
    ("src/policy/engine.cpp", '#include PROXY_SIGNER'),
    ("src/policy/engine.cpp", '#include \\\n"proxy/signer.h"'),
    ("src/policy/engine.cpp", '#inc\\\nlude "proxy/signer.h"'),
    ("src/policy/engine.cpp", '#inc\\ \nlude <poll.h>'),
    ("src/policy/engine.cpp", '#include "proxy//signer.h"'),
    ("src/policy/engine.cpp", '#include <poll.h> /* why */'),
    ("src/policy/engine.cpp", 'import <thread>;'),
    ("src/gateway/verifier.cpp", "#include </usr/include/rapidjson/document.h>"),
    ("src/gateway/verifier.cpp", "#include <sys/../rapidjson/document.h>"),
    ("src/gateway/verifier.cpp", "#include <rapidjson//document.h>"),
]
KEPT = [
    ("src/gateway/verifier.cpp", '#include "protocol/headers.h"'),
    ("src/gateway/verifier.cpp", "#include <ctime>"),
    ("src/identity/source.cpp", '#include "bpf/contract.h"'),
    ("src/intercept/pins.cpp", '#include "bpf/maps.h"'),
    ("src/intercept/pins.cpp", "#include <bpf/libbpf.h>"),
    ("src/policy/engine.cpp", "#include <string>"),
    ("src/policy/engine_test.cpp", "#include <thread>"),
    ("apps/mspctl.cpp", '#include "cli/cli.h"'),
    ("src/intercept/hooks.cpp", '#include "intercept.skel.h"'),
    ("src/policy/engine_test.cpp", '#include "tests/support/policy_request.h"'),
    ("src/policy/fold.cpp", '#include "policy/unicode_tables.inc"'),
    ("src/policy/engine.cpp", "#include <string>  // why"),
]
NOT_INCLUDED = ['auto x = u8R"-(\n#include <poll.h>\n)-";', 'auto x = R"(\n#include <poll.h>\n)";', '/*\n#include <poll.h>\n*/', '// \\\n#include <poll.h>', 'f("#include <poll.h>");',
                "#define LINE(x) \\\n  #x", "#pragma once", "auto important = import_of(x);", "x = a ? b : c;"]
BANNED = ['g("http://x"); strcpy(a, b);', "stpcpy(a, b);", "::sprintf(a, b);",
          "std::strcpy(a, b);", "x = ::strtok(a, b);", "close(3);", "close(x.fd);", "::close(n);", "execve(p, a, e);", "::system(x);",
          "std::shared_ptr<Thing> thing;", "auto* p = new Thing();", "#include <iostream>", "if (co_await x) {", "std::regex r;",
          "auto* p = new std::vector<int>(3);", "auto* p = new Thing2(3);", "f(new Thing2);", "return new char[7];", "new (std::nothrow) Thing2;",
          "close(fds[0]);", "close(*fd);", ":: close (n);", "(void)close(pipe_of(x));", "for (;co_await x;) {", "if (auto y = f(); co_await x) {",
          "while (a(b) && f(co_await x)) {", "for (auto& y : g(co_await x)) {", "vfork();", "if (::fork() == 0) {", "clone(f, s, 0, x);",
          "if (a &&\n    co_await x) {", "while (f(a,\n         b(c)) &&\n       g(co_await x)) {"]
HARMLESS = ['log::info("strcpy(a, b) is not for us");', "// close(3) would be wrong", "stream.close();", "close();", "x.close(fd);",
            "std::shared_ptr<const Thing> thing;", "int renewed = 3;", "my_strcpy(a);", "Reader::gets(a);", "reader.gets(a);",
            "std::unique_ptr<Thing2> p(new Thing2(3));", "return std::unique_ptr<a::Thing>(new Thing(3));", "::new (memory) Thing();",
            "void* operator new(std::size_t size) {", "return ::operator new(size);", "#include <new>", "Thing* new_thing(int x);",
            "void close() {", "x->close(fd);", "disclose(fds[0]);", "if (f(a(b))) co_await x;", "for (;x;) { co_await y; }",
            "while (x) { f(co_await y); }", "fork_of(x);", "Secret clone() const {", "x.clone(y);",
            "if (a &&\n    b) {\n  co_await x;"]


class Checks(unittest.TestCase):
    def broken(self, name: str, text: str) -> list[str]:
        return Layers((TOP / "ARCHITECTURE.md").read_text()).of_text(name, text)

    def test_includes(self):
        for name, line in REFUSED:
            self.assertTrue(self.broken(name, line), f"{name}: {line}")
        for name, line in KEPT:
            self.assertEqual(self.broken(name, line), [], f"{name}: {line}")
            self.assertEqual(len(includes(line)[0]), 1, line)
        for text in NOT_INCLUDED:
            self.assertEqual(includes(text), ([], []), text)

    def test_calls(self):
        for line in BANNED:
            self.assertTrue(check_source.banned_in("src/http/x.cpp", check_source.whole_condition(line.splitlines())), line)
        for line in HARMLESS:
            self.assertEqual(check_source.banned_in("src/http/x.cpp", check_source.whole_condition(line.splitlines())), [], line)


if __name__ == "__main__":
    unittest.main()
