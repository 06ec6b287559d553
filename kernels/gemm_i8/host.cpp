// The real .cu text behind a C ABI, for the tests that run it on CPU threads.
#include "../cuda-host/shim/tensor.h"
#include "gemm_i8.cu"

extern "C" void host_gemm_i8_clean(unsigned char *a, unsigned row_bytes, unsigned k, unsigned rows) {
  cuhost::launch(dim3((rows * 128 + THREADS - 1) / THREADS), dim3(THREADS), 0, [=] { gemm_i8_clean(a, row_bytes, k, rows); });
}

// Entry 0 to 3 of the table in gemm_i8.cu; `grid` blocks with `shared` bytes of shared memory each.
extern "C" void host_gemm_i8(unsigned entry, unsigned grid, unsigned shared, int *out, const unsigned char *a,
                             const unsigned char *b, unsigned row_bytes, unsigned k, unsigned rows, unsigned columns,
                             unsigned stride) {
  decltype(&gemm_i8) entries[] = {gemm_i8, gemm_i8_mma8, gemm_i8_mma16, gemm_i8_wgmma};
  auto multiply = entries[entry];
  cuhost::launch(dim3(grid), dim3(THREADS), shared, [=] {
    multiply(out, a, b, row_bytes, k, rows, columns, stride);
    cuhost::all_waited();
  });
}

extern "C" void host_gemm_i8_pack(int *out, const int *from, unsigned columns, unsigned stride, unsigned skip,
                                  unsigned count) {
  cuhost::launch(dim3((count + THREADS - 1) / THREADS), dim3(THREADS), 0,
                 [=] { gemm_i8_pack(out, from, columns, stride, skip, count); });
}
