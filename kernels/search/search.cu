// Kernel 3, search: the same bits as `segment` in mod.rs. search_segments has one thread for each segment of 512
// candidates, search_cells one for each cell.
//
// Plain CUDA C++ behind src/hash/sha256.cuh: the same text goes to NVRTC and, in tests, to a host C++ compiler.
// A segment's digest is SHA-256 of the first words of its 512 digests, 32 blocks, and then of the digest before it: the
// blocks need no other segment, so only the last one is left to search_cells.

#define SEGMENT 512  // candidates
#define BLOCK 128    // threads of a block
#define RECORD 18    // words that a segment leaves: state after the 32 blocks, lowest score, its nonce

#define DOUBLE 1u
#define WIDE 2u
#define BIG_ENDIAN_NONCE 4u
#define REVERSED 8u

// What all candidates have in common; template.rs makes it.
struct Template {
  unsigned midstate[8];
  unsigned blocks[4][16];
  unsigned len, word, shift, flags;
};

// The words that a nonce adds from the template's word on.
static __device__ __forceinline__ void nonce_words(unsigned *n, unsigned long long nonce, unsigned shift,
                                                   unsigned flags) {
  unsigned high = (unsigned)(nonce >> 32), low = (unsigned)nonce;
  // The nonce's bytes as they stand in the message: in `high` and then `low`, the narrow ones in `high`.
  if (!(flags & BIG_ENDIAN_NONCE)) {
    unsigned first = swap(low);
    low = swap(high), high = first;
  } else if (!(flags & WIDE)) {
    high = low;
  }
  if (!(flags & WIDE)) low = 0;
  n[0] = high >> shift;
  n[1] = __funnelshift_r(low, high, shift);
  n[2] = __funnelshift_r(0, low, shift);
}

// Adds them to the block of this index, the first or the second: one jump, for the place is the same for all threads.
static __device__ __forceinline__ void add_nonce(unsigned *w, const unsigned *n, unsigned word, unsigned block) {
#define AT(i)                             \
  case i:                                 \
    w[i] |= n[0];                         \
    if ((i) < 15) w[((i) + 1) % 16] |= n[1]; \
    if ((i) < 14) w[((i) + 2) % 16] |= n[2]; \
    break;
  if (block == 0) {
    switch (word) {
      AT(0) AT(1) AT(2) AT(3) AT(4) AT(5) AT(6) AT(7) AT(8) AT(9) AT(10) AT(11) AT(12) AT(13) AT(14) AT(15)
    }
  } else if (block == 1 && word == 14) {
    w[0] |= n[2];
  } else if (block == 1 && word == 15) {
    w[0] |= n[1], w[1] |= n[2];
  }
#undef AT
}

extern "C" __global__ void __launch_bounds__(BLOCK)
search_segments(unsigned *__restrict__ records,  // word j of segment s at j * segments + s
                const Template t, unsigned long long first, unsigned segments) {
  __shared__ unsigned heads[16][BLOCK];
  __shared__ unsigned best[8][BLOCK];
  unsigned thread = threadIdx.x, at = blockIdx.x * BLOCK + thread;
  if (at >= segments) return;
  unsigned long long nonce = first + (unsigned long long)at * SEGMENT, best_nonce = nonce;
  unsigned passes = t.len + (t.flags & DOUBLE);
  bool reversed = t.flags & REVERSED;
  unsigned chain[8], lowest = 0xffffffffu;
  initial(chain);
#pragma unroll
  for (int j = 0; j < 8; j++) best[j][thread] = 0xffffffffu;
#pragma unroll 1
  for (int group = 0; group < SEGMENT / 16; group++) {
    unsigned w[16];
#pragma unroll 1
    for (int j = 0; j < 16; j++, nonce++) {
      unsigned state[8], n[3];
      nonce_words(n, nonce, t.shift, t.flags);
#pragma unroll
      for (int i = 0; i < 8; i++) state[i] = t.midstate[i];
#pragma unroll 1
      for (unsigned pass = 0; pass < passes; pass++) {
        if (pass < t.len) {
#pragma unroll
          for (int i = 0; i < 16; i++) w[i] = t.blocks[pass][i];
          add_nonce(w, n, t.word, pass);
        } else {
          // The digest as a message of 256 bits.
#pragma unroll
          for (int i = 0; i < 16; i++) w[i] = i < 8 ? state[i] : i == 8 ? 0x80000000u : i == 15 ? 256u : 0u;
          initial(state);
        }
        compress(state, w);
      }
      heads[j][thread] = state[0];
      if ((reversed ? swap(state[7]) : state[0]) <= lowest) {
        unsigned score[8];
        int order = 0;
#pragma unroll
        for (int i = 0; i < 8; i++) {
          score[i] = reversed ? swap(state[7 - i]) : state[i];
          if (order == 0 && score[i] != best[i][thread]) order = score[i] < best[i][thread] ? -1 : 1;
        }
        if (order < 0) {
#pragma unroll
          for (int i = 0; i < 8; i++) best[i][thread] = score[i];
          lowest = score[0], best_nonce = nonce;
        }
      }
    }
#pragma unroll
    for (int i = 0; i < 16; i++) w[i] = heads[i][thread];
    compress(chain, w);
  }
  unsigned long long place = at;
#pragma unroll
  for (int i = 0; i < 8; i++, place += segments) records[place] = chain[i];
#pragma unroll
  for (int i = 0; i < 8; i++, place += segments) records[place] = best[i][thread];
  records[place] = (unsigned)best_nonce;
  records[place + segments] = (unsigned)(best_nonce >> 32);
}

extern "C" __global__ void __launch_bounds__(BLOCK)
search_cells(unsigned *__restrict__ out,  // eight words for each cell
             const unsigned *__restrict__ records, unsigned cells, unsigned per_cell) {
  unsigned at = blockIdx.x * BLOCK + threadIdx.x;
  if (at >= cells) return;
  unsigned long long segments = (unsigned long long)cells * per_cell, segment = (unsigned long long)at * per_cell;
  unsigned chain[8] = {}, best[8], low = 0, high = 0;
#pragma unroll
  for (int i = 0; i < 8; i++) best[i] = 0xffffffffu;
#pragma unroll 1
  for (unsigned s = 0; s < per_cell; s++, segment++) {
    unsigned state[8], w[16];
    int order = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) {
      unsigned score = records[(8 + i) * segments + segment];
      if (order == 0 && score != best[i]) order = score < best[i] ? -1 : 1;
    }
    if (order < 0 || s == 0) {
#pragma unroll
      for (int i = 0; i < 8; i++) best[i] = records[(8 + i) * segments + segment];
      low = records[16 * segments + segment], high = records[17 * segments + segment];
    }
#pragma unroll
    for (int i = 0; i < 8; i++) state[i] = records[i * segments + segment];
    // 512 words and a digest.
#pragma unroll
    for (int i = 0; i < 16; i++) w[i] = i < 8 ? chain[i] : i == 8 ? 0x80000000u : i == 15 ? 8 * (4 * SEGMENT + 32) : 0u;
    compress(state, w);
#pragma unroll
    for (int i = 0; i < 8; i++) chain[i] = state[i];
  }
  unsigned *cell = out + 8ull * at;
  cell[0] = swap(best[0]), cell[1] = swap(best[1]);
  cell[2] = low, cell[3] = high;
#pragma unroll
  for (int i = 0; i < 4; i++) cell[4 + i] = swap(chain[i]);
}
