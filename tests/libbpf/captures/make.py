#!/usr/bin/env python3
"""Makes the captures beside this file again: real traffic between two hosts, in namespaces of its own.

    sudo python3 tests/libbpf/captures/make.py

Needs iproute2, iputils-ping, util-linux (unshare, nsenter) and curl. Two hosts, 7 and 9, hang on veth pairs at a switch
that is a part of this script: what crosses its trunk is read by a packet socket and written as pcap. The trunk carries
as many tags of VLANs as the switch is told; the kernel need not know VLANs.
Addresses are those that `tests/xdp.rs` puts into the filters' maps: 10.0.0.7, fd00::7, 02:00:00:00:00:07.
"""

import ctypes
import fcntl
import os
import pathlib
import select
import socket
import struct
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA = 263, 8
TP_STATUS_VLAN_VALID = 0x10
# Headers are what filters look at; bodies are cut, as `tcpdump -s` does.
SNAPLEN = 160


def run(command, check=True):
    return subprocess.run(command, shell=True, check=check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def start(command):
    return subprocess.Popen(command, shell=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def packet_socket(interface):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.bind((interface, 0))
    s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    return s


def receive(s):
    """A packet with the outer tag, which the kernel has taken off, and whether it came from outside."""
    data, control, _, who = s.recvmsg(65536, 256)
    for level, kind, aux in control:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", aux[:20])
            if status & TP_STATUS_VLAN_VALID:
                data = data[:12] + struct.pack("!HH", tpid, tci) + data[12:]
    return data, who[2] != socket.PACKET_OUTGOING


class Switch:
    """Ports `r7` and `r9`, and between them the trunk from `t7` to `t9`."""

    def __init__(self):
        self.tags = b""
        self.sockets = {name: packet_socket(name) for name in ("r7", "t7", "t9", "r9")}
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        across = {"r7": "t7", "r9": "t9", "t7": "r7", "t9": "r9"}
        names = {s: name for name, s in self.sockets.items()}
        while True:
            for s in select.select(list(names), [], [])[0]:
                data, incoming = receive(s)
                if not incoming:
                    continue
                name = names[s]
                tags = len(self.tags)
                data = data[:12] + (self.tags + data[12:] if name[0] == "r" else data[12 + tags :])
                self.sockets[across[name]].send(data)


class Capture:
    """What crosses the trunk while the block runs."""

    def __init__(self, name):
        self.name, self.packets, self.going = name, [], True
        self.socket = packet_socket("t9")

    def __enter__(self):
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        while self.going:
            if select.select([self.socket], [], [], 0.1)[0]:
                data, _ = receive(self.socket)
                self.packets.append((time.time(), data))

    def __exit__(self, *_):
        time.sleep(0.3)
        self.going = False
        self.thread.join()
        out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAPLEN, 1)
        for now, data in self.packets:
            cut = data[:SNAPLEN]
            out += struct.pack("<IIII", int(now), int(now % 1 * 1e6), len(cut), len(data)) + cut
        (HERE / f"{self.name}.pcap").write_bytes(out)
        print(f"{self.name}.pcap: {len(self.packets)} packets, {len(out)} bytes")


def whole(interface):
    """Has the kernel fill in checksums and cut segments itself: the switch sees packets as a wire would."""
    siocethtool, commands = 0x8946, (0x17, 0x1F, 0x24)  # ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for command in commands:
            value = ctypes.create_string_buffer(struct.pack("=II", command, 0))
            fcntl.ioctl(s, siocethtool, struct.pack("16sQ16x", interface.encode(), ctypes.addressof(value)))


def udp(peer):
    """A query as of DNS, from here to port 53 and back, and one that nobody answers."""
    return (
        f"{peer} {sys.executable} -c \"import socket\n"
        "s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.settimeout(1)\n"
        "q = bytes.fromhex('1234010000010000000000000474657374057374696c6c0000010001')\n"
        "for host in ('::ffff:10.0.0.9', 'fd00::9'):\n"
        "    s.sendto(q, (host, 53)); s.recv(512)\n"
        "    s.sendto(q, (host, 4001))\n"
        "    s.sendto(b'x' * 3000, (host, 53)); s.recv(512)\n"
        "\""
    )


def serve():
    """Answers on port 53 as a resolver would, for ever."""
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind(("::", 53))
    while True:
        data, who = s.recvfrom(65536)
        s.sendto(data[:2] + b"\x81\x80" + data[4:60] + b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x07", who)


def host(number):
    """A network namespace that hangs on the switch; gives what begins commands in it."""
    sleeper = subprocess.Popen(["unshare", "-n", "sleep", "600"])
    time.sleep(0.5)
    inside = f"nsenter -t {sleeper.pid} -n"
    name = f"eth{number}"
    run(f"ip link add r{number} type veth peer name {name}")
    run(f"ip link set {name} netns {sleeper.pid}")
    run(f"ip link set r{number} up")
    run(f"{inside} ip link set lo up")
    run(f"{inside} ip link set {name} address 02:00:00:00:00:0{number} up")
    run(f"{inside} ip addr add 10.0.0.{number}/24 dev {name}")
    run(f"{inside} ip addr add fd00::{number}/64 dev {name} nodad")
    run(f"{inside} {sys.executable} {__file__} whole {name}")
    return inside, sleeper


def main():
    pathlib.Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
    (seven, a), (nine, b) = host(7), host(9)
    running = [a, b]
    try:
        run("ip link add t7 type veth peer name t9")
        run("ip link set t7 mtu 1600 up && ip link set t9 mtu 1600 up")
        switch = Switch()
        running.append(start(f"exec {nine} {sys.executable} {__file__} serve"))
        for port in (80, 443):
            running.append(start(f"exec {nine} {sys.executable} -m http.server {port} --bind :: --directory {HERE}"))
        time.sleep(2)
        with Capture("ping"):  # begins with ARP and neighbour discovery
            run(f"{seven} ping -c 3 -i 0.2 10.0.0.9")
            run(f"{seven} ping -c 3 -i 0.2 fd00::9")
            run(f"{nine} ping -c 2 -i 0.2 10.0.0.7")
            run(f"{seven} ping -c 1 -W 1 10.0.0.8", check=False)
        with Capture("http"):
            for name in ("10.0.0.9", "[fd00::9]"):
                run(f"{seven} curl -s http://{name}/make.py")
                run(f"{seven} curl -s http://{name}:443/nothing")
            run(f"{seven} curl -s http://10.0.0.9:4001/", check=False)
        with Capture("udp"):
            run(udp(seven))
        with Capture("fragments"):
            run(f"{seven} ping -c 2 -i 0.2 -s 4000 10.0.0.9")
            run(f"{seven} ping -c 2 -i 0.2 -s 4000 fd00::9")
            run(f"{seven} ping -c 1 -R 10.0.0.9")  # with an option
        with Capture("vlan"):
            for switch.tags in (b"\x81\0\0\5", b"\x88\xa8\0\5\x81\0\0\6", b"\x81\0\0\5" * 3):
                run(f"{seven} ping -c 1 10.0.0.9")
                run(f"{seven} ping -c 1 fd00::9")
                run(f"{seven} curl -s http://10.0.0.9/nothing")
                run(udp(seven))
    finally:
        for process in running:
            process.terminate()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["inside"]:
            main()
        case ["serve"]:
            serve()
        case ["whole", interface]:
            whole(interface)
        case _:
            os.execvp("unshare", ["unshare", "-n", "--", sys.executable, __file__, "inside"])
