// Kernel 4, mlp_i8: what surrounds the products of a batch's dense layers, which gemm_i8's entries make: rows as those
// take them, biases, the next layer's values, and the choice of the largest sum.
//
// Plain CUDA C++ without headers: the same text goes to NVRTC and, in tests, to a host C++ compiler.
// A row as the products take it is a multiple of 128 bytes, zeros behind those that count. A thread for each word of four
// bytes, or for each row; blocks in one dimension.

#define BLOCK 128

// gemmlowp: a rounding doubling high multiplication, then a rounding division by 2^shift; cut to low .. 127.
__device__ static int mlp_i8_value(int sum, int multiplier, int shift, int low) {
  long long high = ((long long)sum * multiplier + (1ll << 30)) >> 31;
  long long half = (1ll << shift) >> 1, away = shift > 0 && high < 0 ? 1 : 0;
  long long value = (high + half - away) >> shift;
  return (int)(value < low ? low : value > 127 ? 127 : value);
}

// `rows` rows of which the first k bytes count, `from_words` words each and from word `from_at` on, become rows of
// `to_words` words with zeros behind those bytes.
extern "C" __global__ void __launch_bounds__(BLOCK)
mlp_i8_rows(unsigned *__restrict__ to, const unsigned *__restrict__ from, unsigned long long from_at,
            unsigned from_words, unsigned to_words, unsigned k, unsigned rows) {
  unsigned long long at = (unsigned long long)blockIdx.x * BLOCK + threadIdx.x;
  unsigned long long row = at / to_words;
  unsigned word = (unsigned)(at % to_words), whole = k / 4;
  if (row >= rows) return;
  unsigned mask = word < whole ? 0xffffffffu : word == whole ? (1u << (8 * (k % 4))) - 1 : 0u;
  // A row need not have the word behind its last byte.
  to[at] = mask ? from[from_at + row * from_words + word] & mask : 0u;
}

// The last word of each of n rows of weights.
extern "C" __global__ void __launch_bounds__(BLOCK)
mlp_i8_biases(int *__restrict__ to, const int *__restrict__ weights, unsigned long long weights_at,
              unsigned weight_words, unsigned n) {
  unsigned row = blockIdx.x * BLOCK + threadIdx.x;
  if (row < n) to[row] = weights[weights_at + (unsigned long long)(row + 1) * weight_words - 1];
}

// Of products in rows of `stride`, a multiple of four: sums[sample * n + neuron], and in rows of next_words words the
// values for the next layer, zeros behind them; no words for none.
extern "C" __global__ void __launch_bounds__(BLOCK)
mlp_i8_requantise(int *__restrict__ sums, unsigned *__restrict__ next, const int *__restrict__ products,
                  const int *__restrict__ biases, unsigned n, unsigned stride, unsigned next_words, unsigned samples,
                  int multiplier, int shift, int low) {
  unsigned words = next_words > stride / 4 ? next_words : stride / 4;
  unsigned long long at = (unsigned long long)blockIdx.x * BLOCK + threadIdx.x;
  unsigned long long row = at / words;
  unsigned word = (unsigned)(at % words), packed = 0;
  if (row >= samples) return;
#pragma unroll
  for (unsigned i = 0; i < 4; i++) {
    unsigned c = 4 * word + i;
    if (c >= n) continue;
    int sum = (int)((unsigned)products[row * stride + c] + (unsigned)biases[c]);
    sums[row * n + c] = sum;
    packed |= ((unsigned)mlp_i8_value(sum, multiplier, shift, low) & 0xffu) << (8 * i);
  }
  if (word < next_words) next[row * next_words + word] = packed;
}

// Number of the largest of n sums of each sample, the lowest of equal ones.
extern "C" __global__ void __launch_bounds__(BLOCK)
mlp_i8_largest(unsigned short *__restrict__ out, const int *__restrict__ sums, unsigned n, unsigned samples) {
  unsigned sample = blockIdx.x * BLOCK + threadIdx.x;
  if (sample >= samples) return;
  const int *own = sums + (unsigned long long)sample * n;
  unsigned best = 0;
  for (unsigned i = 1; i < n; i++)
    if (own[i] > own[best]) best = i;
  out[sample] = (unsigned short)best;
}
