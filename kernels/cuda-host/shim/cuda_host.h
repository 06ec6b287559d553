// Executes CUDA C++ kernels on CPU threads: force-included before the .cu text, compiled as C++17. Tests only.
//
// One fiber (ucontext) per CUDA thread, blocks spread over OS threads; barriers, shuffles and atomics work. A block
// runs on one OS thread, so its fibers take turns and shared memory can be thread-local.
#pragma once
#define CUDA_HOST_SHIM 1
#include <stdint.h>
#include <string.h>
#include <ucontext.h>
#include <math.h>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>
#include <algorithm>

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {} };
struct uint2 { unsigned x, y; }; struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(16) ulonglong2 { unsigned long long x, y; };
static inline uint2 make_uint2(unsigned a, unsigned b) { return {a, b}; }
static inline uint4 make_uint4(unsigned a, unsigned b, unsigned c, unsigned d) { return {a, b, c, d}; }
static inline ulonglong2 make_ulonglong2(unsigned long long a, unsigned long long b) { return {a, b}; }

namespace cuhost {
struct Fiber { ucontext_t ctx; std::unique_ptr<char[]> stack; uint3 tid; unsigned lin; bool done; };
struct Block {
  dim3 grid, block; uint3 bid; Fiber *cur = nullptr; ucontext_t sched; const std::function<void()> *body = nullptr;
  unsigned n = 0, alive = 0, bar_count = 0; uint64_t bar_gen = 0;
  std::vector<unsigned> w_count; std::vector<uint64_t> w_gen, w_slot; std::vector<char> smem;
};
inline thread_local Block *B = nullptr;
inline Block *blk() { Block *b = B; asm volatile("" : "+r"(b)); return b; }
inline void yield() { Block *b = blk(); swapcontext(&b->cur->ctx, &b->sched); }
inline void entry() { Block *b = blk(); (*b->body)(); b->cur->done = true; b->alive--; if (b->bar_count && b->bar_count == b->alive) { b->bar_count = 0; b->bar_gen++; } swapcontext(&b->cur->ctx, &b->sched); }
inline void sync_block() {
  Block *b = blk(); uint64_t g = b->bar_gen;
  if (++b->bar_count == b->alive) { b->bar_count = 0; b->bar_gen++; return; }
  while (b->bar_gen == g) yield();
}
inline void sync_warp(unsigned mask) {
  Block *b = blk(); unsigned w = b->cur->lin / 32, want = __builtin_popcount(mask & (b->n - w * 32 >= 32 ? ~0u : (1u << (b->n - w * 32)) - 1));
  uint64_t g = b->w_gen[w];
  if (++b->w_count[w] >= want) { b->w_count[w] = 0; b->w_gen[w]++; return; }
  while (b->w_gen[w] == g) yield();
}
template <class T> inline T shfl_from(unsigned mask, T v, unsigned src) {
  static_assert(sizeof(T) <= 8); Block *b = blk(); unsigned lin = b->cur->lin, w0 = lin & ~31u; uint64_t raw = 0; memcpy(&raw, &v, sizeof(T));
  b->w_slot[lin] = raw; sync_warp(mask); uint64_t r = b->w_slot[std::min(w0 + src, b->n - 1)]; sync_warp(mask); T o; memcpy(&o, &r, sizeof(T)); return o;
}
template <class F> inline void launch(dim3 grid, dim3 block, size_t smem, F f, unsigned nthreads = 0) {
  std::function<void()> body = f; uint64_t nb = (uint64_t)grid.x * grid.y * grid.z; unsigned n = block.x * block.y * block.z;
  if (!nthreads) nthreads = std::max(1u, std::thread::hardware_concurrency());
  nthreads = (unsigned)std::min<uint64_t>(nthreads, nb); std::atomic<uint64_t> next{0};
  auto worker = [&] {
    Block b; B = &b; b.grid = grid; b.block = block; b.body = &body; b.n = n; b.smem.resize(smem + 16);
    b.w_count.assign((n + 31) / 32, 0); b.w_gen.assign((n + 31) / 32, 0); b.w_slot.assign(n, 0);
    std::vector<Fiber> fs(n); const size_t SS = 64 * 1024; for (auto &f : fs) f.stack.reset(new char[SS]);
    for (uint64_t i; (i = next++) < nb;) {
      b.bid = {(unsigned)(i % grid.x), (unsigned)(i / grid.x % grid.y), (unsigned)(i / grid.x / grid.y)};
      b.alive = n; b.bar_count = 0;
      for (unsigned t = 0; t < n; t++) { Fiber &f = fs[t]; f.tid = {t % block.x, t / block.x % block.y, t / block.x / block.y}; f.lin = t; f.done = false;
        getcontext(&f.ctx); f.ctx.uc_stack.ss_sp = f.stack.get(); f.ctx.uc_stack.ss_size = SS; f.ctx.uc_link = nullptr; makecontext(&f.ctx, (void (*)())entry, 0); }
      while (b.alive) for (auto &f : fs) if (!f.done) { b.cur = &f; swapcontext(&b.sched, &f.ctx); }
    }
    B = nullptr;
  };
  std::vector<std::thread> ts; for (unsigned t = 1; t < nthreads; t++) ts.emplace_back(worker);
  worker(); for (auto &t : ts) t.join();
}
} // namespace cuhost

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static thread_local            /* one block at a time per OS thread */
#define CUDA_DYN_SHARED(T, name) T *name = (T *)(((uintptr_t)cuhost::blk()->smem.data() + 15) & ~(uintptr_t)15)
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n) alignas(n)
#define threadIdx (cuhost::blk()->cur->tid)
#define blockIdx  (cuhost::blk()->bid)
#define blockDim  (cuhost::blk()->block)
#define gridDim   (cuhost::blk()->grid)
static const int warpSize = 32;
static inline void __syncthreads() { cuhost::sync_block(); }
static inline void __syncwarp(unsigned m = ~0u) { cuhost::sync_warp(m); }
static inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
template <class T> static inline T __shfl_sync(unsigned m, T v, int s) { return cuhost::shfl_from(m, v, s & 31); }
template <class T> static inline T __shfl_xor_sync(unsigned m, T v, int x) { return cuhost::shfl_from(m, v, (cuhost::blk()->cur->lin & 31) ^ x); }
template <class T> static inline T __shfl_down_sync(unsigned m, T v, unsigned d) { unsigned l = cuhost::blk()->cur->lin & 31; return cuhost::shfl_from(m, v, l + d < 32 ? l + d : l); }
static inline unsigned __ballot_sync(unsigned m, int p) { unsigned r = 0; for (int i = 0; i < 32; i++) r |= (unsigned)(cuhost::shfl_from<int>(m, !!p, i)) << i; return r; }
template <class T, class U> static inline T atomicAdd(T *p, U v) { return __atomic_fetch_add(p, (T)v, __ATOMIC_SEQ_CST); }
template <class T, class U> static inline T atomicXor(T *p, U v) { return __atomic_fetch_xor(p, (T)v, __ATOMIC_SEQ_CST); }
template <class T, class U> static inline T atomicOr(T *p, U v) { return __atomic_fetch_or(p, (T)v, __ATOMIC_SEQ_CST); }
template <class T, class U> static inline T atomicExch(T *p, U v) { return __atomic_exchange_n(p, (T)v, __ATOMIC_SEQ_CST); }
template <class T, class U, class V> static inline T atomicCAS(T *p, U c, V v) { T e = (T)c; __atomic_compare_exchange_n(p, &e, (T)v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); return e; }
template <class T, class U> static inline T atomicMin(T *p, U v) { T o = __atomic_load_n(p, __ATOMIC_SEQ_CST); while (o > (T)v && !__atomic_compare_exchange_n(p, &o, (T)v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)); return o; }
template <class T, class U> static inline T atomicMax(T *p, U v) { T o = __atomic_load_n(p, __ATOMIC_SEQ_CST); while (o < (T)v && !__atomic_compare_exchange_n(p, &o, (T)v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)); return o; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline unsigned __brev(unsigned x) { unsigned r = 0; for (int i = 0; i < 32; i++) r |= ((x >> i) & 1u) << (31 - i); return r; }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)(((uint64_t)a * b) >> 32); }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) { return (unsigned long long)(((unsigned __int128)a * b) >> 64); }
static inline unsigned __funnelshift_l(unsigned lo, unsigned hi, unsigned s) { s &= 31; return s ? (hi << s) | (lo >> (32 - s)) : hi; }
static inline unsigned __funnelshift_r(unsigned lo, unsigned hi, unsigned s) { s &= 31; return s ? (hi << (32 - s)) | (lo >> s) : lo; }
static inline unsigned __byte_perm(unsigned a, unsigned b, unsigned s) { uint64_t t = ((uint64_t)b << 32) | a; unsigned r = 0; for (int i = 0; i < 4; i++) r |= (unsigned)((t >> (((s >> (4 * i)) & 7) * 8)) & 0xff) << (8 * i); return r; }
template <class T> static inline T __ldg(const T *p) { return *p; }
// Four-way dot product of signed bytes, added to c: wraps as the instruction does.
static inline int __dp4a(int a, int b, int c) {
  unsigned r = (unsigned)c;
  for (int i = 0; i < 32; i += 8) r += (unsigned)((int)(int8_t)((unsigned)a >> i) * (int)(int8_t)((unsigned)b >> i));
  return (int)r;
}
using std::min; using std::max;
