"""Commits, in the repository where it is started, a file of 4 GB whose pack has 200 bytes.

Prints the bytes of the pack. An object that is a delta says how large it is and what to copy from
where; see gitformat-pack(5).
"""

import hashlib
import struct
import subprocess
import zlib
from pathlib import Path

CHUNK = 1 << 16
COPIES = 4_000_000_000 // CHUNK


def number(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def head(kind: int, size: int) -> bytes:
    first, rest = kind << 4 | size & 15, size >> 4
    return bytes([first | 128]) + number(rest) if rest else bytes([first])


def git(*arguments: str, given: bytes = b"") -> str:
    done = subprocess.run(["git", *arguments], input=given, capture_output=True, check=True)
    return done.stdout.decode().strip()


base = b"x" * CHUNK
name = hashlib.sha1(b"blob %d\0%b" % (CHUNK, base)).digest()
# Nobody has looked at it, so it may be called anything.
large = b"\x11" * 20
delta = number(CHUNK) + number(CHUNK * COPIES) + bytes([0x80]) * COPIES
first = head(3, CHUNK) + zlib.compress(base)
second = head(7, len(delta)) + name + zlib.compress(delta)
pack = b"PACK" + struct.pack(">II", 2, 2) + first + second
pack += hashlib.sha1(pack).digest()
entries = sorted([(name, zlib.crc32(first), 12), (large, zlib.crc32(second), 12 + len(first))])
fan = b"".join(struct.pack(">I", sum(e[0][0] <= n for e in entries)) for n in range(256))
index = b"\377tOc" + struct.pack(">I", 2) + fan + b"".join(e[0] for e in entries)
index += b"".join(struct.pack(">I", e[1]) for e in entries)
index += b"".join(struct.pack(">I", e[2]) for e in entries) + pack[-20:]
index += hashlib.sha1(index).digest()
stem = ".git/objects/pack/pack-" + hashlib.sha1(b"".join(e[0] for e in entries)).hexdigest()
for suffix, content in ((".pack", pack), (".idx", index)):
    Path(stem + suffix).write_bytes(content)
tree = git("mktree", given=b"100644 blob %b\tlarge\n" % large.hex().encode())
git("update-ref", "HEAD", git("commit-tree", "-m", "Large", "-p", "HEAD", tree))
print(len(pack))
