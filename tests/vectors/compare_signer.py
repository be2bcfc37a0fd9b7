#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Signs random requests with our code and with the reference implementation, and compares.

Usage: compare_signer.py PROGRAM [COUNT [SEED]]      PROGRAM is sign_lines of the build

The long run:  python3 tests/vectors/compare_signer.py build/dev/tests/vectors/sign_lines 100000

Prints the first differences and, last, "N requests, D differences, seed S"; exit status 1 if D is not 0, 2 if the
program fails. The seed decides every request.
"""
import json
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import reference_signer as reference  # noqa: E402

METHODS = ["GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "get", "PROPFIND", "M-SEARCH"]
NAMES = ["host", "Host", "user-agent", "accept", "Accept", "metadata", "Metadata", "content-length", "content-type", "connection",
         "x-ms-version", "x-ms-azure-host-claims", "X-MS-Azure-Host-Date", "x-ms-azure-host-authorization", "authorization",
         "cookie", "x-a", "x_a", "x.a", "x-1", "X-A", "a", "ab", "b", "!x", "~x", "|x", "x-ms-client-request-id", "expect"]
VALUES = ["", " ", "\t", "h", "169.254.169.254", "168.63.129.16:32526", "true", "True ", '{ "isRoot": "true"}', " two  blanks ",
          "Wed, 23 Apr 2025 12:00:00 GMT", "a,b", "*/*", "0", "a:b:c", "\"q\" <x>"]
PATHS = ["/", "/metadata/instance", "/metadata/identity/oauth2/token", "/machine", "/machine/", "/vmAgentLog", "/a%2Fb", "//a//b",
         "/a/./b/../c", "/a;v=1", "/%7e", "/{\"j\"}", "/MetaData"]
PIECES = ["a", "b", "A", "B", "ab", "aB", "=", "=", "=", "&", "&", "&", "api-version", "1", "0", "%2f", "%2F", "%41", "+", "?", "/",
          ":", ";", "_", "~", "-", ".", "resource", "https%3A%2F%2Fvault.example%2F", "comp", "goalstate", "Z", "z"]


class Requests:
    """An endless series of requests; most can be signed, some just cannot."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def spoil(self, text, how_often):
        """Rarely puts one arbitrary byte somewhere."""
        r = self.random
        if r.random() < how_often:
            at = r.randint(0, len(text))
            return text[:at] + chr(r.randrange(256)) + text[at:]
        return text

    def query(self):
        return "".join(self.random.choice(PIECES) for _ in range(self.random.randrange(20)))

    def target(self):
        r = self.random
        if r.random() < 0.01:
            return "*"
        authority = r.choice(["", "", "", "", "", "http://169.254.169.254", "HTTP://h:80"])
        text = r.choice(PATHS)
        if r.random() < 0.7:
            text += "?" + self.query()
        if r.random() < 0.03:
            text += "#" + self.query()
        if authority and r.random() < 0.2:
            return authority + text[text.find("?"):] if "?" in text else authority
        return authority + text[:1] + self.spoil(text[1:], 0.03)  # the reference does not look at the authority

    def headers(self):
        r = self.random
        count = r.choice([0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 30, r.randrange(100)])
        out = []
        for _ in range(count):
            name = r.choice(NAMES) if r.random() < 0.9 else "".join(r.choice("abcXYZ-_.0123456789") for _ in range(r.randint(1, 12)))
            value = r.choice(VALUES) if r.random() < 0.7 else "".join(chr(r.randrange(0x20, 0x7F)) for _ in range(r.randrange(40)))
            out.append([self.spoil(name, 0.0015), self.spoil(value, 0.0015)])
        return out

    def body(self):
        r = self.random
        kind = r.random()
        if kind < 0.6:
            return b""
        if kind < 0.8:
            return r.randbytes(r.randrange(300))
        return r.choice([b"\n", b"\nhost:evil\n/x\n", b"a\r\nb", b"{}", b"\0", b"x" * 5000])

    def key(self):
        r = self.random
        if r.random() < 0.01:
            return r.choice(["abc", "zz", "0b", "aa" * 131])
        text = r.randbytes(32).hex()
        return text.upper() if r.random() < 0.5 else text

    def one(self):
        guid = "%08x-%04x-4%03x-9%03x-%012x" % tuple(self.random.getrandbits(b) for b in (32, 16, 12, 12, 48))
        return {"method": self.random.choice(METHODS), "path_and_query": self.target(), "headers": self.headers(),
                "body_hex": self.body().hex(), "key_hex": self.key(), "key_guid": guid}


def expected(request):
    try:
        result = reference.evaluate(request)
    except reference.Unsignable:
        return "unsignable"
    return result["string_to_sign_hex"] + " " + result["authorization_header"]


def main(argv):
    if not 2 <= len(argv) <= 4:
        print(__doc__)
        return 2
    count = int(argv[2]) if len(argv) > 2 else 5000
    seed = int(argv[3]) if len(argv) > 3 else 20250423
    series = Requests(seed)
    done = differences = unsignable = 0
    while done < count:
        batch = [series.one() for _ in range(min(5000, count - done))]
        run = subprocess.run([argv[1]], input="".join(json.dumps(r) + "\n" for r in batch), capture_output=True, text=True, check=False)
        answers = run.stdout.split("\n")[:-1]
        if run.returncode != 0 or len(answers) != len(batch):
            print("%s ended with status %d after %d of %d answers: %s" % (argv[1], run.returncode, len(answers), len(batch), run.stderr))
            return 2
        for request, got in zip(batch, answers):
            want = expected(request)
            unsignable += want == "unsignable"
            if got != want:
                differences += 1
                if differences <= 5:
                    print("DIFFERENCE in %s\n  reference %s\n  ours      %s" % (json.dumps(request), want, got))
        done += len(batch)
    print("%d of them refused by both" % unsignable if not differences else "%d refused by the reference" % unsignable)
    print("%d requests, %d differences, seed %d" % (done, differences, seed))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
