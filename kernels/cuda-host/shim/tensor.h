// The tensor cores' instructions on CPU threads, for texts written on the small functions below: in a kernel's own text
// each is one PTX instruction, here it is what the PTX ISA (8.8, sections 9.7.9.25, 9.7.15 and 9.7.16) says that this one
// does. What a card may delay is delayed here as long as the text allows, so that a wait that is missing shows: products of
// wgmma happen in wgmma_wait, copies in copy_wait. In blocks of odd number copies happen at once, so that one into a place
// that is still read shows. Fences between threads and tensor cores do nothing here, so one
// that is missing does not show.
#pragma once
#include "cuda_host.h"
#include <stdlib.h>

namespace cuhost {
// Something that the lanes of a warp do together: each brings its part, the last to come does the work of all.
template <class T, class F> inline void together(T *mine, F work) {
  Block *b = blk(); unsigned lin = b->cur->lin, w = lin / 32; uint64_t g = b->w_gen[w];
  b->w_slot[lin] = (uint64_t)mine;
  if (++b->w_count[w] == 32) {
    T *all[32];
    for (unsigned l = 0; l < 32; l++) all[l] = (T *)b->w_slot[w * 32 + l];
    work(all);
    b->w_count[w] = 0; b->w_gen[w]++;
    return;
  }
  while (b->w_gen[w] == g) yield();
}

inline int8_t byte_of(unsigned word, unsigned i) { return (int8_t)(word >> (8 * i)); }

// What a thread has begun and not waited for: copies and products in groups, the last of them still open.
struct Copy { void *to; const void *from; bool there; };
struct Product { int *sum; uint64_t a, b; };
template <class T> struct Groups {
  std::vector<std::vector<T>> open{1};
  // Ends the open group.
  void commit() { open.emplace_back(); }
  // Does the work of all groups that are ended but the last `pending`.
  template <class F> void wait(unsigned pending, F work) {
    while (open.size() - 1 > pending) { for (T &one : open.front()) work(one); open.erase(open.begin()); }
  }
};
struct Begun { Groups<Copy> copies; Groups<Product> products; };
inline Begun &begun() {
  static thread_local std::vector<Begun> all;
  Block *b = blk(); if (all.size() < b->n) all.resize(b->n);
  Begun &mine = all[b->cur->lin];
  return mine;
}
// For the end of a launch or a block: a thread that has not waited for all of its work is a mistake.
inline void all_waited() {
  Begun &mine = begun();
  for (auto &group : mine.copies.open) if (!group.empty()) abort();
  for (auto &group : mine.products.open) if (!group.empty()) abort();
  mine = Begun{};
}
} // namespace cuhost

// Dynamic shared memory begins here, which is no multiple of 1,024, nor need it be on a card.
static const unsigned SHARED_BEGIN = 528;
static inline unsigned char *shared_begin() { CUDA_DYN_SHARED(unsigned char, begin); return begin; }
static inline unsigned shared_address(const void *at) { return SHARED_BEGIN + (unsigned)((const unsigned char *)at - shared_begin()); }

static inline void load_matrices(unsigned (&to)[4], const void *row) {
  struct Part { unsigned *to; const unsigned char *row; } part{to, (const unsigned char *)row};
  if ((uintptr_t)row % 16) abort();
  cuhost::together(&part, [](Part **all) {
    for (unsigned lane = 0; lane < 32; lane++)
      for (unsigned matrix = 0; matrix < 4; matrix++) memcpy(all[lane]->to + matrix, all[8 * matrix + lane / 4]->row + 4 * (lane % 4), 4);
  });
}

static inline void mma_8x8x16(int (&sum)[2], unsigned a, unsigned b) {
  struct Part { int *sum; unsigned a, b; } part{sum, a, b};
  cuhost::together(&part, [](Part **all) {
    // Lane l holds A(l / 4, 4 (l % 4) ..), B(4 (l % 4) .., l / 4), C(l / 4, 2 (l % 4) ..).
    for (unsigned r = 0; r < 8; r++)
      for (unsigned c = 0; c < 8; c++) {
        unsigned s = 0;
        for (unsigned k = 0; k < 16; k++) s += (unsigned)(cuhost::byte_of(all[4 * r + k / 4]->a, k % 4) * cuhost::byte_of(all[4 * c + k / 4]->b, k % 4));
        int &to = all[4 * r + c / 2]->sum[c % 2];
        to = (int)((unsigned)to + s);
      }
  });
}

static inline void mma_16x8x32(int (&sum)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  struct Part { int *sum; const unsigned *a, *b; } part{sum, a, b};
  cuhost::together(&part, [](Part **all) {
    // Lane l holds in register i of A (l / 4 + 8 (i % 2), 16 (i / 2) + 4 (l % 4) ..), of B (16 i + 4 (l % 4) .., l / 4),
    // of C (l / 4 + 8 (i / 2), 2 (l % 4) + i % 2).
    for (unsigned r = 0; r < 16; r++)
      for (unsigned c = 0; c < 8; c++) {
        unsigned s = 0;
        for (unsigned k = 0; k < 32; k++) {
          unsigned x = all[4 * (r % 8) + k % 16 / 4]->a[k / 16 * 2 + r / 8], y = all[4 * c + k % 16 / 4]->b[k / 16];
          s += (unsigned)(cuhost::byte_of(x, k % 4) * cuhost::byte_of(y, k % 4));
        }
        int &to = all[4 * (r % 8) + c / 2]->sum[r / 8 * 2 + c % 2];
        to = (int)((unsigned)to + s);
      }
  });
}

namespace cuhost {
inline void do_copy(Copy &copy) { if (copy.there) memcpy(copy.to, copy.from, 16); else memset(copy.to, 0, 16); }
}
static inline void copy_async(void *to, const void *from, bool there) {
  if ((uintptr_t)to % 16 || (uintptr_t)from % 16) abort();
  cuhost::Copy copy{to, from, there};
  if (blockIdx.x % 2) cuhost::do_copy(copy); else cuhost::begun().copies.open.back().push_back(copy);
}
static inline void copy_commit() { cuhost::begun().copies.commit(); }
template <int PENDING> static inline void copy_wait() {
  cuhost::begun().copies.wait(PENDING, cuhost::do_copy);
}

static inline void fence_async() {}
static inline void wgmma_fence() {}
static inline void wgmma_64x256x32(int (&sum)[128], unsigned long long a, unsigned long long b) { cuhost::begun().products.open.back().push_back({sum, a, b}); }
static inline void wgmma_commit() { cuhost::begun().products.commit(); }
// The 32 bytes of row `row` of a matrix with k in rows and the 128-byte swizzle: its descriptor has the beginning and the
// distance of eight rows from the next eight, both in units of 16 bytes; bits 7 to 9 of an address turn bits 4 to 6.
static inline void described(unsigned long long descriptor, unsigned row, int8_t *to) {
  if (descriptor >> 62 != 1 || (descriptor >> 49 & 7)) abort();
  unsigned begin = (descriptor & 0x3fff) << 4, eight = (descriptor >> 32 & 0x3fff) << 4;
  for (unsigned half = 0; half < 2; half++) {
    unsigned address = begin + row / 8 * eight + row % 8 * 128 + 16 * half;
    memcpy(to + 16 * half, shared_begin() + (address ^ (address >> 3 & 0x70)) - SHARED_BEGIN, 16);
  }
}
template <int PENDING> static inline void wgmma_wait() {
  cuhost::begun().products.wait(PENDING, [](cuhost::Product &product) {
    unsigned lin = cuhost::blk()->cur->lin, lane = lin % 32, warp = lin / 32 % 4;
    // Register i of C is (16 warp + lane / 4 + 8 (i / 2 % 2), 8 (i / 4) + 2 (lane % 4) + i % 2).
    int8_t x[2][32];
    for (unsigned half = 0; half < 2; half++) described(product.a, 16 * warp + lane / 4 + 8 * half, x[half]);
    for (unsigned c = 0; c < 64; c++) {
      unsigned column = c / 2 * 8 + 2 * (lane % 4) + c % 2;
      int8_t y[32];
      described(product.b, column, y);
      for (unsigned half = 0; half < 2; half++) {
        unsigned s = 0;
        for (unsigned k = 0; k < 32; k++) s += (unsigned)(x[half][k] * y[k]);
        int &to = product.sum[c / 2 * 4 + 2 * half + c % 2];
        to = (int)((unsigned)to + s);
      }
    }
  });
}
