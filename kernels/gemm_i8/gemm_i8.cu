// Kernel 2, gemm_i8: C = A B, int8 in, int32 out, exact; one block makes a 64 x 64 tile of C.
//
// Plain CUDA C++ without headers: the same text goes to NVRTC and, in tests, to a host C++ compiler.
// A holds rows row0 .. row0 + rows of the job's A, B all rows of B transposed; rows are row_words words of four bytes.
// Only the first k bytes of a row count, whatever the padding holds. Of C, in row-major order, the elements
// first .. first + count are written, element `first` to out[0].

#define TILE 64   // elements of C along each side of a tile
#define STEP 32   // words of a row in shared memory at a time
#define SIDE 16   // threads along each side of a block; each makes 4 x 4 elements, SIDE apart

extern "C" __global__ void __launch_bounds__(SIDE * SIDE)
gemm_i8(int *__restrict__ out, const int *__restrict__ a, const int *__restrict__ b,
        unsigned row_words, unsigned k, unsigned n, unsigned rows,
        unsigned long long row0, unsigned long long first, unsigned long long count) {
  // One word more than STEP, so that threads that read the same word of neighbouring rows meet different banks.
  __shared__ int as[TILE][STEP + 1];
  __shared__ int bs[TILE][STEP + 1];
  unsigned tx = threadIdx.x, ty = threadIdx.y;
  unsigned row = blockIdx.y * TILE, column = blockIdx.x * TILE;
  unsigned words = (k + 3) / 4;
  // The bytes of the last word that still belong to the row.
  unsigned last_mask = k % 4 ? (1u << (8 * (k % 4))) - 1 : 0xffffffffu;
  int sum[4][4] = {};
  for (unsigned from = 0; from < words; from += STEP) {
    for (unsigned i = ty * SIDE + tx; i < TILE * STEP; i += SIDE * SIDE) {
      unsigned r = i / STEP, w = from + i % STEP;
      unsigned mask = w + 1 < words ? 0xffffffffu : w < words ? last_mask : 0u;
      // A word outside of the matrix or of the row counts as zero; zero on one side is enough.
      int x = 0, y = 0;
      if (row + r < rows && w < words) x = a[(unsigned long long)(row + r) * row_words + w];
      if (column + r < n && w < words) y = b[(unsigned long long)(column + r) * row_words + w];
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
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) {
      unsigned r = row + ty + SIDE * i, c = column + tx + SIDE * j;
      if (r < rows && c < n) {
        // Wraps far beyond count for an element before `first`.
        unsigned long long at = (row0 + r) * n + c - first;
        if (at < count) out[at] = sum[i][j];
      }
    }
}
