"""Writes ../requantise.txt: known answers of the requantisation. Needs nothing but Python.

    python3 requantise_vectors.py
"""

import random
from pathlib import Path

from gemmlowp import INT32_MAX, INT32_MIN, requantise


def cases():
    edges = [0, 1, -1, 2, -2, 3, -3, 5, -5, INT32_MAX, INT32_MAX - 1, INT32_MIN, INT32_MIN + 1]
    edges += [sign * ((1 << bit) + by) for bit in (7, 15, 23, 30) for by in (-1, 0, 1) for sign in (1, -1)]
    for total in edges:
        for multiplier in (1, 1 << 30, (1 << 30) + 1, 1518500250, INT32_MAX):
            for shift in (0, 1, 2, 7, 8, 23, 31):
                yield total, multiplier, shift
    chance = random.Random(2_024)
    for _ in range(2_000):
        # Sums, multipliers and shifts as networks have them: most answers are neither 0 nor cut off.
        shift = chance.randrange(0, 16)
        reach = min(INT32_MAX, 300 << (shift + chance.randrange(0, 2)))
        yield chance.randint(-reach, reach), chance.randint(1 << 30, INT32_MAX), shift


def main():
    lines = [
        "# sum, multiplier, shift, 1 for ReLU, value: by requantise_vectors.py, which follows gemmlowp's definition.",
    ]
    for number, (total, multiplier, shift) in enumerate(cases()):
        relu = number % 4 == 0
        lines.append(f"{total} {multiplier} {shift} {int(relu)} {requantise(total, multiplier, shift, relu)}")
    path = Path(__file__).resolve().parent.parent / "requantise.txt"
    path.write_text("\n".join(lines) + "\n")
    print(f"{len(lines) - 1} known answers")


if __name__ == "__main__":
    main()
