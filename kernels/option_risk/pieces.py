"""Makes pieces.rs: python3 pieces.py > pieces.rs; python3 pieces.py --errors says how far the pieces are from the truth.

Cubics for the inverse of the normal distribution function (Wichura's algorithm AS 241 in Python's statistics module,
good to sixteen digits) and for 2^x. Each goes through the function at the four Chebyshev points of its piece, and is
evaluated in integers as docs/kernels/option_risk.md says.
"""

import math
import random
import sys
from statistics import NormalDist

NORMAL_BITS, POWER_BITS, T_BITS = 28, 30, 28
INVERSE = NormalDist().inv_cdf


def tail(octave, place):
    """The positive normal variate of the tail probability place * 2^(31 - octave) / 2^33, place from 1 to 2."""
    return -INVERSE(place * 2.0 ** (-2 - octave))


def cubic(function, low, high):
    """Coefficients in t from 0 to 1 of the cubic through `function` at Chebyshev points between low and high."""
    points = [0.5 - 0.5 * math.cos(math.pi * (2 * i + 1) / 8) for i in range(4)]
    slopes = [function(low + (high - low) * t) for t in points]
    for order in range(1, 4):
        for i in range(3, order - 1, -1):
            slopes[i] = (slopes[i] - slopes[i - 1]) / (points[i] - points[i - order])
    result = [0.0] * 4
    for slope, point in zip(reversed(slopes), reversed(points)):
        shifted = [0.0] + result[:3]
        result = [a - point * b for a, b in zip(shifted, result)]
        result[0] += slope
    return result


def evaluate(piece, t):
    """What every implementation does: t has T_BITS bits, shifts round down."""
    c0, c1, c2, c3 = piece
    return c0 + (t * (c1 + (t * (c2 + (t * c3 >> T_BITS)) >> T_BITS)) >> T_BITS)


def pieces():
    out = []
    for octave in range(32):
        for eighth in range(8):
            low, high = 1 + eighth / 8, 1 + (eighth + 1) / 8
            out.append((lambda place, octave=octave: tail(octave, place), low, high, NORMAL_BITS))
    for i in range(32):
        out.append((lambda x: 2.0**x, i / 32, (i + 1) / 32, POWER_BITS))
    result = []
    for function, low, high, bits in out:
        integers = [round(c * 2**bits) for c in cubic(function, low, high)]
        # Shifts that round down take half a unit each on average.
        integers[0] += 1
        result.append((function, low, high, bits, integers))
    return result


def errors(table):
    random.seed(1)
    for name, part in [("normal", table[:256]), ("power", table[256:])]:
        worst, mean, count, weight = 0.0, 0.0, 0, 0.0
        for index, (function, low, high, bits, integers) in enumerate(part):
            places = [0, 2**T_BITS - 1] + [random.randrange(2**T_BITS) for _ in range(400)]
            octave = index // 8 if name == "normal" else 0
            for t in places:
                # A value of octave k has 31 - k random bits, the last one set.
                if octave > 3:
                    t = t >> (octave - 3) << (octave - 3)
                true = function(low + (high - low) * t / 2**T_BITS)
                error = evaluate(integers, t) / 2**bits - true
                worst = max(worst, abs(error))
                mean, count = mean + error * 2.0**-octave, count + 2.0**-octave
        largest = max(abs(c) for p in part for c in p[4])
        print(f"{name}: at most {worst:.2e}, on average {mean / count:.1e}, largest coefficient {largest:#x}")


def main():
    table = pieces()
    if "--errors" in sys.argv:
        errors(table)
        return
    print("//! Cubics of the inverse normal distribution function and of 2^x. Made by pieces.py.\n")
    print("/// A cubic in t of 28 bits: c0, c1, c2, c3.")
    print("pub type Piece = [i32; 4];\n")
    print("/// Pieces of an octave of tail probabilities.")
    print("pub const PER_OCTAVE: usize = 8;")
    print("/// First piece of 2^x.")
    print("pub const POWERS: usize = 256;\n")
    print("/// 32 octaves of tail probabilities, eight pieces each, with values of 28 fractional bits; then 2^x from 0 to 1 in 32")
    print("/// pieces, with 30 fractional bits.")
    print("#[rustfmt::skip]\npub const PIECES: [Piece; 288] = [")
    for *_, integers in table:
        assert all(-(2**31) <= c < 2**31 for c in integers)
        print("    [" + ", ".join(map(str, integers)) + "],")
    print("];")


main()
