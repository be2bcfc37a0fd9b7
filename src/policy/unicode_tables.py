#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes unicode_tables.inc from the Unicode data of the running Python.

Usage: unicode_tables.py > unicode_tables.inc

Three tables: lower-case mappings as ranges (first, last, step, distance), and the two sets that decide whether a capital
sigma ends a word: characters that are skipped (Case_Ignorable), and characters that are cased and not skipped.
"""
import sys
import unicodedata


def rows(entries, per_line):
    texts = ["{%s}" % ", ".join(entry) for entry in entries]
    for start in range(0, len(texts), per_line):
        print("    " + ", ".join(texts[start:start + per_line]) + ",")


def ranges(members):
    out = []
    for code in members:
        if out and out[-1][1] == code - 1:
            out[-1][1] = code
        else:
            out.append([code, code])
    return [("0x%x" % a, "0x%x" % b) for a, b in out]


def lower_ranges(pairs):
    out = []
    for code, lower in pairs:
        distance = lower - code
        if out:
            first, last, step, known = out[-1]
            gap = code - last
            if known == distance and gap <= 2 and (step == gap or first == last):
                out[-1] = (first, code, gap, distance)
                continue
        out.append((code, code, 1, distance))
    return [("0x%x" % a, "0x%x" % b, str(s), str(d)) for a, b, s, d in out]


codes = [c for c in range(0x80, sys.maxunicode + 1) if not 0xD800 <= c <= 0xDFFF]
sigma, final = "\u03a3", "\u03c2"
skipped = [c for c in codes if ("a" + chr(c) + sigma).lower()[-1] == final and (chr(c) + sigma).lower()[-1] != final]
cased = [c for c in codes if (chr(c) + sigma).lower()[-1] == final]
simple = [(c, ord(chr(c).lower())) for c in codes if len(chr(c).lower()) == 1 and chr(c).lower() != chr(c)]
longer = [c for c in codes if len(chr(c).lower()) != 1]
assert longer == [0x130], longer

print("// SPDX-License-Identifier: Apache-2.0")
print("// Written by unicode_tables.py from Unicode %s; ASCII is left to the code." % unicodedata.unidata_version)
print("// clang-format off")
print("constexpr LowerRange kLower[] = {")
rows(lower_ranges(simple), 4)
print("};")
print("constexpr CodeRange kSkippedBySigma[] = {")
rows(ranges(skipped), 5)
print("};")
print("constexpr CodeRange kCased[] = {")
rows(ranges(cased), 5)
print("};")
print("// clang-format on")
