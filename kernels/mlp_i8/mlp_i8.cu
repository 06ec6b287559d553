// Kernel 4, mlp_i8: one dense layer of a batch in int8 with exact int32 sums, and the choice of the largest sum.
//
// Plain CUDA C++ without headers: the same text goes to NVRTC and, in tests, to a host C++ compiler.
// `values` holds one row of int8 for each sample, `weights` from word weights_at on one for each neuron, with the bias
// in its last word; a row is some words of four bytes, of which only the first k bytes count as values.

#define TILE 64   // samples and neurons along each side of a tile
#define STEP 32   // words of a row in shared memory at a time
#define SIDE 16   // threads along each side of a block; each makes 4 x 4 sums, SIDE apart

// gemmlowp: a rounding doubling high multiplication, then a rounding division by 2^shift; cut to low .. 127.
__device__ static int mlp_i8_value(int sum, int multiplier, int shift, int low) {
  long long high = ((long long)sum * multiplier + (1ll << 30)) >> 31;
  long long half = (1ll << shift) >> 1, away = shift > 0 && high < 0 ? 1 : 0;
  long long value = (high + half - away) >> shift;
  return (int)(value < low ? low : value > 127 ? 127 : value);
}

// sums[sample * n + neuron], and unless `next` is shorter than a row, the value for the next layer in row `sample` of it.
extern "C" __global__ void __launch_bounds__(SIDE * SIDE)
mlp_i8_layer(int *__restrict__ sums, signed char *__restrict__ next, const int *__restrict__ values,
             const int *__restrict__ weights, unsigned long long weights_at, unsigned value_words,
             unsigned weight_words, unsigned next_words, unsigned k, unsigned n, unsigned samples, int multiplier,
             int shift, int low) {
  // One word more than STEP, so that threads that read the same word of neighbouring rows meet different banks.
  __shared__ int as[TILE][STEP + 1];
  __shared__ int bs[TILE][STEP + 1];
  unsigned tx = threadIdx.x, ty = threadIdx.y;
  unsigned row = blockIdx.y * TILE, column = blockIdx.x * TILE;
  unsigned words = (k + 3) / 4;
  // The bytes of the last word that still belong to the row.
  unsigned last_mask = k % 4 ? (1u << (8 * (k % 4))) - 1 : 0xffffffffu;
  const int *b = weights + weights_at;
  int sum[4][4] = {};
  for (unsigned from = 0; from < words; from += STEP) {
    for (unsigned i = ty * SIDE + tx; i < TILE * STEP; i += SIDE * SIDE) {
      unsigned r = i / STEP, w = from + i % STEP;
      unsigned mask = w + 1 < words ? 0xffffffffu : w < words ? last_mask : 0u;
      // A word outside of the batch, the layer or the row counts as zero; zero on one side is enough.
      int x = 0, y = 0;
      if (row + r < samples && w < words) x = values[(unsigned long long)(row + r) * value_words + w];
      if (column + r < n && w < words) y = b[(unsigned long long)(column + r) * weight_words + w];
      as[r][i % STEP] = (int)((unsigned)x & mask);
      bs[r][i % STEP] = y;
    }
    __syncthreads();
#pragma unroll 8
    for (unsigned w = 0; w < STEP; w++) {
      int x[4], y[4];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        x[i] = as[ty + SIDE * i][w];
        y[i] = bs[tx + SIDE * i][w];
      }
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) sum[i][j] = __dp4a(x[i], y[j], sum[i][j]);
    }
    __syncthreads();
  }
#pragma unroll
  for (int j = 0; j < 4; j++) {
    unsigned c = column + tx + SIDE * j;
    if (c >= n) continue;
    unsigned bias = (unsigned)b[(unsigned long long)(c + 1) * weight_words - 1];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      unsigned r = row + ty + SIDE * i;
      if (r >= samples) continue;
      int whole = (int)((unsigned)sum[i][j] + bias);
      sums[(unsigned long long)r * n + c] = whole;
      if (c < next_words * 4)
        next[(unsigned long long)r * next_words * 4 + c] = (signed char)mlp_i8_value(whole, multiplier, shift, low);
    }
  }
}

// Number of the largest of n sums of each sample, the lowest of equal ones.
extern "C" __global__ void mlp_i8_largest(unsigned short *__restrict__ out, const int *__restrict__ sums, unsigned n,
                                          unsigned samples) {
  unsigned sample = blockIdx.x * blockDim.x + threadIdx.x;
  if (sample >= samples) return;
  const int *own = sums + (unsigned long long)sample * n;
  unsigned best = 0;
  for (unsigned i = 1; i < n; i++)
    if (own[i] > own[best]) best = i;
  out[sample] = (unsigned short)best;
}
