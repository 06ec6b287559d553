"""Makes data/reads.fasta and vectors.txt: python3 vectors.py (needs requirements.txt, run in this folder).

Scores and their ends are parasail's. Tiles are made here from the specification (docs/kernels/align.md) in plain Python, and
every H in them is compared with parasail's own table. Nothing is shared with the other implementations.

The proteins are those of the UniProt entries that their names give, phiX174 is GenBank's NC_001422.1; they were written
down from memory, and nothing here depends on their being right to the last symbol.
"""

import hashlib
import random
import struct

import parasail

AMINO_ACIDS = "ARNDCQEGHILKMFPSTWYVBZX*"
SEPARATOR, NEVER, RESET = 31, -32768, 0x80
ROWS, SLOT, COLUMNS = 48, 64, 128
PROTEIN = ("blosum62", 12, 1)


def fasta(path):
    records = []
    for line in open(path):
        if line.startswith(">"):
            records.append([line[1:].split()[0], ""])
        else:
            records[-1][1] += line.strip()
    return [tuple(record) for record in records]


def matrix(scoring):
    if scoring[0] == "blosum62":
        return parasail.blosum62
    own = parasail.matrix_create("ACGTN", scoring[0][0], -scoring[0][1])
    for i in range(5):
        own[i, 4] = own[4, i] = -scoring[0][1]
    return own


def codes(scoring, text):
    return [(AMINO_ACIDS if scoring[0] == "blosum62" else "ACGTN").index(symbol) for symbol in text]


def score(scoring, a, b):
    if SEPARATOR in (a, b):
        return NEVER
    if scoring[0] == "blosum62":
        return int(parasail.blosum62.matrix[a][b])
    return scoring[0][0] if a == b < 4 else -scoring[0][1]


def best(scoring, query, target):
    return parasail.sw_scan_32(query, target, scoring[1], scoring[2], matrix(scoring))


def line(scoring, query, target):
    name = "blosum62" if scoring[0] == "blosum62" else "%d/%d" % scoring[0]
    r = best(scoring, query, target)
    print("score", name, scoring[1], scoring[2], query, target, r.score, r.end_query, r.end_ref, file=out)


def tables(scoring, query, row):
    """H, E and F as the specification has them; E and F are what reaches a place from the left and from above."""
    _, open_, extend = scoring
    n, m = len(query), len(row)
    h = [[0] * (m + 1) for _ in range(n + 1)]
    e = [[0] * (m + 2) for _ in range(n + 1)]
    f = [[0] * (m + 1) for _ in range(n + 2)]
    for j in range(1, m + 1):
        for i in range(1, n + 1):
            if row[j - 1] == SEPARATOR:
                continue
            h[i][j] = max(0, h[i - 1][j - 1] + score(scoring, query[i - 1], row[j - 1]), e[i][j], f[i][j])
            e[i][j + 1] = max(0, e[i][j] - extend, h[i][j] - open_)
            f[i + 1][j] = max(0, f[i][j] - extend, h[i][j] - open_)
    return h, e, f


def tile(scoring, row, h, e, f, down, right):
    open_ = scoring[1]
    top, left = down * ROWS, right * COLUMNS
    digest, bests = 0, []
    for j in range(left + 1, left + COLUMNS + 1):
        digest = (digest * 0x9E3779B1 + sum(h[i][j] for i in range(top + 1, top + ROWS + 1)) % 65536) % 2**32
        bests.append(max(h[i][j] for i in range(top + ROWS + 1)))
    last, end = top + ROWS, left + COLUMNS
    head = struct.pack("<4I", h[top][end], h[last][left + 1], bests[0], digest)
    right_h = [h[i][end] - h[i - 1][end] for i in range(top + 1, last + 1)]
    right_e = [e[i][end + 1] - max(0, h[i][end] - open_) for i in range(top + 1, last + 1)]
    bottom_h = [0] + [h[last][j] - h[last][j - 1] for j in range(left + 2, end + 1)]
    bottom_f = [f[last + 1][j] - max(0, h[last][j] - open_) for j in range(left + 1, end + 1)]
    best_h = [0] + [b - a for a, b in zip(bests, bests[1:])]
    for k in range(COLUMNS):
        if row[left + k] == SEPARATOR:
            bottom_h[k] = best_h[k] = RESET
    return head + bytes(x % 256 for x in right_h + right_e + bottom_h + bottom_f + best_h)


def pack(records, length):
    """Rows of symbols, and for each record its row and place."""
    rows, places = [], []
    for record in records:
        if not rows or length - len(rows[-1]) < len(record):
            rows.append([])
        places.append((len(rows) - 1, len(rows[-1])))
        rows[-1] += record + [SEPARATOR] * (len(rows[-1]) + len(record) < length)
    return [row + [SEPARATOR] * (length - len(row)) for row in rows], places


def job(name, scoring, queries, database, row_tiles, groups):
    strips = -(-max(len(text) for _, text in queries) // ROWS)
    coded = [codes(scoring, text) for _, text in database]
    rows, places = pack(coded, row_tiles * COLUMNS)
    padded = [codes(scoring, text) for _, text in queries]
    padded = [query + [SEPARATOR] * (strips * ROWS - len(query)) for query in padded]
    tiles = strips * row_tiles
    stages = -(-tiles // 6)
    each = -(-tiles // stages)
    pairs = []
    for (_, text), query in zip(queries, padded):
        tables_of = [tables(scoring, query, row) for row in rows]
        for (_, target), (row, at) in zip(database, places):
            known = parasail.sw_table(text, target, scoring[1], scoring[2], matrix(scoring))
            own = [line[at + 1 : at + len(target) + 1] for line in tables_of[row][0][1 : len(text) + 1]]
            assert (known.score_table == own).all(), (name, target)
        for row, (h, e, f) in zip(rows, tables_of):
            pairs.append([tile(scoring, row, h, e, f, t // row_tiles, t % row_tiles) for t in range(tiles)])
    size = -(-len(pairs) // groups)
    leaves = []
    for first in range(0, len(pairs), size):
        for stage in range(stages):
            for pair in pairs[first : first + size]:
                leaves += pair[stage * each : (stage + 1) * each]
    kind = (0, 0, 0) if scoring[0] == "blosum62" else (1, *scoring[0])
    params = struct.pack("<3I", len(queries), len(rows), len(database))
    params += bytes([strips, row_tiles, groups, kind[0], scoring[1], scoring[2], kind[1], kind[2]])
    fill = lambda symbols: bytes(symbols) + bytes([SEPARATOR]) * (-len(symbols) % 1024)
    sha = lambda data: hashlib.sha256(data).hexdigest()
    slots = [query[at : at + ROWS] + [SEPARATOR] * (SLOT - ROWS) for query in padded for at in range(0, len(query), ROWS)]
    inputs = [fill(sum(slots, [])), fill(sum(rows, []))]
    print("job", name, params.hex(), sha(inputs[0]), sha(inputs[1]), sha(b"".join(leaves)), file=out)
    for leaf in sorted({0, len(leaves) // 2, len(leaves) - 1}):
        print("leaf", leaf, leaves[leaf].hex(), file=out)
    for _, text in queries:
        for _, target in database:
            line(scoring, text, target)


random.seed(6)
out = open("vectors.txt", "w")
print("# Kernel `align`, made by vectors.py with parasail", parasail.__version__, file=out)
print("# score: matrix, open, extend, query, target, score, end in the query, end in the target (from 0)", file=out)
print("# job: params, SHA-256 of both inputs and of all leaves; then some leaves, then its scores", file=out)

phix = fasta("data/phix174.fasta")
reads = []
for number, at in enumerate([3, 310, 700]):
    text = list(phix[0][1][at : at + 150])
    for _ in range(9):
        text[random.randrange(len(text))] = random.choice("ACGTN")
    del text[40 + number : 44 + number]
    text.insert(90, "GATT")
    reads.append(("read-%d" % number, "".join(text)))
with open("data/reads.fasta", "w") as file:
    for name, text in reads:
        print(">" + name, text, sep="\n", file=file)

proteins = fasta("data/proteins.fasta")
job("globins", PROTEIN, [proteins[0], proteins[2]], proteins, 5, 2)
job("reads", ((2, 3), 7, 2), reads, phix, 7, 1)
job("reads-in-one-stage", ((5, 4), 10, 10), [reads[1]], reads, 2, 1)

for number in range(120):
    scoring = [PROTEIN, ("blosum62", 11, 2), ("blosum62", 1, 1), ((1, 1), 2, 1), ((5, 4), 12, 3), ((120, 127), 7, 1)][number % 6]
    letters = AMINO_ACIDS if scoring[0] == "blosum62" else "ACGTN"
    few = letters if number % 4 else letters[: 2 + number % 3]
    text = lambda: "".join(random.choice(few) for _ in range(random.randrange(1, 90)))
    line(scoring, text(), text())
# More than 16 bits.
line(((120, 127), 7, 1), "ACGTTGCA" * 40, "ACGTTGCA" * 20 + "T" + "ACGTTGCA" * 21)
