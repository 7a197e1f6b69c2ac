#!/usr/bin/env python3
"""One unary gRPC call on an engine's socket, with nothing but what Python brings: for what no command of Docker's does.

usage: grpc-call.py SOCKET METHOD [FIELD=VALUE ...]
FIELD is NUMBER (string), NUMBER:b (bool) or NUMBER:m (map entry, VALUE is KEY=VALUE); fields repeat. Or METHOD "latest",
which prints the name of the youngest record of the build history. Status 0 when the engine answered OK.
"""

import socket
import struct
import sys

CONTROL = "/moby.buildkit.v1.Control/"


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def text(number, value):
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(arguments):
    body = b""
    for argument in arguments:
        field, value = argument.split("=", 1)
        number, _, kind = field.partition(":")
        if kind == "b":
            body += varint(int(number) << 3) + varint(int(value))
        elif kind == "m":
            key, item = value.split("=", 1)
            body += text(int(number), text(1, key.encode()) + text(2, item.encode()))
        else:
            body += text(int(number), value.encode())
    return body


def fields(data):
    def number(at):
        value = shift = 0
        while True:
            byte, at = data[at], at + 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value, at

    at = 0
    while at < len(data):
        tag, at = number(at)
        if tag & 7 == 0:
            value, at = number(at)
        else:
            size, at = number(at)
            value, at = data[at:at + size], at + size
        yield tag >> 3, value


def header(name, value):
    # Literal without indexing, new name, no Huffman (RFC 7541, 6.2.2): needs no table.
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def call(path, method, body):
    engine = socket.socket(socket.AF_UNIX)
    engine.connect(path)
    engine.sendall(b"POST /grpc HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += engine.recv(1)
    if b" 101 " not in head:
        sys.exit(f"no upgrade: {head!r}")

    headers = b"".join(header(*pair) for pair in (
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", (CONTROL + method).encode()), (b":authority", b"engine"),
        (b"content-type", b"application/grpc"), (b"te", b"trailers")))
    engine.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, headers)
                   + frame(0, 1, 1, b"\0" + struct.pack(">I", len(body)) + body))
    stream, data = engine.makefile("rb"), b""
    while True:
        start = stream.read(9)
        if len(start) < 9:
            sys.exit("the engine closed the connection")
        size, kind, flags = int.from_bytes(start[:3], "big"), start[3], start[4]
        payload = stream.read(size)
        if kind == 4 and not flags & 1:
            engine.sendall(frame(4, 1, 0, b""))
        elif kind == 6 and not flags & 1:
            engine.sendall(frame(6, 1, 0, payload))
        elif kind == 0:
            data += payload
            engine.sendall(frame(8, 0, 0, struct.pack(">I", max(1, size))) + frame(8, 0, 1, struct.pack(">I", max(1, size))))
        if kind == 3:
            sys.exit("the engine reset the stream")
        if kind in (0, 1) and flags & 1:
            return data


def latest(path):
    data, best = call(path, "ListenBuildHistory", message(["3:b=1"])), (0, "")
    while len(data) >= 5:
        size = struct.unpack(">I", data[1:5])[0]
        record = dict(fields(dict(fields(data[5:5 + size])).get(2, b"")))
        created = dict(fields(record.get(6, b"")))
        best = max(best, (created.get(1, 0) * 10**9 + created.get(2, 0), record.get(1, b"").decode()))
        data = data[5 + size:]
    return best[1]


if __name__ == "__main__":
    if sys.argv[2] == "latest":
        print(latest(sys.argv[1]))
    else:
        call(sys.argv[1], sys.argv[2], message(sys.argv[3:]))
