// SHA-256 of a result's salted leaves, and of the pairs of nodes above them: a shard's tree where its bytes are made.
//
// Behind src/hash/sha256.cuh. A message is a tag of one byte and words behind it: all words move on by that byte. Digests
// lie as their bytes do.

static const unsigned BLOCK = 128;

// The salt's big-endian words.
struct Salt {
  unsigned words[8];
};

// The word with these bytes of a leaf, and behind its end the one that ends every message.
static __device__ __forceinline__ unsigned leaf_word(const unsigned char *leaf, unsigned at, unsigned bytes,
                                                     bool aligned) {
  if (aligned && at < bytes) return swap(*(const unsigned *)(leaf + at));
  unsigned word = 0;
#pragma unroll
  for (unsigned i = 0; i < 4; i++) {
    unsigned place = at + i;
    unsigned byte = place < bytes ? leaf[place] : place == bytes ? 0x80u : 0u;
    word = word << 8 | byte;
  }
  return word;
}

static __device__ __forceinline__ void store(unsigned *out, const unsigned *state) {
#pragma unroll
  for (int i = 0; i < 8; i++) out[i] = swap(state[i]);
}

// Hashes `count` leaves of `leaf_bytes` that begin at byte `from` of `leaves`, into `out` from digest `to` on.
extern "C" __global__ void __launch_bounds__(BLOCK)
merkle_leaves(unsigned *__restrict__ out, const unsigned char *__restrict__ leaves, const Salt salt,
              unsigned long long from, unsigned long long to, unsigned leaf_bytes, unsigned count) {
  unsigned thread = blockIdx.x * BLOCK + threadIdx.x;
  if (thread >= count) return;
  const unsigned char *leaf = leaves + from + (unsigned long long)thread * leaf_bytes;
  bool aligned = ((from | leaf_bytes) & 3) == 0;
  unsigned long long length = 33ull + leaf_bytes;
  unsigned blocks = (unsigned)((length + 9 + 63) / 64);
  unsigned state[8], before = 0;
  initial(state);
#pragma unroll 1
  for (unsigned block = 0; block < blocks; block++) {
    unsigned w[16];
#pragma unroll
    for (int i = 0; i < 16; i++) {
      // The salt is half of the first block.
      unsigned word = block == 0 && i < 8 ? salt.words[i % 8] : leaf_word(leaf, block * 64 + 4 * i - 32, leaf_bytes, aligned);
      w[i] = before << 24 | word >> 8, before = word;
    }
    if (block + 1 == blocks) w[14] = (unsigned)(length >> 29), w[15] = (unsigned)(length << 3);
    compress(state, w);
  }
  store(out + 8 * (to + thread), state);
}

// The level above `count` nodes: each pair's node, and the last as it is where it has no neighbour.
extern "C" __global__ void __launch_bounds__(BLOCK)
merkle_nodes(unsigned *__restrict__ out, const unsigned *__restrict__ nodes, unsigned count) {
  unsigned thread = blockIdx.x * BLOCK + threadIdx.x;
  unsigned long long left = 2ull * thread;
  if (left >= count) return;
  const unsigned *pair = nodes + 8 * left;
  unsigned state[8];
  if (left + 1 == count) {
#pragma unroll
    for (int i = 0; i < 8; i++) out[8ull * thread + i] = pair[i];
    return;
  }
  unsigned w[16], before = 1;
#pragma unroll
  for (int i = 0; i < 16; i++) {
    unsigned word = swap(pair[i]);
    w[i] = before << 24 | word >> 8, before = word;
  }
  initial(state);
  compress(state, w);
#pragma unroll
  for (int i = 0; i < 16; i++) w[i] = i == 0 ? before << 24 | 0x800000u : i == 15 ? 520u : 0u;
  compress(state, w);
  store(out + 8ull * thread, state);
}
