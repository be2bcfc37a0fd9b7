# SPDX-License-Identifier: Apache-2.0
"""Programs that ask for metadata: curl, python3 and a small C program, as some user, with some groups, in some cgroup.

python3 and the C program connect first and say so, then send a request ("GET /path") for each line that comes in, all on the
one connection, and print a line for each answer: its status and its body, or "closed".
"""
import grp
import json
import os
import pwd
import subprocess
from pathlib import Path
from typing import NamedTuple

from lab.http import split_address
from lab.world import Place

PYTHON = "/usr/bin/python3"
PYTHON_CLIENT = r"""
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=5)
connection.connect()
connection.auto_open = 0
print("connected", flush=True)
for line in sys.stdin:
    method, target = line.split()
    try:
        connection.request(method, target, headers={"Metadata": "true"})
        answer = connection.getresponse()
        print(answer.status, answer.read().decode().replace("\n", " "), flush=True)
    except (http.client.NotConnected, ConnectionError):
        print("closed", flush=True)
"""
C_CLIENT = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static char answer[65536];

/* The length of the whole answer as far as its head is there, else "more". */
static size_t whole(size_t have, int head_only) {
  answer[have] = 0;
  const char *end = strstr(answer, "\r\n\r\n");
  const char *length = strcasestr(answer, "content-length:");
  size_t body = length != NULL && length < end && !head_only ? strtoul(length + 15, NULL, 10) : 0;
  return end == NULL ? sizeof(answer) : (size_t)(end + 4 - answer) + body;
}

static int ask(int fd, const char *method, const char *target, const char *host) {
  char request[4096];
  int size = snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: %s\r\nMetadata: true\r\n\r\n", method, target, host);
  size_t have = 0;
  if (write(fd, request, (size_t)size) != size)
    return 0;
  while (have < whole(have, strcmp(method, "HEAD") == 0)) {
    ssize_t got = read(fd, answer + have, sizeof(answer) - 1 - have);
    if (got <= 0)
      return 0;
    have += (size_t)got;
  }
  printf("%.3s %s\n", answer + 9, strstr(answer, "\r\n\r\n") + 4);
  return 1;
}

int main(int count, char **arguments) {
  char method[16], target[2048];
  struct timeval patience = {.tv_sec = 5};
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(arguments[count - 1]))};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  signal(SIGPIPE, SIG_IGN);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (inet_pton(AF_INET, arguments[1], &to.sin_addr) != 1 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
    return 1;
  puts("connected");
  while (scanf("%15s %2047s", method, target) == 2)
    if (!ask(fd, method, target, arguments[1]))
      puts("closed");
  return 0;
}
"""


def build(source: str, program: Path) -> None:
    """A C program where every user can run it."""
    subprocess.run(["clang-19", "-O1", "-Wall", "-Werror", "-x", "c", "-", "-o", program], input=source, text=True, check=True)
    program.chmod(0o755)


class Said(NamedTuple):
    """What came of one request."""
    status: str  # "closed": none came
    body: str = ""

    @property
    def error(self) -> dict:
        """The body, if it has the form of an error (protocol.md J.2)."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return {}
        return document if isinstance(document, dict) and "request_id" in document else {}

    def __str__(self) -> str:
        """"200", "403 no_rule", "closed"."""
        return f"{self.status} {self.error.get('error', '')}".strip()


class Crowd(Place):
    """A place whose processes have the supplementary groups that are named here, whatever the group database says."""

    def __init__(self, netns: str, cgroup: Path, user: str, groups: tuple[str, ...]):
        super().__init__(netns, cgroup, user)
        self.groups = groups

    def enter(self) -> None:
        Place(self.netns, self.cgroup).enter()
        entry = pwd.getpwnam(self.user)
        os.setgroups([grp.getgrnam(name).gr_gid for name in self.groups])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)


class Living:
    """A program with a connection that lives."""

    def __init__(self, place: Place, argv: list, address: str):
        host, port = split_address(address)
        self.process = place.popen([*argv, host, port], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
        if (said := self._line()) != "connected":
            self.close()
            raise RuntimeError(f"{argv}: did not connect, said {said!r}")

    def ask(self, request: str) -> Said:
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return Said(*self._line().split(" ", 1))

    def _line(self) -> str:
        return self.process.stdout.readline().strip()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def curl(place: Place, address: str, request: str) -> Said:
    method, target = request.split()
    how = ["--head"] if method == "HEAD" else ["--request", method]
    done = place.run(["/usr/bin/curl", "-s", "-m", "5", "-w", "\n%{http_code}", *how, "-H", "Metadata: true",
                      f"http://{address}{target}"], text=True)
    body, _, status = done.stdout.rpartition("\n")
    return Said(status, body)


def once(place: Place, argv: list, address: str, request: str) -> Said:
    """One request on a connection of its own."""
    if argv == ["curl"]:
        return curl(place, address, request)
    program = Living(place, argv, address)
    try:
        return program.ask(request)
    finally:
        program.close()
