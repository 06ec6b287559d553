"""Others' libraries, asked for one run after the other.

`peers.py KEY UNITS COUNT SOURCE`: makes inputs for about UNITS of work, prints `ready`, and for each line that comes in runs
once and prints its units and seconds. Where the library is not here, it prints why and ends. COUNT is how many of what a job
counts (paths) UNITS are, SOURCE the text of a CUDA source, for those who need them.
"""
import sys
import time


def varint(number):
    out = bytearray()
    while True:
        number, low = number >> 7, number & 127
        out.append(low | (128 if number else 0))
        if not number:
            return bytes(out)


def field(number, value):
    """A field of a protocol buffer: bytes, text, a list of either, or a number."""
    if isinstance(value, list):
        return b"".join(field(number, one) for one in value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def onnx_session(nodes, inputs, outputs, weights):
    """A session of ONNX Runtime over a graph written by hand: nodes (domain, type, inputs, outputs, int attributes),
    inputs and outputs (name, ONNX type), weights (name, array)."""
    import numpy as np
    import onnxruntime as ort

    kinds = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7}

    def attribute(name, value):
        return field(1, name) + field(3, value) + field(20, 2)

    def node(domain, kind, ins, outs, attributes):
        made = [attribute(name, value) for name, value in attributes.items()]
        return field(1, ins) + field(2, outs) + field(4, kind) + field(5, made) + field(7, domain)

    def tensor(name, array):
        array = np.ascontiguousarray(array)
        dims = b"".join(varint(1 << 3) + varint(dim) for dim in array.shape)
        return dims + field(2, kinds[str(array.dtype)]) + field(8, name) + field(9, array.tobytes())

    def value(name, kind):
        return field(1, name) + field(2, field(1, field(1, kind)))

    graph = (
        field(1, [node(*one) for one in nodes])
        + field(2, "bench")
        + field(5, [tensor(*one) for one in weights])
        + field(11, [value(*one) for one in inputs])
        + field(12, [value(*one) for one in outputs])
    )
    opsets = [field(1, "") + field(2, 17), field(1, "com.microsoft") + field(2, 1)]
    model = field(1, 8) + field(7, graph) + field(8, opsets)
    return ort.InferenceSession(model, providers=["CPUExecutionProvider"])


def random_int8(*shape):
    import numpy as np

    return np.random.default_rng(1).integers(-128, 128, shape, dtype=np.int8)


def square(units, inner=1024):
    """Rows and columns of a product of about so many multiplications."""
    return max(16, int((units / inner) ** 0.5) // 16 * 16)


def gemm_onnx(units):
    import numpy as np

    side, inner = square(units), 1024
    a, b = random_int8(side, inner), random_int8(inner, side)
    # The weights known beforehand, so that they are packed once. Signed operands as unsigned ones with a zero point of
    # 128: the same product, more than ten times as fast.
    zero = [("zero", np.array(128, "uint8")), ("b", b)]
    node = ("", "MatMulInteger", ["a", "b", "zero"], ["c"], {})
    session = onnx_session([node], [("a", 2)], [("c", 6)], zero)
    shifted = a.view("uint8") ^ 128
    small = session.run(None, {"a": shifted[:2]})[0]
    assert (small == a[:2].astype("int32") @ b.astype("int32")).all(), "MatMulInteger is not exact"
    return lambda: (session.run(None, {"a": shifted}), side * side * inner)[1]


def gemm_f32(units):
    side, inner = square(units), 1024
    a, b = random_int8(side, inner).astype("float32"), random_int8(inner, side).astype("float32")
    return lambda: (a @ b, side * side * inner)[1]


def gemm_numpy(units):
    # Without a library behind it: a small one is enough.
    side, inner = min(square(units), 256), 1024
    a, b = random_int8(side, inner).astype("int32"), random_int8(inner, side).astype("int32")
    return lambda: (a @ b, side * side * inner)[1]


def mlp_onnx(units):
    import numpy as np

    widths = [784, 256, 64, 10]
    products = sum(a * b for a, b in zip(widths, widths[1:]))
    batch = max(16, int(units / products))
    nodes, weights, name = [], [], "x0"
    weights += [("scale", np.array(0.01, "float32")), ("zero", np.array(0, "int8"))]
    # Samples as unsigned numbers; what is negative behind a layer is cut off at 0.
    weights += [("middle", np.array(128, "uint8")), ("floor", np.array(0, "uint8"))]
    for layer, (ins, outs) in enumerate(zip(widths, widths[1:])):
        weights += [(f"w{layer}", random_int8(ins, outs)), (f"b{layer}", random_int8(outs).astype("int32"))]
        last = layer == len(widths) - 2
        # The last one's sums stay floats.
        out = [] if last else ["scale", "floor"]
        start = "middle" if layer == 0 else "floor"
        ends = [name, "scale", start, f"w{layer}", "scale", "zero", f"b{layer}"] + out
        nodes.append(("com.microsoft", "QGemm", ends, [f"x{layer + 1}"], {}))
        name = f"x{layer + 1}"
    nodes.append(("", "ArgMax", [name], ["answers"], {"axis": 1}))
    session = onnx_session(nodes, [("x0", 2)], [("answers", 7)], weights)
    samples = random_int8(batch, widths[0]).view("uint8")
    return lambda: (session.run(None, {"x0": samples}), batch * products)[1]


def align_parasail(units):
    import os
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    import parasail

    letters = np.frombuffer(b"ARNDCQEGHILKMFPSTWYV", np.uint8)
    random = np.random.default_rng(1)
    sequence = lambda length: letters[random.integers(0, 20, length)].tobytes().decode()
    query_length, length = 400, 350
    # 16 bits with a second run in 32 where they overflow, the query's profile made once.
    profile = parasail.profile_create_sat(sequence(query_length), parasail.blosum62)
    count = max(64, int(units / query_length / length))
    database = [sequence(length) for _ in range(count)]
    # An opened gap of n letters costs 11 + (n - 1): parasail's `open` is that of the first letter.
    score = lambda one: parasail.sw_striped_profile_sat(profile, one, 11, 1).score
    pool = ThreadPoolExecutor(os.cpu_count())
    return lambda: (list(pool.map(score, database, chunksize=16)), count * query_length * length)[1]


# The example of `option_risk`: five assets over a quarter of a year in 63 steps, seven positions.
STEPS, SPOT, VOLATILITY = 63, [590, 230, 420, 140, 245], [0.15, 0.27, 0.24, 0.5, 0.16]
GROWTH = [0.028, 0.036, 0.033, 0.04, 0.04]
CORRELATION = [[1, 0.68, 0.72, 0.65, 0.1], [0.68, 1, 0.6, 0.48, 0.05], [0.72, 0.6, 1, 0.58, 0.02],
               [0.65, 0.48, 0.58, 1, 0], [0.1, 0.05, 0.02, 0, 1]]


def risk_model():
    """Spot prices, drifts and factors of a step."""
    import numpy as np

    step, volatility = 0.25 / STEPS, np.array(VOLATILITY)
    factors = np.linalg.cholesky(np.array(CORRELATION)) * volatility[:, None] * step**0.5
    return np.array(SPOT, float), (np.array(GROWTH) - volatility**2 / 2) * step, factors


def risk_numpy(units, count):
    import os
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    spot, drift, factors = risk_model()
    batch = 4096
    batches = max(1, int(count) // batch)

    def run(seed):
        random = np.random.Generator(np.random.Philox(seed))
        moves = random.standard_normal((batch, STEPS, 5)) @ factors.T + drift
        logs = np.cumsum(moves, axis=1)
        price = spot * np.exp(logs[:, -1])
        average = (spot[3] * np.exp(logs[:, :, 3])).mean(axis=1)
        early = spot[1] * np.exp(logs[:, STEPS // 3, 1])
        call = lambda price, strike: np.maximum(price - strike, 0)
        value = 200 * call(early, 240) + 100 * call(560, price[:, 0]) - 300 * call(average, 150)
        value += 150 * call(price[:, 2], 420) * (spot[2] * np.exp(logs[:, :, 2].min(axis=1)) > 380)
        value += 40 * call(700, price[:, 1] + price[:, 2] / 2 + 2 * price[:, 3]) + 50 * (price[:, 4] - 245)
        return (value + 1000 * (price[:, 0] > 600)) * 0.99

    pool = ThreadPoolExecutor(os.cpu_count())
    return lambda: (list(pool.map(run, range(batches))), units / count * batch * batches)[1]


def cuda_paths(units, count, source):
    import cupy

    spot, drift, factors = (cupy.asarray(array, cupy.float32) for array in risk_model())
    paths, count = cupy.RawKernel(source, "paths"), int(count)
    values = cupy.empty(count, cupy.float32)

    def run():
        grid = ((count + 255) // 256,)
        paths(grid, (256,), (values, cupy.uint32(count), cupy.uint32(7), spot, drift, factors))
        # As a worker does: the values come back.
        values.get()
        return units

    return run


def cuda_int_mm(units, copied=False):
    """UNITS is the side of a square product."""
    import torch

    side = int(units)
    if not torch.cuda.is_available():
        raise RuntimeError("PyTorch sees no card")
    a = torch.randint(-128, 128, (side, side), dtype=torch.int8)
    b = torch.randint(-128, 128, (side, side), dtype=torch.int8)
    on_card = (a.cuda(), b.cuda())

    def run():
        if copied:
            torch._int_mm(a.cuda(), b.cuda().t()).cpu()
        else:
            torch._int_mm(on_card[0], on_card[1].t())
        torch.cuda.synchronize()
        return side**3

    return run


def cuda_int_mm_copied(units):
    return cuda_int_mm(units, copied=True)


def main():
    key, numbers, source = sys.argv[1], [float(number) for number in sys.argv[2:4]], sys.argv[4:]
    peers = {name: make for name, make in globals().items() if name.startswith(("gemm_", "mlp_", "align_"))}
    peers |= {"risk_numpy": risk_numpy, "cuda_paths": cuda_paths}
    peers |= {"cuda_int_mm": cuda_int_mm, "cuda_int_mm_copied": cuda_int_mm_copied}
    takes = {"risk_numpy": numbers, "cuda_paths": numbers + source}
    try:
        if key not in peers:
            raise RuntimeError(f"there is no peer {key}")
        run = peers[key](*takes.get(key, numbers[:1]))
        run()
    except Exception as error:  # whatever it is, the other side writes it down
        print(f"{type(error).__name__}: {error}".replace("\n", " "), flush=True)
        return
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        done = run()
        print(done, time.perf_counter() - start, flush=True)


main()
