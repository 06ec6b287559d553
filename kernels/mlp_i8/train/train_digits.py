"""Trains a small network on scikit-learn's handwritten digits, quantises it by the kernel's rule and writes ../digits/.

    python3 -m venv VENV && VENV/bin/pip install -r requirements.txt && VENV/bin/python train_digits.py

Everything after the training is exact: integers in NumPy and Python, no rounding but gemmlowp's. Training is floating
point, so another machine may find other weights; `--keep` skips it and makes everything else anew from the committed
weights.
"""

import argparse
import hashlib
import math
import struct
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from gemmlowp import requantise

HIDDEN = (48, 32)
SEED = 0
# Pixels are whole numbers from 0 to 16: as fractions of 16 they are exact in int8.
INPUT_SCALE = 1 / 16
GROUPS = 3


def quantise_multiplier(real: float) -> tuple[int, int]:
    """TensorFlow Lite's QuantizeMultiplier for factors below 1: Q0.31 multiplier and right shift."""
    assert 0 < real < 1
    fraction, exponent = math.frexp(real)
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, exponent = multiplier // 2, exponent + 1
    assert -31 <= exponent <= 0
    return multiplier, -exponent


def quantise(model: MLPClassifier, calibration: np.ndarray):
    """int8 weights, symmetric with one scale a layer; int32 biases; multiplier, shift and ReLU between the layers."""
    weights, biases, factors = [], [], []
    scale, values = INPUT_SCALE, calibration
    for number, (coefs, intercepts) in enumerate(zip(model.coefs_, model.intercepts_)):
        weight_scale = np.abs(coefs).max() / 127
        weights.append(np.clip(np.round(coefs.T / weight_scale), -127, 127).astype(np.int8))
        biases.append(np.round(intercepts / (scale * weight_scale)).astype(np.int32))
        values = np.maximum(values @ coefs + intercepts, 0)
        if number + 1 < len(model.coefs_):
            next_scale = values.max() / 127
            factors.append([*quantise_multiplier(scale * weight_scale / next_scale), 1])
            scale = next_scale
    return weights, biases, np.array(factors, dtype=np.int32)


def forward(samples: np.ndarray, weights, biases, factors) -> list[np.ndarray]:
    """The sums of every layer, int32: NumPy's integer products, gemmlowp's rounding in Python's integers."""
    values, sums = samples.astype(np.int64), []
    for number, (w, b) in enumerate(zip(weights, biases)):
        total = values @ w.T.astype(np.int64) + b.astype(np.int64)
        assert np.abs(total).max() < 2**31
        sums.append(total.astype("<i4"))
        if number < len(factors):
            multiplier, shift, relu = (int(x) for x in factors[number])
            one = np.vectorize(lambda t: requantise(int(t), multiplier, shift, relu == 1), otypes=[np.int64])
            values = one(total)
    return sums


def padded(length: int) -> int:
    if length <= 1024:
        return 1 << max(2, (length - 1).bit_length())
    return -(-length // 1024) * 1024


def chunks(data: bytes) -> bytes:
    return data + bytes(-len(data) % 1024)


def job(samples: np.ndarray, weights, biases, factors, groups: int, argmax: bool) -> tuple[bytes, bytes, bytes]:
    """Params, input 0 and input 1 of a job, laid out as docs/kernels/mlp_i8.md says."""
    params = struct.pack("<IBBBBI", len(samples), groups, len(weights), int(argmax), 0, samples.shape[1])
    for number, w in enumerate(weights):
        multiplier, shift, relu = (int(x) for x in factors[number]) if number < len(factors) else (0, 0, 0)
        params += struct.pack("<IIBBH", len(w), multiplier, shift, relu, 0)
    row = padded(samples.shape[1])
    input_0 = chunks(b"".join(sample.tobytes().ljust(row, b"\0") for sample in samples))
    input_1 = b""
    for w, b in zip(weights, biases):
        row = padded(w.shape[1] + 4)
        rows = (weight.tobytes().ljust(row - 4, b"\0") + struct.pack("<i", bias) for weight, bias in zip(w, b))
        input_1 += chunks(b"".join(rows))
    return params, input_0, input_1


def result(sums: list[np.ndarray], answers: np.ndarray, groups: int) -> bytes:
    """The job's leaves one after the other: group by group, in it stage by stage, in that sample by sample."""
    size = -(-len(answers) // groups)
    data = b""
    for first in range(0, len(answers), size):
        for stage in [*sums, answers.astype("<u2")]:
            data += stage[first : first + size].tobytes()
    return data


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", action="store_true", help="keep the committed weights")
    keep = parser.parse_args().keep
    out = Path(__file__).resolve().parent.parent / "digits"
    out.mkdir(exist_ok=True)

    pixels, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        pixels, labels, test_size=0.25, random_state=SEED, stratify=labels
    )
    lines = []
    if not keep:
        model = MLPClassifier(HIDDEN, alpha=1e-3, max_iter=400, random_state=SEED)
        model.fit(train_x * INPUT_SCALE, train_y)
        weights, biases, factors = quantise(model, train_x * INPUT_SCALE)
        for number, (w, b) in enumerate(zip(weights, biases)):
            np.save(out / f"weights_{number}.npy", w)
            np.save(out / f"biases_{number}.npy", b)
        np.save(out / "requantise.npy", factors)
        float_right = int((model.predict(test_x * INPUT_SCALE) == test_y).sum())
        np.save(out / "samples.npy", test_x.astype(np.int8))
        np.save(out / "labels.npy", test_y.astype(np.int8).reshape(1, -1))
    else:
        golden = (out / "golden.txt").read_text().splitlines()
        float_right = next(int(line.split()[1]) for line in golden if line.startswith("right_in_floats"))

    samples = np.load(out / "samples.npy")
    labels = np.load(out / "labels.npy").reshape(-1)
    assert np.array_equal(samples, test_x) and np.array_equal(labels, test_y)
    numbers = range(len(HIDDEN) + 1)
    weights = [np.load(out / f"weights_{number}.npy") for number in numbers]
    biases = [np.load(out / f"biases_{number}.npy") for number in numbers]
    factors = np.load(out / "requantise.npy")

    sums = forward(samples, weights, biases, factors)
    answers = sums[-1].argmax(axis=1)
    np.save(out / "logits.npy", sums[-1].astype(np.int32))
    np.save(out / "answers.npy", answers.astype(np.int8).reshape(1, -1))
    params, input_0, input_1 = job(samples, weights, biases, factors, GROUPS, True)
    leaves = result(sums, answers, GROUPS)
    right = int((answers == labels).sum())
    for (multiplier, shift, _), total in zip(factors, sums):
        dead = [requantise(int(t), int(multiplier), int(shift), True) == 0 for t in total.reshape(-1)]
        lines.append(f"# of the values after a hidden layer, {sum(dead) / len(dead):.3f} are 0")
    lines = [
        "# By train_digits.py: scikit-learn's digits, a quarter of them kept for the test, 64-48-32-10, ReLU.",
        *lines,
        f"# accuracy in floats {float_right / len(labels):.4f}, in int8 {right / len(labels):.4f}",
        f"samples {len(labels)}",
        f"right_in_floats {float_right}",
        f"right_in_int8 {right}",
        f"groups {GROUPS}",
        f"params {params.hex()}",
        f"input_0 {len(input_0)} {hashlib.sha256(input_0).hexdigest()}",
        f"input_1 {len(input_1)} {hashlib.sha256(input_1).hexdigest()}",
        f"leaves {len(leaves)} {hashlib.sha256(leaves).hexdigest()}",
    ]
    (out / "golden.txt").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
