"""How fast parasail aligns the sequences that the example align_speed writes: python3 parasail_speed.py FILE

One core, its fastest 16-bit way for one query against many sequences (striped, with a profile), and the one that goes on with
16 bits where 8 are not enough. Scores alone, where the executor makes all tiles as well. Processor time: what else runs counts for little.
"""

import sys
import time

import parasail

records = []
for line in open(sys.argv[1]):
    if line.startswith(">"):
        records.append("")
    else:
        records[-1] += line.strip()
query, database = records[0], records[1:]
pairs = len(query) * sum(map(len, database))
for width in ("16", "sat"):
    create = getattr(parasail, f"profile_create_{width}")
    align = getattr(parasail, f"sw_striped_profile_{width}")
    profile = create(query, parasail.blosum62)
    best = 1e9
    for _ in range(20):
        start = time.process_time()
        for target in database:
            align(profile, target, 12, 1)
        best = min(best, time.process_time() - start)
    print(f"parasail {parasail.__version__}, {width}: {best:.3f} s, {pairs / best / 1e9:.2f} GCUPS")
