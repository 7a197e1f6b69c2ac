#!/usr/bin/env python3
"""The world outside the Docker host, for the lab: HTTP, TCP, UDP and DNS servers on every address of their network
namespace. Writes one JSON line for each thing that reached it, so that a test can tell what really left the host from
what a sensor says.

usage: outside.py --log FILE --files DIR --zone FILE --address ADDR... ; "ready" goes to standard output.
"""

import argparse
import asyncio
import ipaddress
import json
import mimetypes
import pathlib
import signal
import struct
import sys
import time

HTTP_PORTS = (80, 8080)
TCP_PORTS = (443, 4444)
UDP_PORTS = (123, 443, 9999)
DNS_PORT = 53


class Witness:
    """Appends what was seen; line buffered, so that a reader never sees half a line for long."""

    def __init__(self, path):
        self._file = open(path, "a", buffering=1, encoding="utf-8")

    def saw(self, protocol, local, remote, **more):
        line = {"time": time.time(), "protocol": protocol, "address": local[0], "port": local[1],
                "from": remote[0], "fromPort": remote[1], **more}
        self._file.write(json.dumps(line) + "\n")


def plain(address):
    """Dual-stack sockets show IPv4 peers as ::ffff:a.b.c.d."""
    ip = ipaddress.ip_address(address.split("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    return str(mapped or ip)


def ends(writer):
    local, remote = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
    return (plain(local[0]), local[1]), (plain(remote[0]), remote[1])


async def serve_http(reader, writer, witness, files):
    local, remote = ends(writer)
    request = ""
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        request = head.split(b"\r\n", 1)[0].decode("latin-1")
        if request.startswith("CONNECT "):
            # A proxy that agrees to everything and carries nothing.
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.drain()
            await asyncio.wait_for(reader.read(4096), 5)
            return
        path = request.split(" ")[1].split("?")[0]
        found = (files / path.lstrip("/")).resolve()
        if found.is_relative_to(files) and found.is_file():
            status, body = "200 OK", found.read_bytes()
        elif path == "/":
            status, body = "200 OK", b"the lab's outside\n"
        else:
            status, body = "404 Not Found", b"no such file\n"
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                     "Connection: close\r\n\r\n".encode())
        if not request.startswith("HEAD "):
            writer.write(body)
        await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.TimeoutError, ConnectionError, IndexError, asyncio.LimitOverrunError):
        pass
    finally:
        witness.saw("tcp", local, remote, request=request)
        writer.close()


async def serve_sink(reader, writer, witness):
    local, remote = ends(writer)
    witness.saw("tcp", local, remote)
    try:
        while await asyncio.wait_for(reader.read(65536), 60):
            pass
    except (asyncio.TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()


class UdpEcho(asyncio.DatagramProtocol):
    def __init__(self, witness, answer=lambda data: data):
        self._witness, self._answer, self._transport = witness, answer, None

    def connection_made(self, transport):
        self._transport = transport

    def datagram_received(self, data, addr):
        local = self._transport.get_extra_info("sockname")
        more = {"question": dns_question(data)} if local[1] == DNS_PORT else {"bytes": len(data)}
        self._witness.saw("udp", (plain(local[0]), local[1]), (plain(addr[0]), addr[1]), **more)
        reply = self._answer(data)
        if reply:
            self._transport.sendto(reply, addr)


def dns_question(data):
    try:
        return read_name(data)[0]
    except (IndexError, UnicodeDecodeError):
        return ""


def read_name(data, at=12):
    labels = []
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode("ascii").lower())
        at += data[at] + 1
    return ".".join(labels), at + 1


def pack_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


class Zone:
    """Answers A, AAAA and CNAME from a JSON object; a name that begins with "*." answers for all below it."""

    KINDS = {1: "A", 5: "CNAME", 28: "AAAA"}

    def __init__(self, path):
        self._names = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))

    def answer(self, data):
        try:
            name, end = read_name(data)
            kind = self.KINDS.get(struct.unpack_from("!H", data, end)[0])
        except (IndexError, struct.error, UnicodeDecodeError):
            return None
        records, known = self._records(name, kind)
        head = data[:2] + struct.pack("!HHHHH", 0x8580 if known else 0x8583, 1, len(records), 0, 0)
        return head + data[12:end + 4] + b"".join(records)

    def _find(self, name):
        if name in self._names:
            return self._names[name]
        labels = name.split(".")
        for cut in range(1, len(labels)):
            wild = "*." + ".".join(labels[cut:])
            if wild in self._names:
                return self._names[wild]
        return None

    def _records(self, name, kind):
        entry, records = self._find(name), []
        known = entry is not None
        while entry and "CNAME" in entry and kind != "CNAME":
            records.append(self._pack(name, 5, pack_name(entry["CNAME"])))
            name = entry["CNAME"]
            entry = self._find(name)
        for value in (entry or {}).get(kind, []):
            records.append(self._pack(name, 1 if kind == "A" else 28, ipaddress.ip_address(value).packed))
        return records, known

    @staticmethod
    def _pack(name, kind, body):
        return pack_name(name) + struct.pack("!HHIH", kind, 1, 30, len(body)) + body


async def serve_dns_tcp(reader, writer, witness, zone):
    local, remote = ends(writer)
    try:
        length = struct.unpack("!H", await asyncio.wait_for(reader.readexactly(2), 10))[0]
        question = await asyncio.wait_for(reader.readexactly(length), 10)
        witness.saw("tcp", local, remote, question=dns_question(question))
        reply = zone.answer(question)
        if reply:
            writer.write(struct.pack("!H", len(reply)) + reply)
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument("--files", required=True, type=pathlib.Path)
    parser.add_argument("--zone", required=True)
    parser.add_argument("--address", nargs="+", required=True)
    options = parser.parse_args()

    witness, zone, files = Witness(options.log), Zone(options.zone), options.files.resolve()
    loop = asyncio.get_running_loop()
    for port in HTTP_PORTS:
        await asyncio.start_server(lambda r, w: serve_http(r, w, witness, files), None, port)
    for port in TCP_PORTS:
        await asyncio.start_server(lambda r, w: serve_sink(r, w, witness), None, port)
    await asyncio.start_server(lambda r, w: serve_dns_tcp(r, w, witness, zone), None, DNS_PORT)

    # A UDP socket bound to the wildcard would answer from whatever address the route prefers, and the asker
    # would drop the reply: so one socket for each address.
    for address in options.address:
        for port in UDP_PORTS:
            await loop.create_datagram_endpoint(lambda: UdpEcho(witness), local_addr=(address, port))
        await loop.create_datagram_endpoint(lambda: UdpEcho(witness, zone.answer), local_addr=(address, DNS_PORT))

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    print("ready", flush=True)
    await stop.wait()


if __name__ == "__main__":
    # Addresses times ports: more descriptors than the usual soft limit.
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    sys.exit(asyncio.run(main()))
