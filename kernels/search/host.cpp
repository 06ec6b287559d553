// The real .cu text behind a C ABI, for the tests that run it on CPU threads.
#include "../src/hash/sha256.cuh"
#include "search.cu"

extern "C" void host_search(unsigned grid_segments, unsigned grid_cells, unsigned *out, unsigned *records,
                            const Template *t, unsigned long long first, unsigned cells, unsigned per_cell) {
  Template common = *t;
  unsigned segments = cells * per_cell;
  cuhost::launch(dim3(grid_segments), dim3(BLOCK), 0, [=] { search_segments(records, common, first, segments); });
  cuhost::launch(dim3(grid_cells), dim3(BLOCK), 0, [=] { search_cells(out, records, cells, per_cell); });
}
