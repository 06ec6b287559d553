// Kernel 3, search: the same bits as `segment` in mod.rs. search_segments has one thread for each segment of 512
// candidates, search_cells one for each cell.
//
// Plain CUDA C++ without headers: the same text goes to NVRTC and, in tests, to a host C++ compiler.
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

__constant__ unsigned K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static __device__ __forceinline__ unsigned rotate(unsigned x, unsigned bits) { return __funnelshift_r(x, x, bits); }

static __device__ __forceinline__ unsigned swap(unsigned x) { return __byte_perm(x, 0, 0x0123); }

static __device__ __forceinline__ void initial(unsigned *state) {
  state[0] = 0x6a09e667, state[1] = 0xbb67ae85, state[2] = 0x3c6ef372, state[3] = 0xa54ff53a;
  state[4] = 0x510e527f, state[5] = 0x9b05688c, state[6] = 0x1f83d9ab, state[7] = 0x5be0cd19;
}

// Carries a state on by a block; the block is used up.
static __device__ __forceinline__ void compress(unsigned *state, unsigned *w) {
  unsigned a = state[0], b = state[1], c = state[2], d = state[3];
  unsigned e = state[4], f = state[5], g = state[6], h = state[7];
#pragma unroll
  for (int i = 0; i < 64; i++) {
    if (i >= 16) {
      unsigned w1 = w[(i + 1) % 16], w14 = w[(i + 14) % 16];
      w[i % 16] += (rotate(w1, 7) ^ rotate(w1, 18) ^ (w1 >> 3)) + w[(i + 9) % 16] +
                   (rotate(w14, 17) ^ rotate(w14, 19) ^ (w14 >> 10));
    }
    unsigned t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i % 16];
    unsigned t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
  state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

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
