#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Files are compiled as one only where none of them can mean something else by that."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent.parent.parent / "cmake" / "unity_groups.py"

APART = [
    ("namespace { int f() { return 1; } }", "namespace { int f() { return 2; } }"),
    ("namespace { struct Options { int a; }; }", "namespace { struct Options { int b; }; }"),
    # The second means another function of that name, of a header.
    ("namespace { int f(int) { return 1; } }", "int g() { return f(1); }"),
    ("namespace msp { namespace { constexpr std::array<int, 2> kSizes{1, 2}; } }", "int g() { return kSizes; }"),
    ("namespace { std::map<int, int> make(const std::string& text) noexcept { return {}; } }", "auto a = make(1);"),
    ("namespace { template <class T> auto find(T&& t) -> decltype(t.x) { return t.x; } }", "auto a = find(1);"),
    ("namespace { enum class Kind : int { kA }; }", "Kind k;"),
    ("namespace { using Table = std::map<int, int>; }", "Table t;"),
    ("namespace { int count; }", "int g() { return count; }"),
    ("namespace { void Thing::run() {} int depth = 0; }", "int g() { return depth; }"),
    ("namespace msp { constexpr int kLimit = most(5); }", "int g() { return kLimit; }"),
    ("namespace msp { const std::array<int, 2> kSizes{1, 2}; }", "int g() { return kSizes; }"),
    ("static int f() { return 1; }", "int g() { return f(); }"),
    ("#define LIMIT 5", "int g() { return LIMIT; }"),
    ("#  define LIMIT 5", "int g() { return LIMIT; }"),
    ("using testing::Not;", "int g() { return Not(); }"),
    ("using testing::Not;", "using other::Not;"),
    ("using testing::Not;", "namespace { int Not() { return 1; } }"),
    ("using namespace testing;", "int g();"),
    ("int g();", "namespace msp { using namespace std; }"),
    # Braces in strings, characters and comments close nothing.
    ("namespace { const char* a = \"}\"; char b = '}'; /* } */ // }\nint f() { return 1; } }", "auto x = f();"),
    ("namespace { const char* a = R\"(})\"; int f() { return 1; } }", "auto x = f();"),
    ("namespace { int a = 1'000; char b = '{'; } namespace { int f() { return 1; } }", "auto x = f();"),
    # What a file includes of the project is said by it.
    ("namespace { struct Check {}; }", '#include "said.h"\nint g();'),
    ("namespace { struct Deep {}; }", '#include "said.h"\nint g();'),
]
TOGETHER = [
    ("namespace { int f() { return 1; } }", "namespace { int g() { return 2; } }"),
    ("using testing::Not;", "using testing::Not; int g() { return Not(); }"),
    ("namespace { int f() { int x = 1; return x; } }", "namespace { int g() { int x = 2; return x; } }"),
    ("namespace { int f() { return 1; } }", '// f is elsewhere\nconst char* g = "f";'),
    ("namespace msp { const char* f(const char* text) { return text; } }", "const char* g() { return f(\"\"); }"),
    ("namespace { TEST(A, B) {} }", "namespace { TEST(C, D) {} }"),
    ("using namespace std::string_view_literals;", "int g();"),
]


class Groups(unittest.TestCase):
    def grouped(self, texts) -> list[list[str]]:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "said.h").write_text('#include "deep.h"\nstruct Check;\n')
            Path(folder, "deep.h").write_text("struct Deep;\n")
            files = []
            for at, text in enumerate(texts):
                files.append(Path(folder, f"{at}.cpp"))
                files[-1].write_text(text)
            said = subprocess.run([sys.executable, PROGRAM, folder, *files], check=True, capture_output=True, text=True)
            return [[Path(name).stem for name in line.split(";")] for line in said.stdout.splitlines()]

    def test_names_that_meet(self):
        for one, other in APART:
            for texts in ((one, other), (other, one)):
                with self.subTest(texts=texts):
                    self.assertEqual(self.grouped(texts), [])

    def test_names_that_do_not(self):
        for one, other in TOGETHER:
            with self.subTest(texts=(one, other)):
                self.assertEqual(self.grouped((one, other)), [["0", "1"]])

    def test_a_third_joins_only_who_bears_it(self):
        f, g = "namespace { int f() { return 1; } }", "namespace { int g() { return 1; } }"
        self.assertEqual(self.grouped((f, g, f, g)), [["0", "1"], ["2", "3"]])
        self.assertEqual(self.grouped((f, g, "int h() { return g(); }")), [["0", "1"]])
        self.assertEqual(self.grouped(("using t::Not;", "using t::Not;", "int h() { return Not(); }")), [["0", "1"]])


if __name__ == "__main__":
    unittest.main()
