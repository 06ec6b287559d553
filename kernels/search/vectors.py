"""Makes vectors.txt: python3 vectors.py > vectors.txt

An implementation of the kernel that shares nothing with the others but the specification (docs/kernels/search.md); the
hashes are those of Python's hashlib.
"""

import hashlib
import struct

DOUBLE, WIDE, BIG_ENDIAN, REVERSED = 1, 2, 4, 8


def sha256(data):
    return hashlib.sha256(data).digest()


def cell(start, flags, size, nonce_at, message, index):
    width = 8 if flags & WIDE else 4
    first = start + index * (512 << size)
    chain, best = bytes(32), (b"\xff" * 32, first)
    for segment in range(1 << size):
        heads = b""
        for nonce in range(first + 512 * segment, first + 512 * (segment + 1)):
            written = nonce.to_bytes(width, "big" if flags & BIG_ENDIAN else "little")
            digest = sha256(message[:nonce_at] + written + message[nonce_at + width :])
            if flags & DOUBLE:
                digest = sha256(digest)
            heads += digest[:4]
            best = min(best, (digest[::-1] if flags & REVERSED else digest, nonce))
        chain = sha256(heads + chain)
    return best[0][:8] + struct.pack("<Q", best[1]) + chain[:16]


def vector(what, start, cells, flags, size, nonce_at, message, leaf):
    params = struct.pack("<QQBBB", start, cells, flags, size, nonce_at) + message
    inside = range(8 * leaf, min(8 * leaf + 8, cells))
    result = b"".join(cell(start, flags, size, nonce_at, message, index) for index in inside)
    print(f"# {what}\n{params.hex()} {leaf} {result.hex()}")


def header(parent, merkle_root, time):
    """A block header of Bitcoin of January 2009, its nonce left at zero."""
    reverse = lambda digest: bytes.fromhex(digest)[::-1]
    return struct.pack("<L", 1) + reverse(parent) + reverse(merkle_root) + struct.pack("<LLL", time, 0x1D00FFFF, 0)


print("# Cells of the kernel `search`: params, a leaf and its bytes. Made by vectors.py.")
counting = bytes(range(247))
vector("four bytes, all of them the nonce", 0, 1, 0, 0, 0, bytes(4), 0)
vector("the nonce at the end of a message of one block", 0xFFFF_0000, 11, 0, 0, 51, counting[:55], 1)
vector("the padding in a block of its own", 1 << 40, 2, WIDE, 0, 48, counting[:56], 0)
vector("a nonce across two blocks, big-endian", 2**64 - 2048, 4, WIDE | BIG_ENDIAN, 0, 59, counting[:100], 0)
vector("the same, little-endian, from a word's second byte on", 0x0123_4567_89AB_CDEF, 2, WIDE, 0, 57, counting[:100], 0)
vector("the last nonces of four bytes, hashed twice", 2**32 - 4096, 2, DOUBLE | BIG_ENDIAN, 2, 101, counting[:130], 0)
vector("the longest message, the nonce in its third block", 7, 9, WIDE | REVERSED, 0, 150, counting, 1)
vector("the longest cell", 12345, 1, DOUBLE | REVERSED, 7, 76, counting[:80], 0)
genesis = header("00" * 32, "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b", 1231006505)
vector("Bitcoin's genesis block: nonce 2083236893", 2083236893 - 700, 2, DOUBLE | REVERSED, 0, 76, genesis, 0)
