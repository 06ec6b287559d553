// The real .cu text behind a C ABI, for the tests that run it on CPU threads. `threads` is how many have something to do.
#include "mlp_i8.cu"

static dim3 blocks(unsigned long long threads) { return dim3((unsigned)((threads + BLOCK - 1) / BLOCK)); }

extern "C" void host_mlp_i8_rows(unsigned *to, const unsigned *from, unsigned long long from_at, unsigned from_words,
                                 unsigned to_words, unsigned k, unsigned rows) {
  cuhost::launch(blocks((unsigned long long)rows * to_words), dim3(BLOCK), 0,
                 [=] { mlp_i8_rows(to, from, from_at, from_words, to_words, k, rows); });
}

extern "C" void host_mlp_i8_biases(int *to, const int *weights, unsigned long long weights_at, unsigned weight_words,
                                   unsigned n) {
  cuhost::launch(blocks(n), dim3(BLOCK), 0, [=] { mlp_i8_biases(to, weights, weights_at, weight_words, n); });
}

extern "C" void host_mlp_i8_requantise(unsigned long long threads, int *sums, unsigned *next, const int *products,
                                       const int *biases, unsigned n, unsigned stride, unsigned next_words,
                                       unsigned samples, int multiplier, int shift, int low) {
  cuhost::launch(blocks(threads), dim3(BLOCK), 0, [=] {
    mlp_i8_requantise(sums, next, products, biases, n, stride, next_words, samples, multiplier, shift, low);
  });
}

extern "C" void host_mlp_i8_largest(unsigned short *out, const int *sums, unsigned n, unsigned samples) {
  cuhost::launch(blocks(samples), dim3(BLOCK), 0, [=] { mlp_i8_largest(out, sums, n, samples); });
}
