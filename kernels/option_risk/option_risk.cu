// Kernel 5, option_risk: the same bits as `path` in path.rs, a thread for each path.
//
// Plain CUDA C++ without headers: the same text goes to NVRTC and, in tests, to a host C++ compiler.
// The tables and the model lie in shared memory; what the assets have come to in registers, for which there is a function
// for up to 4, up to 8 and up to 16 assets. Cells must be zero before the launch: digests and sums are added up in them.

#define BLOCK 128       // threads of a block
#define PIECES 288      // cubics: 32 octaves of 8 for normal variates, 32 for powers of two
#define POWERS 256      // the first of those
#define MODEL_WORDS 256 // words of eight bytes that hold any model

#define AVERAGES 1u
#define SUMS 2u

#define AVERAGE 1u
#define BARRIER 2u
#define DOWN 4u
#define IN 8u

typedef unsigned long long u64;
typedef long long i64;

// A job, or the part of it in one launch; accelerated.rs makes it.
struct Job {
  u64 first, seed;
  unsigned count, steps, assets, positions, per_cell, cell_words, flags, baskets;
};

struct __align__(16) Piece {
  int c[4];
};

struct Asset {
  i64 start, drift;
};

struct Position {
  i64 strike;
  int quantity, barrier;
  unsigned short expiry;
  unsigned char underlying, watched, kind, style, unused[2];
};

static __device__ __forceinline__ void philox(unsigned *c, u64 path, unsigned block, u64 seed) {
  unsigned k0 = (unsigned)seed, k1 = (unsigned)(seed >> 32);
  c[0] = (unsigned)path, c[1] = (unsigned)(path >> 32), c[2] = block, c[3] = 0;
#pragma unroll
  for (int i = 0; i < 10; i++) {
    unsigned h0 = __umulhi(c[0], 0xd2511f53u), l0 = c[0] * 0xd2511f53u;
    unsigned h1 = __umulhi(c[2], 0xcd9e8d57u), l1 = c[2] * 0xcd9e8d57u;
    c[0] = h1 ^ c[1] ^ k0, c[1] = l1, c[2] = h0 ^ c[3] ^ k1, c[3] = l0;
    k0 += 0x9e3779b9u, k1 += 0xbb67ae85u;
  }
}

static __device__ __forceinline__ int cubic(const Piece &p, unsigned t) {
  int value = p.c[3];
#pragma unroll
  for (int i = 2; i >= 0; i--) value = p.c[i] + (int)(((i64)value * (int)t) >> 28);
  return value;
}

static __device__ __forceinline__ int normal(const Piece *pieces, unsigned word) {
  unsigned tail = (word << 1) | 1u;
  unsigned octave = __clz((int)tail);
  unsigned place = tail << octave;
  int size = cubic(pieces[octave * 8 + ((place >> 28) & 7)], place & 0x0fffffffu);
  int sign = (int)word >> 31;
  return (size ^ sign) - sign;
}

static __device__ __forceinline__ i64 price(const Piece *pieces, int log) {
  log = log < -44 * (1 << 24) ? -44 * (1 << 24) : log > 20 * (1 << 24) - 1 ? 20 * (1 << 24) - 1 : log;
  unsigned power = (unsigned)cubic(pieces[POWERS + ((log >> 19) & 31)], ((unsigned)log & 0x7ffffu) << 9);
  return (i64)(((u64)power << 9) >> (19 - (log >> 24)));
}

static __device__ __forceinline__ u64 mix(u64 digest, u64 word) {
  digest = (digest ^ word) * 0x9e3779b97f4a7c15ull;
  return digest ^ (digest >> 32);
}

// What a position pays after `step`: N assets at most, whose state is in registers, so loops over them are unrolled.
template <int N>
static __device__ __forceinline__ i64 payoff(const Position &p, const int *weights, const Job &job, unsigned step,
                                             const i64 *prices, const i64 *sums, const int *high, const int *low) {
  unsigned n = job.assets;
  if (p.style & BARRIER) {
    bool touched = false;
#pragma unroll
    for (int i = 0; i < N; i++)
      if (i < n && i == p.watched) touched = p.style & DOWN ? low[i] <= p.barrier : high[i] >= p.barrier;
    if (touched != ((p.style & IN) != 0)) return 0;
  }
  bool basket = p.underlying >= n;
  unsigned row = basket ? p.underlying - n : 0;
  u64 reached = 0, sum = 0;
#pragma unroll
  for (int i = 0; i < N; i++) {
    if (i >= n || (!basket && i != p.underlying) || (basket && row >= job.baskets)) continue;
    u64 own = p.style & AVERAGE ? (u64)sums[i] / step : (u64)prices[i];
    if (basket) sum += (u64)(i64)weights[row * n + i] * own;
    else reached = own;
  }
  if (basket) reached = (u64)((i64)sum >> 16);
  i64 above = (i64)(reached - (u64)p.strike), below = (i64)((u64)p.strike - reached);
  switch (p.kind & 3) {
    case 0: return above > 0 ? above : 0;
    case 1: return below > 0 ? below : 0;
    case 2: return above;
    default: return above > 0 ? 1ll << 20 : 0;
  }
}

template <int N>
static __device__ __forceinline__ void paths(u64 *out, const Piece *table, const u64 *model, const Job &job) {
  __shared__ Piece pieces[PIECES];
  __shared__ u64 words[MODEL_WORDS];
  for (unsigned i = threadIdx.x; i < PIECES; i += BLOCK) pieces[i] = table[i];
  for (unsigned i = threadIdx.x; i < MODEL_WORDS; i += BLOCK) words[i] = model[i];
  __syncthreads();
  unsigned at = blockIdx.x * BLOCK + threadIdx.x, n = job.assets;
  if (at >= job.count) return;
  const Asset *assets = (const Asset *)words;
  const Position *positions = (const Position *)(assets + n);
  const int *factors = (const int *)(positions + job.positions);
  const int *weights = factors + n * (n + 1) / 2;
  u64 number = job.first + at;
  u64 *cell = out + (u64)(at / job.per_cell) * job.cell_words;
  u64 logs[N];
  i64 prices[N], sums[N];
  int high[N], low[N], drawn[N];
#pragma unroll
  for (int i = 0; i < N; i++) {
    logs[i] = i < n ? (u64)assets[i].start : 0;
    prices[i] = 0, sums[i] = 0, high[i] = -0x7fffffff - 1, low[i] = 0x7fffffff, drawn[i] = 0;
  }
  unsigned random[4] = {}, block = 0, used = 4, next = 0;
  u64 value = 0;
#pragma unroll 1
  for (unsigned step = 1; step <= job.steps; step++) {
#pragma unroll
    for (int i = 0; i < N; i++) {
      if (i >= n) break;
      if (used == 4) philox(random, number, block++, job.seed), used = 0;
      unsigned word = used == 0 ? random[0] : used == 1 ? random[1] : used == 2 ? random[2] : random[3];
      used++;
      drawn[i] = normal(pieces, word);
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
      if (i >= n) break;
      u64 log = logs[i] + (u64)assets[i].drift;
#pragma unroll
      for (int j = 0; j <= i; j++) log += (u64)((i64)factors[i * (i + 1) / 2 + j] * drawn[j]);
      logs[i] = log;
      int rounded = (int)((log + (1ull << 31)) >> 32);
      high[i] = rounded > high[i] ? rounded : high[i];
      low[i] = rounded < low[i] ? rounded : low[i];
    }
    bool last = step == job.steps;
    bool due = next < job.positions && (last || positions[next].expiry <= step);
    if (due || (job.flags & AVERAGES)) {
#pragma unroll
      for (int i = 0; i < N; i++) {
        if (i >= n) break;
        prices[i] = price(pieces, (int)((logs[i] + (1ull << 31)) >> 32));
        if (job.flags & AVERAGES) sums[i] += prices[i];
      }
    }
#pragma unroll 1
    while (next < job.positions && (last || positions[next].expiry <= step)) {
      const Position &p = positions[next];
      i64 paid = payoff<N>(p, weights, job, step, prices, sums, high, low);
      value += (u64)(paid >> 16) * (u64)(i64)p.quantity + (u64)(((paid & 0xffff) * (i64)p.quantity) >> 16);
      if ((job.flags & SUMS) && paid) atomicAdd(&cell[1 + job.per_cell + next], (u64)paid);
      next++;
    }
  }
  u64 digest = number;
#pragma unroll
  for (int i = 0; i < N; i++) {
    if (i >= n) break;
    digest = mix(mix(digest, logs[i]), (u64)sums[i]);
    digest = mix(digest, (u64)(unsigned)high[i] << 32 | (unsigned)low[i]);
  }
  cell[1 + at % job.per_cell] = value;
  atomicXor(&cell[0], digest);
}

#define ENTRY(NAME, N)                                                                                        \
  extern "C" __global__ void __launch_bounds__(BLOCK)                                                         \
  NAME(u64 *__restrict__ out, const Piece *__restrict__ table, const u64 *__restrict__ model, const Job job) { \
    paths<N>(out, table, model, job);                                                                         \
  }

ENTRY(option_risk_4, 4)
ENTRY(option_risk_8, 8)
ENTRY(option_risk_16, 16)
