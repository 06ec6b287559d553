// The real .cu text behind a C ABI, for the tests that run it on CPU threads.
#include "align.cu"

extern "C" void host_align_pairs(unsigned grid, unsigned char *out, int *edge, const unsigned char *queries,
                                 const unsigned char *rows, const short *table, unsigned long long first, unsigned pairs,
                                 unsigned row_count, unsigned query_tiles, unsigned row_tiles, unsigned stage_tiles,
                                 int open, int extend) {
  cuhost::launch(dim3(grid), dim3(BLOCK), 0, [=] {
    align_pairs(out, edge, queries, rows, table, first, pairs, row_count, query_tiles, row_tiles, stage_tiles, open,
                extend);
  });
}
