"""Makes vectors.txt: python3 vectors.py > vectors.txt (NumPy 2.4; takes a minute)

Products by NumPy's int32 matrix product, which shares nothing with the kernel but the specification
(docs/kernels/gemm_i8.md). Matrices are too long to be written down: a line says how to make them and has their SHA-256.
"""

import hashlib

import numpy

MULTIPLIER, INCREMENT = 0x5851F42D4C957F2D, 0x14057B7EF767814F


def row_bytes(k):
    return -(-k // 1024) * 1024


def matrix(what, rows, k):
    """An input, padding and all: bytes of a linear congruential generator (the highest of each state), or all the same."""
    kind, number = what.split(":")
    size = rows * row_bytes(k)
    if kind == "all":
        return bytes([int(number)]) * size
    state, made = int(number), bytearray()
    for _ in range(size):
        state = (state * MULTIPLIER + INCREMENT) % 2**64
        made.append(state >> 56)
    return bytes(made)


def vector(m, n, k, a, b):
    a_bytes, b_bytes = matrix(a, m, k), matrix(b, n, k)
    rows = [numpy.frombuffer(x, numpy.int8).reshape(-1, row_bytes(k))[:, :k].astype(numpy.int32) for x in (a_bytes, b_bytes)]
    c = (rows[0] @ rows[1].T).astype("<i4")
    # Sums of 64 bits say the same: nothing has overflowed.
    assert (c == rows[0].astype(numpy.int64) @ rows[1].T.astype(numpy.int64)).all()
    hashes = " ".join(hashlib.sha256(x).hexdigest() for x in (a_bytes, b_bytes, c.tobytes()))
    print(m, n, k, a, b, hashes)


print("# Products of the kernel gemm_i8: m, n, k, how A and B transposed are made, SHA-256 of both inputs with their padding")
print("# and of C, row by row, int32 little-endian. Made by vectors.py with NumPy.")
for m, n, k in [(1, 1, 1), (7, 5, 3), (16, 8, 32), (64, 64, 64), (67, 70, 1027), (130, 259, 127), (129, 257, 129), (40, 300, 2048), (3, 200, 1024)]:
    vector(m, n, k, f"lcg:{m}", f"lcg:{1000 + n}")
for k in [32767, 32768, 32769, 65537, 131070, 131071]:
    vector(3, 5, k, f"lcg:{k}", "lcg:7")
for k in [1, 1025, 32769, 131071]:
    for a, b in [(128, 128), (128, 127), (127, 128), (127, 127), (255, 128)]:
        vector(2, 3, k, f"all:{a}", f"all:{b}")
