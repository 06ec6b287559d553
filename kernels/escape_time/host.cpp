// The real .cu text behind a C ABI, for the tests that run it on CPU threads.
#include "escape_time.cu"

extern "C" void host_escape_time(unsigned grid, unsigned block, unsigned *out, unsigned long long first,
                                 unsigned count, unsigned width, unsigned max_iter, long long x0, long long y0,
                                 long long step) {
  cuhost::launch(dim3(grid), dim3(block), 0, [=] { escape_time(out, first, count, width, max_iter, x0, y0, step); });
}
