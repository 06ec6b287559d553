// Kernel 2, gemm_i8: C = A B, int8 in, int32 out, exact, on whatever multiplies int8 fastest on a card.
//
// CUDA C++ without headers: the same text goes to NVRTC, once for each architecture, and in tests to a host C++ compiler,
// where tensor.h of cuda-host stands in for the instructions below. Entries that multiply have the same parameters and
// promises:
//
//   out      C, `rows` rows of `stride` numbers; stride is a multiple of four and at least `columns`. What lies between
//            `columns` and `stride` is anything
//   a, b     `rows` rows of A, `columns` rows of B transposed, row_bytes bytes each, a multiple of 128; both begin at a
//            multiple of 16 bytes. Only the first k bytes of a row count: gemm_i8_clean has made A's bytes behind them
//            zeros up to the next multiple of 128, so B's may be anything
//   grid     a block for each tile of C, in one dimension; threads in one dimension
//
// Sums wrap and never saturate, and with k up to 131,071 none leaves 32 bits, so their order does not matter.
//
// | entry         | instruction                     | cards     | tile of C, bytes of k, stages | shared memory |
// | gemm_i8       | dp4a                            | any       | 64 x 64, 128, 1               | 16.5 KiB      |
// | gemm_i8_mma8  | mma.sync m8n8k16                | from 7.5  | 128 x 128, 64, 2              | 32 KiB        |
// | gemm_i8_mma16 | mma.sync m16n8k32, cp.async     | from 8.0  | 128 x 256, 64, 4              | 96 KiB        |
// | gemm_i8_wgmma | wgmma m64n256k32, cp.async      | 9.0 alone | 128 x 256, 128, 4             | 193 KiB       |
//
// Layouts of fragments and descriptors are those of NVIDIA's PTX ISA 8.8, sections 9.7.15 (mma, ldmatrix) and 9.7.16
// (wgmma).

#define THREADS 256
#define ROW_OF_A(x) ((unsigned long long)(x) * row_bytes)

// Which entries this compilation makes: all on the host, on a card those whose instructions its architecture has.
#if defined(CUDA_HOST_SHIM) || __CUDA_ARCH__ >= 800
#define MAKE_MMA16 1
#endif
#if defined(CUDA_HOST_SHIM) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define MAKE_WGMMA 1
#endif

// ---- Instructions. On the host cuda-host's tensor.h has functions of the same names.
#if !defined(CUDA_HOST_SHIM)
#define CUDA_DYN_SHARED(T, name) extern __shared__ __align__(16) T name[]

__device__ __forceinline__ unsigned shared_address(const void *at) { return (unsigned)__cvta_generic_to_shared(at); }

// Four 8 x 8 matrices of 16-bit elements, which are 8 rows of 16 bytes: lane l brings the address of row l % 8 of matrix
// l / 8 and takes bytes 4 (l % 4) .. + 4 of row l / 4 of each.
__device__ __forceinline__ void load_matrices(unsigned (&to)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(shared_address(row)) : "memory");
}

__device__ __forceinline__ void mma_8x8x16(int (&sum)[2], unsigned a, unsigned b) {
  asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
               : "+r"(sum[0]), "+r"(sum[1]) : "r"(a), "r"(b));
}

#if MAKE_MMA16
__device__ __forceinline__ void mma_16x8x32(int (&sum)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

#if MAKE_MMA16
// Copies 16 bytes to shared memory behind the thread's back, or zeros where there is nothing to copy.
__device__ __forceinline__ void copy_async(void *to, const void *from, bool there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :: "r"(shared_address(to)), "l"(__cvta_generic_to_global(from)), "r"(there ? 16 : 0) : "memory");
}
// Ends a group of copies.
__device__ __forceinline__ void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most PENDING of this thread's groups are under way.
template <int PENDING> __device__ __forceinline__ void copy_wait() {
  asm volatile("cp.async.wait_group %0;" :: "n"(PENDING) : "memory");
}
#endif

#if MAKE_WGMMA
// What this thread wrote to shared memory is there for the tensor cores, too.
__device__ __forceinline__ void fence_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int PENDING> __device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(PENDING) : "memory");
}

#define SUM4(i) "+r"(sum[i]), "+r"(sum[i + 1]), "+r"(sum[i + 2]), "+r"(sum[i + 3])
#define SUM16(i) SUM4(i), SUM4(i + 4), SUM4(i + 8), SUM4(i + 12)
__device__ __forceinline__ void wgmma_64x256x32(int (&sum)[128], unsigned long long a, unsigned long long b) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.eq.u32 p, 0, 0;\nwgmma.mma_async.sync.aligned.m64n256k32.s32.s8.s8 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
      "}, %128, %129, p;\n}\n"
      : SUM16(0), SUM16(16), SUM16(32), SUM16(48), SUM16(64), SUM16(80), SUM16(96), SUM16(112)
      : "l"(a), "l"(b));
}
#endif
#endif

// ---- What the entries share.

// Where the 16 bytes `chunk` of a row lie in shared memory whose rows are ROW bytes: eight rows of one chunk, which is
// what ldmatrix reads at a time, meet different banks. With 128 bytes it is wgmma's 128-byte swizzle.
template <unsigned ROW> __device__ __forceinline__ unsigned swizzled(unsigned row, unsigned chunk) {
  return row * ROW + 16 * (ROW == 128 ? chunk ^ (row & 7) : chunk ^ (row >> 1 & 3));
}

// Which tile this block makes. Blocks that run at the same time share rows of both matrices in the cache: they go down
// eight rows of tiles before they go on to the right.
template <unsigned HEIGHT, unsigned WIDTH>
__device__ __forceinline__ void place(unsigned rows, unsigned columns, unsigned &row, unsigned &column) {
  const unsigned most = 8;
  unsigned down = (rows + HEIGHT - 1) / HEIGHT, right = (columns + WIDTH - 1) / WIDTH;
  unsigned band = blockIdx.x / (most * right), at = blockIdx.x % (most * right);
  unsigned height = min(most, down - band * most);
  row = (band * most + at % height) * HEIGHT;
  column = at / height * WIDTH;
}

// Two neighbours of a row of C. The column is even and so is the stride.
__device__ __forceinline__ void store(int *out, unsigned stride, unsigned rows, unsigned columns, unsigned row,
                                      unsigned column, int left, int right) {
  if (row < rows && column < columns) {
    uint2 both = {(unsigned)left, (unsigned)right};
    *(uint2 *)(out + (unsigned long long)row * stride + column) = both;
  }
}

#if MAKE_MMA16
// Begins to copy bytes at .. at + ROW of ROWS rows from `first` on; rows that are not there become zeros.
template <unsigned ROWS, unsigned ROW>
__device__ __forceinline__ void copy_rows(unsigned char *to, const unsigned char *from, unsigned first, unsigned rows,
                                          unsigned row_bytes, unsigned at) {
#pragma unroll
  for (unsigned i = 0; i < ROWS * (ROW / 16) / THREADS; i++) {
    unsigned piece = i * THREADS + threadIdx.x, row = piece / (ROW / 16), chunk = piece % (ROW / 16);
    bool there = first + row < rows;
    const unsigned char *source = from + (there ? ROW_OF_A(first + row) + at + 16 * chunk : 0);
    copy_async(to + swizzled<ROW>(row, chunk), source, there);
  }
}
#endif

// Makes bytes k .. the next multiple of 128 of each row zeros; a thread for each of the last 128 bytes of each row.
extern "C" __global__ void __launch_bounds__(THREADS)
gemm_i8_clean(unsigned char *a, unsigned row_bytes, unsigned k, unsigned rows) {
  unsigned place = blockIdx.x * THREADS + threadIdx.x, row = place / 128, byte = k / 128 * 128 + place % 128;
  if (row < rows && byte >= k && byte < row_bytes) a[ROW_OF_A(row) + byte] = 0;
}

// out[i] is number skip + i of those in rows of `stride`, of which `columns` count; a thread for each of `count`.
extern "C" __global__ void __launch_bounds__(THREADS)
gemm_i8_pack(int *__restrict__ out, const int *__restrict__ from, unsigned columns, unsigned stride, unsigned skip,
             unsigned count) {
  unsigned i = blockIdx.x * THREADS + threadIdx.x;
  if (i < count) out[i] = from[(unsigned long long)((skip + i) / columns) * stride + (skip + i) % columns];
}

// A block makes a 64 x 64 tile, a thread 4 x 4 elements of it, 16 apart.
extern "C" __global__ void __launch_bounds__(THREADS)
gemm_i8(int *__restrict__ out, const unsigned char *__restrict__ a, const unsigned char *__restrict__ b,
        unsigned row_bytes, unsigned k, unsigned rows, unsigned columns, unsigned stride) {
  const unsigned TILE = 64, STEP = 32, SIDE = 16;
  // One word more than a step, so that threads that read the same word of neighbouring rows meet different banks.
  __shared__ int as[TILE][STEP + 1];
  __shared__ int bs[TILE][STEP + 1];
  unsigned tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE, row, column;
  place<TILE, TILE>(rows, columns, row, column);
  int sum[4][4] = {};
  for (unsigned from = 0; from < k; from += 4 * STEP) {
    for (unsigned i = threadIdx.x; i < TILE * STEP; i += THREADS) {
      unsigned r = i / STEP, at = from + 4 * (i % STEP);
      as[r][i % STEP] = row + r < rows ? *(const int *)(a + ROW_OF_A(row + r) + at) : 0;
      bs[r][i % STEP] = column + r < columns ? *(const int *)(b + ROW_OF_A(column + r) + at) : 0;
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
      if (r < rows && c < columns) out[(unsigned long long)r * stride + c] = sum[i][j];
    }
}

// A block makes a 128 x 128 tile, a warp 64 x 32 of it. The next 64 bytes of k wait in registers while these are
// multiplied.
extern "C" __global__ void __launch_bounds__(THREADS)
gemm_i8_mma8(int *__restrict__ out, const unsigned char *__restrict__ a, const unsigned char *__restrict__ b,
             unsigned row_bytes, unsigned k, unsigned rows, unsigned columns, unsigned stride) {
  const unsigned TILE = 128, ROW = 64, EACH = TILE * (ROW / 16) / THREADS;
  __align__(16) __shared__ unsigned char shared[2][2][TILE * ROW];
  unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, row, column;
  unsigned down = warp / 4 * 64, right = warp % 4 * 32;
  place<TILE, TILE>(rows, columns, row, column);
  int sum[8][4][2] = {};
  uint4 next[2][EACH];
  auto fetch = [&](unsigned at) {
#pragma unroll
    for (unsigned i = 0; i < EACH; i++) {
      unsigned piece = i * THREADS + threadIdx.x, r = piece / (ROW / 16), chunk = piece % (ROW / 16);
      uint4 zero = {0, 0, 0, 0};
      next[0][i] = row + r < rows ? *(const uint4 *)(a + ROW_OF_A(row + r) + at + 16 * chunk) : zero;
      next[1][i] = column + r < columns ? *(const uint4 *)(b + ROW_OF_A(column + r) + at + 16 * chunk) : zero;
    }
  };
  auto put = [&](unsigned slot) {
#pragma unroll
    for (unsigned i = 0; i < EACH; i++) {
      unsigned piece = i * THREADS + threadIdx.x, at = swizzled<ROW>(piece / (ROW / 16), piece % (ROW / 16));
      *(uint4 *)(shared[slot][0] + at) = next[0][i];
      *(uint4 *)(shared[slot][1] + at) = next[1][i];
    }
  };
  unsigned tiles = (k + ROW - 1) / ROW;
  fetch(0);
  put(0);
  for (unsigned tile = 0; tile < tiles; tile++) {
    __syncthreads();
    if (tile + 1 < tiles) fetch((tile + 1) * ROW);
    const unsigned char *as = shared[tile % 2][0], *bs = shared[tile % 2][1];
#pragma unroll
    for (unsigned chunk = 0; chunk < ROW / 16; chunk++) {
      unsigned x[2][4], y[4];
      load_matrices(x[0], as + swizzled<ROW>(down + lane, chunk));
      load_matrices(x[1], as + swizzled<ROW>(down + 32 + lane, chunk));
      load_matrices(y, bs + swizzled<ROW>(right + lane, chunk));
#pragma unroll
      for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) mma_8x8x16(sum[i][j], x[i / 4][i % 4], y[j]);
    }
    // Nobody reads the other slot any more: all are past this round's barrier.
    if (tile + 1 < tiles) put((tile + 1) % 2);
  }
#pragma unroll
  for (int i = 0; i < 8; i++)
#pragma unroll
    for (int j = 0; j < 4; j++)
      store(out, stride, rows, columns, row + down + 8 * i + lane / 4, column + right + 8 * j + 2 * (lane % 4),
            sum[i][j][0], sum[i][j][1]);
}

#if MAKE_MMA16
// A block makes a 128 x 256 tile, a warp 64 x 64 of it; three steps of k are on their way while one is multiplied.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
gemm_i8_mma16(int *__restrict__ out, const unsigned char *__restrict__ a, const unsigned char *__restrict__ b,
              unsigned row_bytes, unsigned k, unsigned rows, unsigned columns, unsigned stride) {
  const unsigned HEIGHT = 128, WIDTH = 256, ROW = 64, STAGES = 4, STAGE = (HEIGHT + WIDTH) * ROW;
  CUDA_DYN_SHARED(unsigned char, shared);
  unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, row, column;
  unsigned down = warp / 4 * 64, right = warp % 4 * 64;
  place<HEIGHT, WIDTH>(rows, columns, row, column);
  unsigned tiles = (k + ROW - 1) / ROW;
  auto copy = [&](unsigned tile) {
    if (tile < tiles) {
      unsigned char *to = shared + tile % STAGES * STAGE;
      copy_rows<HEIGHT, ROW>(to, a, row, rows, row_bytes, tile * ROW);
      copy_rows<WIDTH, ROW>(to + HEIGHT * ROW, b, column, columns, row_bytes, tile * ROW);
    }
    copy_commit();
  };
  int sum[4][8][4] = {};
  for (unsigned tile = 0; tile < STAGES - 1; tile++) copy(tile);
  for (unsigned tile = 0; tile < tiles; tile++) {
    copy_wait<STAGES - 2>();
    // All copies of this step are there, and all are done with the step before, whose place is filled again.
    __syncthreads();
    copy(tile + STAGES - 1);
    const unsigned char *as = shared + tile % STAGES * STAGE, *bs = as + HEIGHT * ROW;
#pragma unroll
    for (unsigned half = 0; half < ROW / 32; half++) {
      unsigned x[4][4], y[8][2];
#pragma unroll
      for (int i = 0; i < 4; i++)
        load_matrices(x[i], as + swizzled<ROW>(down + 16 * i + lane % 16, 2 * half + lane / 16));
#pragma unroll
      for (int j = 0; j < 8; j += 2) {
        unsigned both[4];
        load_matrices(both, bs + swizzled<ROW>(right + 8 * j + lane / 16 * 8 + lane % 8, 2 * half + lane / 8 % 2));
        y[j][0] = both[0], y[j][1] = both[1], y[j + 1][0] = both[2], y[j + 1][1] = both[3];
      }
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) mma_16x8x32(sum[i][j], x[i], y[j]);
    }
  }
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 8; j++) {
      unsigned r = row + down + 16 * i + lane / 4, c = column + right + 8 * j + 2 * (lane % 4);
      store(out, stride, rows, columns, r, c, sum[i][j][0], sum[i][j][1]);
      store(out, stride, rows, columns, r + 8, c, sum[i][j][2], sum[i][j][3]);
    }
}
#endif

#if MAKE_WGMMA
// Rows of 128 bytes in the 128-byte swizzle: eight rows are 1,024 bytes further than the eight before.
__device__ __forceinline__ unsigned long long describe(const void *rows) {
  return (shared_address(rows) & 0x3ffffull) >> 4 | 1ull << 16 | (1024ull >> 4) << 32 | 1ull << 62;
}

// A block makes a 128 x 256 tile, each of its two groups of four warps 64 x 256 of it. Of four steps of k two are on
// their way, one is multiplied, and the one before may still be.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
gemm_i8_wgmma(int *__restrict__ out, const unsigned char *__restrict__ a, const unsigned char *__restrict__ b,
              unsigned row_bytes, unsigned k, unsigned rows, unsigned columns, unsigned stride) {
  const unsigned HEIGHT = 128, WIDTH = 256, ROW = 128, STAGES = 4, STAGE = (HEIGHT + WIDTH) * ROW;
  CUDA_DYN_SHARED(unsigned char, unaligned);
  // The swizzle goes by address, so a stage begins at a multiple of 1,024; the launch has so much memory more.
  unsigned char *shared = unaligned + (1024 - shared_address(unaligned) % 1024) % 1024;
  unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, row, column;
  unsigned down = warp / 4 * 64;
  place<HEIGHT, WIDTH>(rows, columns, row, column);
  unsigned tiles = (k + ROW - 1) / ROW;
  auto copy = [&](unsigned tile) {
    if (tile < tiles) {
      unsigned char *to = shared + tile % STAGES * STAGE;
      copy_rows<HEIGHT, ROW>(to, a, row, rows, row_bytes, tile * ROW);
      copy_rows<WIDTH, ROW>(to + HEIGHT * ROW, b, column, columns, row_bytes, tile * ROW);
    }
    copy_commit();
  };
  int sum[128];
#pragma unroll
  for (int i = 0; i < 128; i++) sum[i] = 0;
  for (unsigned tile = 0; tile < STAGES - 2; tile++) copy(tile);
  for (unsigned tile = 0; tile < tiles; tile++) {
    copy_wait<STAGES - 3>();
    fence_async();
    // All copies of this step are there, and both groups are done with the last step but one.
    __syncthreads();
    unsigned char *as = shared + tile % STAGES * STAGE;
    unsigned long long x = describe(as + down * ROW), y = describe(as + HEIGHT * ROW);
    wgmma_fence();
#pragma unroll
    for (unsigned quarter = 0; quarter < ROW / 32; quarter++)
      // 32 bytes further, in units of 16.
      wgmma_64x256x32(sum, x + 2 * quarter, y + 2 * quarter);
    wgmma_commit();
    // Into the place of the last step but one.
    copy(tile + STAGES - 2);
    wgmma_wait<1>();
  }
  wgmma_wait<0>();
#pragma unroll
  for (int i = 0; i < 128; i += 2)
    store(out, stride, rows, columns, row + down + warp % 4 * 16 + lane / 4 + i / 2 % 2 * 8,
          column + i / 4 * 8 + 2 * (lane % 4), sum[i], sum[i + 1]);
}
#endif
