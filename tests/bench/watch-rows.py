"""watch-rows.py STATE ADDRESS PORT COUNT OUT DONE

Reads the collector's database beside it and writes "ADDRESS NANOSECONDS" for each of COUNT addresses from ADDRESS up: the wall clock
when a committed build or finding first named that address with that port. Stops when DONE exists.

The messages are protobuf; an Egress holds its address and port side by side (fields 1 and 2), which is enough to look
for and keeps this reader from needing the generated code.
"""

import glob
import ipaddress
import os
import sqlite3
import sys
import time

state, address, port, count, out, done = sys.argv[1:7]
port, count = int(port), int(count)


def varint(number):
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def egress(text):
    return b"\x0a" + varint(len(text)) + text.encode() + b"\x10" + varint(port)


first = int(ipaddress.IPv4Address(address))
missing = {text: egress(text) for text in (str(ipaddress.IPv4Address(first + i)) for i in range(count))}
found = {}


def look(blob, when):
    for text in [text for text, words in missing.items() if words in blob]:
        found[text] = when
        del missing[text]


def main():
    database = None
    while database is None and not os.path.exists(done):
        files = [f for f in glob.glob(os.path.join(state, "*")) if not f.endswith(("-wal", "-shm"))]
        for file in files:
            try:
                candidate = sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None)
                candidate.execute("SELECT 1 FROM findings LIMIT 1")
                database = candidate
            except sqlite3.Error:
                pass
        time.sleep(0.01)

    version = None
    seen = {"builds": {}, "findings": {}}
    while database is not None and not os.path.exists(done):
        current = database.execute("PRAGMA data_version").fetchone()[0]
        if current == version:
            time.sleep(0.001)
            continue
        version = current
        for table, key in (("builds", "build_key"), ("findings", "finding_key")):
            blob = table[:-1]
            rows = database.execute(f"SELECT {key}, sequence, {blob} FROM {table}").fetchall()
            when = time.time_ns()
            for row, sequence, message in rows:
                if seen[table].get(row) != sequence:
                    seen[table][row] = sequence
                    look(message, when)

    with open(out, "w", encoding="ascii") as file:
        for text, when in found.items():
            file.write(f"{text} {when}\n")


main()
