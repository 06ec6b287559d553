"""Makes vectors.txt: python3 vectors.py > vectors.txt

An implementation of the kernel that shares nothing with the others but the specification (docs/kernels/escape_time.md):
whole numbers of any size, rounded down and cut to 32 bits where the page says so.
"""

import struct

FIRST_HASH, MULTIPLIER = 0x9E3779B185EBCA77, 0x9E3779B1
ONE = 1 << 28


def signed(bits):
    """The number that 32 bits are, the highest of them its sign."""
    bits %= 1 << 32
    return bits - (1 << 32) if bits >= 1 << 31 else bits


def pixel(cx, cy, max_iter):
    x, y, hash, count = 0, 0, FIRST_HASH, max_iter
    for i in range(max_iter):
        square = x * x + y * y
        if square > 4 * ONE * ONE and count == max_iter:
            count = i
        mixed = hash ^ square
        dither = mixed >> 32
        # Floor division: towards minus infinity.
        to_x = (16 * (x * x - y * y) + dither) // (1 << 32) + cx
        to_y = (32 * x * y + dither) // (1 << 32) + cy
        x, y = signed(to_x), signed(to_y)
        hash = (mixed % (1 << 32) ^ dither) * MULTIPLIER
    return struct.pack("<HH", count, (hash >> 48 ^ x ^ y) % (1 << 16))


def vector(what, width, height, max_iter, x0, y0, step, leaf):
    params = struct.pack("<IIIqqq", width, height, max_iter, x0, y0, step)
    inside = range(64 * leaf, min(64 * leaf + 64, width * height))
    point = lambda at: (x0 + at % width * step, y0 + at // width * step)
    result = b"".join(pixel(*point(at), max_iter) for at in inside)
    print(f"# {what}\n{params.hex()} {leaf} {result.hex()}")


print("# Cells of the kernel `escape_time`: params, a leaf and its bytes. Made by vectors.py.")
vector("one iteration", 3, 2, 1, -ONE, -ONE, ONE, 0)
vector("the whole set, its last leaf a short one", 19, 11, 300, -2 * ONE, -5 * ONE // 4, ONE // 6, 3)
vector("the corners of the plane", 2, 2, 4096, 1 - 4 * ONE, 1 - 4 * ONE, 8 * ONE - 2, 0)
vector("exact orbits: 0, -1, -2, and 2, which leaves", 5, 1, 4096, -2 * ONE, 0, ONE, 0)
vector("the closest around 0", 9, 9, 2000, -4, -4, 1, 0)
vector("Seahorse Valley", 64, 2, 4095, -ONE * 3 // 4, ONE // 10, 99_991, 1)
vector("the edge at -2, both sides of it", 21, 3, 777, -2 * ONE - 10, -1, 1, 0)
vector("far outside, where all leave at once and wrap", 8, 8, 4096, 3 * ONE, 2 * ONE, ONE // 16, 0)
vector("the last leaf that an image can have", 65536, 65536, 17, 1 - 4 * ONE, 1 - 4 * ONE, 32767, (1 << 26) - 1)
