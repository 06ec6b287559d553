// The real .cu text behind a C ABI, for the tests that run it on CPU threads.
#include "mlp_i8.cu"

extern "C" void host_mlp_i8_layer(unsigned grid_x, unsigned grid_y, int *sums, signed char *next, const int *values,
                                  const int *weights, unsigned long long weights_at, unsigned value_words,
                                  unsigned weight_words, unsigned next_words, unsigned k, unsigned n, unsigned samples,
                                  int multiplier, int shift, int low) {
  cuhost::launch(dim3(grid_x, grid_y), dim3(SIDE, SIDE), 0, [=] {
    mlp_i8_layer(sums, next, values, weights, weights_at, value_words, weight_words, next_words, k, n, samples,
                 multiplier, shift, low);
  });
}

extern "C" void host_mlp_i8_largest(unsigned grid, unsigned block, unsigned short *out, const int *sums, unsigned n,
                                    unsigned samples) {
  cuhost::launch(dim3(grid), dim3(block), 0, [=] { mlp_i8_largest(out, sums, n, samples); });
}
