# SPDX-License-Identifier: Apache-2.0
"""Somebody on the cable between guest and host, who can change every byte.

The host's end of the cable is unplugged and put into a namespace of its own that has the metadata addresses; from a
second one, which has the guest's address, a new cable leads to the host. So both sides see the addresses that they
expect, and every byte passes through the relay. close() plugs the cable back.
"""
import selectors
import socket
import threading

from .http import split_address
from .lab import HOSTGA, IMDS, WIRESERVER, Lab, configure_guest_end, configure_host_end
from .world import enter_netns, hang_up, run


class Relay:
    """`alter(bytes)` sees what the guest sends, piece by piece as it is read, and returns what goes on to the host;
    `alter_back(bytes)` does so with what the host sends."""

    def __init__(self, lab: Lab, alter=None, alter_back=None):
        self._lab, self.alter, self.alter_back = lab, alter, alter_back
        self._cable_in = lab.world.netns("cable-in")
        self._cable_out = lab.world.netns("cable-out")
        run("ip", "-n", lab.host_netns, "link", "set", "vm0", "netns", self._cable_in)
        configure_host_end(self._cable_in, "vm0")
        for address in (IMDS, WIRESERVER):
            run("ip", "-n", self._cable_in, "address", "add", address.split(":")[0] + "/32", "dev", "lo")
        run("ip", "-n", self._cable_out, "link", "add", "eth0", "type", "veth", "peer", "name", "vm1", "netns",
            lab.host_netns)
        configure_host_end(lab.host_netns, "vm1")
        configure_guest_end(self._cable_out, "eth0")
        self._stop_reader, self._stop_writer = socket.socketpair()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._ready.wait(5):
            raise RuntimeError("the relay did not start")

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self._stop_writer.close()
        self._thread.join()
        run("ip", "-n", self._lab.host_netns, "link", "del", "vm1")
        run("ip", "-n", self._cable_in, "link", "set", "vm0", "netns", self._lab.host_netns)
        configure_host_end(self._lab.host_netns, "vm0")

    def _run(self) -> None:
        enter_netns(self._cable_in)
        listeners = []
        for address in (IMDS, WIRESERVER, HOSTGA):
            listeners.append((socket.create_server(split_address(address), backlog=256), address))
        enter_netns(self._cable_out)
        self._ready.set()
        selector = selectors.DefaultSelector()
        selector.register(self._stop_reader, selectors.EVENT_READ, None)
        for listener, address in listeners:
            selector.register(listener, selectors.EVENT_READ, (self._accept, address))
        self._selector = selector
        while True:
            for key, _ in selector.select():
                if key.data is None:
                    for other in list(selector.get_map().values()):
                        hang_up(other.fileobj)
                    return
                action, extra = key.data
                action(key.fileobj, extra)

    def _accept(self, listener: socket.socket, address: str) -> None:
        client, _ = listener.accept()
        try:
            server = socket.create_connection(split_address(address), 5)
        except OSError:
            hang_up(client)
            return
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(client, selectors.EVENT_READ, (self._forward, (server, True)))
        self._selector.register(server, selectors.EVENT_READ, (self._forward, (client, False)))

    def _forward(self, source: socket.socket, extra) -> None:
        sink, to_host = extra
        if source.fileno() < 0:
            return
        try:
            data = source.recv(1 << 20)
            alter = self.alter if to_host else self.alter_back
            if data and alter is not None:
                data = alter(data)
            if data:
                sink.sendall(data)
                return
        except OSError:
            pass
        for one in (source, sink):
            if one.fileno() >= 0:
                self._selector.unregister(one)
                hang_up(one)
