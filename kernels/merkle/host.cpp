// The real .cu text behind a C ABI, for the tests that run it on CPU threads.
#include "../src/hash/sha256.cuh"
#include "merkle.cu"

extern "C" void host_merkle_leaves(unsigned *out, const unsigned char *leaves, const unsigned *salt,
                                   unsigned long long from, unsigned long long to, unsigned leaf_bytes,
                                   unsigned count) {
  Salt words;
  memcpy(words.words, salt, sizeof words);
  cuhost::launch(dim3((count + BLOCK - 1) / BLOCK), dim3(BLOCK), 0,
                 [=] { merkle_leaves(out, leaves, words, from, to, leaf_bytes, count); });
}

extern "C" void host_merkle_nodes(unsigned *out, const unsigned *nodes, unsigned count) {
  unsigned pairs = count / 2 + count % 2;
  cuhost::launch(dim3((pairs + BLOCK - 1) / BLOCK), dim3(BLOCK), 0,
                 [=] { merkle_nodes(out, nodes, count); });
}
