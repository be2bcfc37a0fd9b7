# SPDX-License-Identifier: Apache-2.0
"""Asks for metadata as any script of root could, after it has taken waagent's name."""

# sys.argv: method, URL. Prints the body, then the status on a line of its own.
SCRIPT = """
import sys, urllib.error, urllib.request
open('/proc/self/comm', 'w').write('waagent')
request = urllib.request.Request(sys.argv[2], method=sys.argv[1], headers={'Metadata': 'true', 'x-ms-version': '2012-11-30'})
try:
    answer = urllib.request.urlopen(request, timeout=10)
except urllib.error.HTTPError as error:
    answer = error
print(answer.read().decode() + chr(10) + str(answer.status))
"""
PYTHON = ["/usr/bin/python3", "-c", SCRIPT]
CURL = ["curl", "-s", "-m", "10", "-H", "Metadata: true", "-H", "x-ms-version: 2012-11-30", "-w", "\n%{http_code}", "-X"]
