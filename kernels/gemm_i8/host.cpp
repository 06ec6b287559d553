// The real .cu text behind a C ABI, for the tests that run it on CPU threads.
#include "gemm_i8.cu"

extern "C" void host_gemm_i8(unsigned grid_x, unsigned grid_y, int *out, const int *a, const int *b,
                             unsigned row_words, unsigned k, unsigned n, unsigned rows, unsigned long long row0,
                             unsigned long long first, unsigned long long count) {
  cuhost::launch(dim3(grid_x, grid_y), dim3(SIDE, SIDE), 0,
                 [=] { gemm_i8(out, a, b, row_words, k, n, rows, row0, first, count); });
}
