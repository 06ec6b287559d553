"""gemmlowp's requantisation in Python's integers, line by line after its fixedpoint/fixedpoint.h (commit 032a5999).

It knows nothing of the Rust code: its answers are what that one is checked against.
"""

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def truncating_divide(a: int, b: int) -> int:
    """C++'s integer division by a positive number: towards zero."""
    return a // b if a >= 0 else -(-a // b)


def saturating_rounding_doubling_high_mul(a: int, b: int) -> int:
    if a == b == INT32_MIN:
        return INT32_MAX
    ab = a * b
    nudge = (1 << 30) if ab >= 0 else 1 - (1 << 30)
    return truncating_divide(ab + nudge, 1 << 31)


def rounding_divide_by_pot(x: int, exponent: int) -> int:
    assert 0 <= exponent <= 31
    mask = (1 << exponent) - 1
    remainder = x & mask
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if remainder > threshold else 0)


def requantise(total: int, multiplier: int, shift: int, relu: bool) -> int:
    """The int8 value of a sum."""
    value = rounding_divide_by_pot(saturating_rounding_doubling_high_mul(total, multiplier), shift)
    return max(0 if relu else -128, min(127, value))
