# SPDX-License-Identifier: Apache-2.0
"""Who holds connections without asking anything: ordinary users together, and straight to the listener, leave root its part."""
import socket
import time

from base import LabCase
from lab import http
from lab.lab import IMDS, WIRESERVER
from lab.world import poll

PLACES, OF_ONE = 16, 4
OF_OTHERS = PLACES - PLACES // 4
# No address of the listener's, and yet it leads there: the kernel leaves no record.
STRAIGHT = "0.0.0.0:3080"
LISTENER = "127.0.0.1:3080"


def hold(to: str, count: int) -> None:
    """As many as it can have, again where it was turned away; until it is killed."""
    held: list[socket.socket] = []
    for _ in range(600):
        held = [one for one in held if not is_over(one)]
        for _ in range(count - len(held)):
            held.append(socket.create_connection(http.split_address(to), 2))
        time.sleep(0.1)


def is_over(connection: socket.socket) -> bool:
    """It was told something, or closed: this client has asked nothing."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        pass
    connection.close()
    return True


class Crowd(LabCase):
    agent_config = {"openmsp": {"limits": {"maxConnections": PLACES, "maxConnectionsPerUser": OF_ONE}}}

    def open(self) -> int:
        return self.lab.status()["counters"]["connectionsOpen"]

    def hold(self, uid: int, to: str, count: int) -> None:
        child = self.lab.guest.as_user(uid).start(hold, to, count)
        self.addCleanup(child.kill)

    def test_root_is_served_while_others_hold_all_that_they_may(self) -> None:
        poll("nothing is open", lambda: self.open() == 0)
        self.assertTrue(self.lab.status()["protected"])
        self.hold(51200, IMDS, OF_ONE)
        self.hold(51200, STRAIGHT, OF_ONE)
        poll("one user, and nobody known", lambda: self.open() == 2 * OF_ONE)
        for straight in (STRAIGHT, LISTENER):  # to the listener's own address it is still that user
            answer = self.lab.guest.as_user(51200).call(http.get, straight, "/provision", {"Host": LISTENER, "Metadata": "true"})
            self.assertEqual((answer.status, answer.code), (429, "too_many_connections"))
        self.assertEqual(self.lab.status()["problems"], [])
        self.hold(51201, IMDS, OF_ONE)
        self.hold(51202, IMDS, OF_ONE)
        other = self.lab.guest.as_user(51203)
        poll("others hold all that they may", lambda: other.call(http.get, IMDS, "/metadata/versions").code == "overloaded")
        self.assertGreaterEqual(self.open(), OF_OTHERS)
        for _ in range(5):
            answer = self.lab.guest.call(http.get, WIRESERVER, "/?comp=versions")
            self.assertEqual(answer.status, 200, answer)
        status = self.lab.status()
        self.assertFalse(status["protected"], "some who should be served were not")
        [problem] = status["problems"]
        self.assertIn("turned away within the last minute", problem["what"])
        self.assertEqual((problem["area"], problem["severity"]), ("listener", "warning"))
