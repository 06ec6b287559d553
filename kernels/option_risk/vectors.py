"""Makes vectors.txt: python3 vectors.py > vectors.txt

An implementation of the kernel that shares nothing with the others but the specification (docs/kernels/option_risk.md) and
the table in pieces.rs. Python's integers have no size, so whatever wraps or is cut is written out.
"""

import pathlib
import random
import re
import struct

TEXT = (pathlib.Path(__file__).parent / "pieces.rs").read_text()
PIECES = [tuple(map(int, line.split(","))) for line in re.findall(r"^    \[([-0-9, ]+)\],$", TEXT, re.M)]
assert len(PIECES) == 288
AVERAGES, SUMS, REFERENCE = 1, 2, 4
AVERAGE, BARRIER, DOWN, IN = 1, 2, 4, 8


def signed(x):
    """x modulo 2^64, as a signed number."""
    return (x + 2**63) % 2**64 - 2**63


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [p1 >> 32 ^ c[1] ^ k[0], p1 % 2**32, p0 >> 32 ^ c[3] ^ k[1], p0 % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


def cubic(index, t):
    c0, c1, c2, c3 = PIECES[index]
    return c0 + ((c1 + ((c2 + (c3 * t >> 28)) * t >> 28)) * t >> 28)


def normal(word):
    tail = 2 * (word % 2**31) + 1
    octave = 32 - tail.bit_length()
    place = tail << octave
    size = cubic(8 * octave + (place >> 28) - 8, place % 2**28)
    return -size if word >> 31 else size


def price(log):
    log = max(-44 * 2**24, min(20 * 2**24 - 1, log))
    whole, fraction = log >> 24, log % 2**24
    return cubic(256 + (fraction >> 19), (fraction % 2**19) << 9) * 2**9 >> 19 - whole


def mix(digest, word):
    digest = (digest ^ word) * 0x9E3779B97F4A7C15 % 2**64
    return digest ^ digest >> 32


def path(params, model, number):
    """Value, payoffs and digest."""
    _, _, seed, steps, n, _, _, _, flags, _, _ = params
    assets, positions, factors, weights = model
    key = seed % 2**32, seed >> 32
    logs = [start for start, _ in assets]
    high, low, sums, prices = [-(2**31)] * n, [2**31 - 1] * n, [0] * n, [0] * n
    value, payoffs, drawn = 0, [], 0
    for step in range(1, steps + 1):
        variates = []
        for _ in range(n):
            words = philox((number % 2**32, number >> 32, drawn // 4, 0), key)
            variates.append(normal(words[drawn % 4]))
            drawn += 1
        at = 0
        for i in range(n):
            moved = assets[i][1]
            for j in range(i + 1):
                moved += factors[at] * variates[j]
                at += 1
            logs[i] = signed(logs[i] + moved)
            rounded = signed(logs[i] + 2**31) >> 32
            high[i], low[i] = max(high[i], rounded), min(low[i], rounded)
        prices = [price(signed(log + 2**31) >> 32) for log in logs]
        if flags & AVERAGES:
            sums = [a + b for a, b in zip(sums, prices)]
        while len(payoffs) < len(positions):
            strike, quantity, barrier, expiry, underlying, watched, kind, style = positions[len(payoffs)]
            if expiry > step and step < steps:
                break
            reached = [total // step for total in sums] if style & AVERAGE else prices
            if underlying < n:
                at = reached[underlying]
            elif underlying - n < len(weights):
                at = signed(sum(w * r for w, r in zip(weights[underlying - n], reached))) >> 16
            else:
                at = 0
            above = signed(at - strike)
            paid = [max(above, 0), max(signed(-above), 0), above, 2**20 if above > 0 else 0][kind % 4]
            if style & BARRIER:
                touched = watched < n and (low[watched] <= barrier if style & DOWN else high[watched] >= barrier)
                if touched != bool(style & IN):
                    paid = 0
            payoffs.append(paid)
            value = signed(value + (paid * quantity >> 16))
    digest = number
    for i in range(n):
        digest = mix(digest, logs[i] % 2**64)
        digest = mix(digest, sums[i] % 2**64)
        digest = mix(digest, high[i] % 2**32 << 32 | low[i] % 2**32)
    return value, payoffs, digest


def read_model(params, data):
    _, _, _, _, n, baskets, positions, _, _, _, _ = params
    at = 0

    def take(form, count):
        nonlocal at
        size = struct.calcsize(form)
        out = [struct.unpack_from(form, data, at + size * i) for i in range(count)]
        at += size * count
        return out

    assets = take("<qq", n)
    places = take("<qiiHBBBBxx", positions)
    factors = [x for (x,) in take("<i", n * (n + 1) // 2)]
    weights = take(f"<{n}i", baskets)
    return assets, places, factors, weights


def cell(params, model, index):
    cells, first, _, _, _, _, positions, paths, flags, _, _ = params
    values, digest, sums = [], 0, [0] * positions
    for number in range(first + index * paths, first + (index + 1) * paths):
        value, payoffs, own = path(params, model, number)
        values.append(value)
        digest ^= own
        sums = [signed(a + b) for a, b in zip(sums, payoffs)]
    words = [digest] + [x % 2**64 for x in values + (sums if flags & SUMS else [])]
    return struct.pack(f"<{len(words)}Q", *words)


def vector(what, params, data, leaf):
    data += bytes(max(1024, len(data) + -len(data) % 1024) - len(data))
    cells, _, _, _, _, _, positions, paths, flags, _, _ = params
    per_leaf = max(1, 512 // (8 * (1 + paths + (positions if flags & SUMS else 0))))
    model = read_model(params, data)
    inside = range(per_leaf * leaf, min(per_leaf * (leaf + 1), cells))
    result = b"".join(cell(params, model, index) for index in inside)
    packed = struct.pack("<QQQHBBBBBBq", *params)
    # Without the zeros at the end.
    print(f"# {what}\n{packed.hex()} {data.rstrip(bytes(1)).hex() or '00'} {leaf} {result.hex()}")


def model(assets, positions, factors, weights=()):
    out = b"".join(struct.pack("<qq", *a) for a in assets)
    out += b"".join(struct.pack("<qiiHBBBBxx", *p) for p in positions)
    return out + b"".join(struct.pack("<i", x) for x in [*factors, *weights])


def main():
    print("# Cells of the kernel `option_risk`: params, input without the zeros at its end, a leaf and its bytes. Made by")
    print("# vectors.py.")
    log, unit = 2**56, 2**20
    # The logarithm of 100 to base 2; 0.2 / ln 2 as a factor; the drift of 3 % and 20 % in a year.
    hundred, factor, drift = 478743563211997057, 77453566, 1039561283098107
    call = (100 * unit, 1 << 24, 0, 1, 0, 0, 0, 0)
    vector("a call", (3, 0, 7, 1, 1, 0, 1, 5, 0, 28, 0), model([(hundred, drift)], [call], [factor]), 0)
    kinds = [(101 * unit, -(1 << 20), 0, 1, 0, 0, kind, 0) for kind in range(4)]
    two = [(hundred, drift), (hundred - log, -drift)]
    vector("each kind, and their sums", (9, 2**40, 8, 2, 2, 0, 4, 6, SUMS, 24, 0), model(two, kinds, [factor, factor // 2, factor]), 1)
    level = hundred >> 32
    walls = [(95 * unit, 3 << 20, level, 6, 0, 1, 0, style) for style in (2, 6, 10, 14, 3, 7)]
    params = (4, 5, 2**64 - 2, 8, 2, 0, 6, 3, SUMS | AVERAGES | REFERENCE, 24, -77)
    vector("barriers and averages", params, model(two, walls, [factor // 3, factor // 4, factor // 3]), 0)
    basket = [(90 * unit, 1 << 22, 0, expiry, 2 + index, 0, index % 2, index & 1) for expiry, index in ((1, 0), (2, 1), (2, 2), (3, 0))]
    vector("baskets, one of them there is not; expiries", (7, 1, 9, 3, 2, 2, 4, 4, AVERAGES, 26, 0),
           model(two, basket, [factor, -factor, factor], [40000, 30000, 65536, -65536]), 0)
    random.seed(5)
    noise = random.randbytes(2048)
    vector("the largest model, of random bytes", (3, 2**63, 12345, 3, 16, 4, 32, 2, SUMS | AVERAGES, 0, 0), noise, 2)
    vector("another one", (40, 2**64 - 1 - 240, 1, 7, 3, 1, 5, 6, AVERAGES, 0, 0), noise[:1024], 1)
    vector("ones in all bits", (6, 0, 2**64 - 1, 2, 5, 4, 32, 1, SUMS, 48, 0), b"\xff" * 1500, 0)
    vector("nothing at all", (2, 0, 0, 1, 1, 0, 1, 1, 0, 0, 0), b"", 0)


main()
