#!/usr/bin/env python3
"""Writes int8 matrices and their exact int32 products, both by NumPy, into the folder of this script.

Run by hand when a case is added; the files are committed and checked by cli/tests/numpy.rs.
"""
import pathlib
import numpy

FOLDER = pathlib.Path(__file__).parent
rng = numpy.random.default_rng(20261120)


def case(name, a, b):
    product = a.astype(numpy.int32) @ b.astype(numpy.int32)
    assert (product == a.astype(object) @ b.astype(object)).all(), "int32 is exact here"
    numpy.save(FOLDER / f"{name}-a.npy", a)
    numpy.save(FOLDER / f"{name}-b.npy", b)
    numpy.save(FOLDER / f"{name}-product.npy", product)


def random(rows, columns):
    return rng.integers(-128, 128, (rows, columns), dtype=numpy.int8)


case("one", random(1, 1), random(1, 1))
case("ragged", random(3, 37), random(37, 43))
case("chunks", random(11, 1025), random(1025, 13))
case("even", random(32, 64), random(64, 32))
case("fortran", numpy.asfortranarray(random(7, 29)), numpy.asfortranarray(random(29, 5)))
case("extreme", numpy.full((2, 4096), -128, dtype=numpy.int8), numpy.full((4096, 3), -128, dtype=numpy.int8))
print("numpy", numpy.__version__)
