"""A client of the engine's plain TCP API that does everything but behave, from outside addresses.

Garbage, half a request that stays open, a request line of 1 MiB, a user agent and a tag of terminal escapes, and then
connections as fast as the engine takes them, from many addresses. Prints how many connections it made and how fast.
"""
import argparse
import multiprocessing
import socket
import struct
import time

ESCAPE = "\x1b]0;owned\x07\x1b[31m"


def connect(target, source=None):
    s = socket.socket()
    s.settimeout(5)
    # Closed by reset: no port is held in TIME_WAIT.
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if source:
        s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        s.bind((source, 0))
    s.connect(target)
    return s


def say(target, data):
    with connect(target) as s:
        try:
            s.sendall(data)
            s.settimeout(0.5)
            s.recv(4096)
        except OSError:
            pass


def flood(target, sources, count, made):
    for n in range(count):
        try:
            connect(target, sources[n % len(sources)]).close()
            with made.get_lock():
                made.value += 1
        except OSError:
            time.sleep(0.001)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("target")
    arguments.add_argument("--sources", nargs="+", required=True)
    arguments.add_argument("--connections", type=int, default=100_000)
    given = arguments.parse_args()
    host, port = given.target.rsplit(":", 1)
    target = (host, int(port))

    say(target, bytes(range(256)) * 16)
    half = connect(target)
    half.sendall(b"POST /build?t=half HTTP/1.1\r\nHost: engine\r\nContent-Le")
    say(target, b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: engine\r\n\r\n")
    say(target, f"GET /info HTTP/1.1\r\nHost: engine\r\nUser-Agent: {ESCAPE}\r\n\r\n".encode())
    say(target, f"POST /build?t={ESCAPE}&remote=http://user:secret@198.51.100.1/x HTTP/1.1\r\nHost: engine\r\nContent-Length: 0\r\n\r\n".encode())
    say(target, b"POST /build?t=%1b%5b31mred%0a&buildargs=%7B%22KEY%22%3A%22topsecret%22%7D HTTP/1.1\r\nHost: engine\r\nX-Registry-Config: c2VjcmV0\r\nContent-Length: 0\r\n\r\n")
    say(target, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")

    made = multiprocessing.Value("i", 0)
    began = time.monotonic()
    workers = [multiprocessing.Process(target=flood, args=(target, given.sources[n::4], given.connections // 4, made)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(f"hostile: {made.value} connections in {time.monotonic() - began:.1f} s")
    half.close()


if __name__ == "__main__":
    main()
