// Kernel 6, align: Smith-Waterman tiles of 48 x 128 symbols with affine gaps, exact in 32 bits.
//
// Plain CUDA C++ without headers: the same text goes to NVRTC and, in tests, to a host C++ compiler.
// A team of 16 threads takes a pair of a query and a row through all of its tiles, a strip of 48 query symbols at a time:
// each thread has three of them, and works on the column behind the one that the thread before it works on. The lower edge
// of a strip lies in `edge` for the next one.

#define TEAM 16       // threads of a team
#define OWN 3         // symbols of the query that a thread has
#define BLOCK 128     // threads of a block
#define QUERY_SLOT 64 // bytes of a query for each strip
#define TILE_COLUMNS 128
#define TILE_BYTES 496
#define RIGHT_H 16    // where the parts of a tile begin
#define RIGHT_E 64
#define BOTTOM_H 112
#define BOTTOM_F 240
#define BEST_H 368
#define SEPARATOR 31
#define RESET 0x80
#define DIGEST_FACTOR 0x9e3779b1u

__device__ static int align_less(int a, int b) { return a > b ? a - b : 0; }
__device__ static int align_max(int a, int b) { return a > b ? a : b; }

// Tiles of the pairs first .. first + pairs, stage by stage as in a job of these pairs alone; `table` holds 32 x 32 scores,
// `edge` three numbers for each pair and column.
extern "C" __global__ void __launch_bounds__(BLOCK)
align_pairs(unsigned char *__restrict__ out, int *__restrict__ edge, const unsigned char *__restrict__ queries,
            const unsigned char *__restrict__ rows, const short *__restrict__ table, unsigned long long first,
            unsigned pairs, unsigned row_count, unsigned query_tiles, unsigned row_tiles, unsigned stage_tiles, int open,
            int extend) {
  __shared__ short scores[32][33];
  for (unsigned i = threadIdx.x; i < 1024; i += BLOCK) scores[i / 32][i % 32] = table[i];
  __syncthreads();
  unsigned team = (blockIdx.x * BLOCK + threadIdx.x) / TEAM, t = threadIdx.x % TEAM;
  // Threads without a pair go along, for the shuffles of their warp, and write nothing.
  bool has = team < pairs;
  unsigned pair = has ? team : 0;
  unsigned long long query = (first + pair) / row_count, row = (first + pair) % row_count;
  unsigned columns = row_tiles * TILE_COLUMNS, tiles = query_tiles * row_tiles;
  const unsigned char *own_row = rows + row * columns;
  const unsigned char *own_query = queries + query * query_tiles * QUERY_SLOT;
  int *own_edge = edge + (unsigned long long)pair * columns * 3;
  int gap = open - extend;
  int before = (int)(threadIdx.x % 32) - 1;
  for (unsigned strip = 0; strip < query_tiles; strip++) {
    unsigned symbol[OWN];
    int h[OWN], e[OWN], diagonal = 0;
#pragma unroll
    for (int k = 0; k < OWN; k++) {
      symbol[k] = own_query[strip * QUERY_SLOT + t * OWN + k] % 32;
      h[k] = e[k] = 0;
    }
    int down_h = 0, down_f = 0, down_c = 0, last_h = 0, last_c = 0;
    unsigned down_s = 0, digest = 0;
    for (unsigned step = 0; step < columns + TEAM - 1; step++) {
      int up_h = __shfl_sync(0xffffffffu, down_h, before), f = __shfl_sync(0xffffffffu, down_f, before);
      int c = __shfl_sync(0xffffffffu, down_c, before);
      unsigned s = __shfl_sync(0xffffffffu, down_s, before);
      if (step < t || step - t >= columns) continue;
      unsigned j = step - t, inside = j % TILE_COLUMNS;
      if (t == 0) {
        s = 0;
        up_h = f = c = 0;
        if (strip > 0) up_h = own_edge[3 * j], f = own_edge[3 * j + 1], c = own_edge[3 * j + 2];
      }
      unsigned code = own_row[j] % 32;
      if (code == SEPARATOR) {
#pragma unroll
        for (int k = 0; k < OWN; k++) h[k] = e[k] = 0;
        up_h = f = c = 0;
        s = 0;
      } else {
#pragma unroll
        for (int k = 0; k < OWN; k++) {
          int value = align_max(align_max(diagonal + scores[symbol[k]][code], e[k]), f);
          diagonal = h[k];
          h[k] = value;
          s += (unsigned)value;
          c = align_max(c, value);
          int opened = value - gap;
          e[k] = align_less(align_max(e[k], opened), extend);
          f = align_less(align_max(f, opened), extend);
        }
      }
      diagonal = up_h;
      down_h = h[OWN - 1], down_f = f, down_c = c, down_s = s;
      if (t == TEAM - 1 && has) own_edge[3 * j] = down_h, own_edge[3 * j + 1] = f, own_edge[3 * j + 2] = c;
      if (!has || (t < TEAM - 1 && inside < TILE_COLUMNS - 1)) continue;
      // Stages before this tile's have stage_tiles tiles of every pair each.
      unsigned tile = strip * row_tiles + j / TILE_COLUMNS, stage = tile / stage_tiles;
      unsigned in_stage = tiles - stage * stage_tiles < stage_tiles ? tiles - stage * stage_tiles : stage_tiles;
      unsigned long long leaf = (unsigned long long)pairs * stage * stage_tiles +
                                (unsigned long long)pair * in_stage + tile % stage_tiles;
      unsigned char *to = out + leaf * TILE_BYTES;
      unsigned *head = (unsigned *)to;
      if (t == TEAM - 1) {
        if (inside == 0) {
          digest = 0, last_h = down_h, last_c = c;
          head[1] = (unsigned)down_h, head[2] = (unsigned)c;
        }
        digest = digest * DIGEST_FACTOR + (s & 0xffffu);
        bool reset = code == SEPARATOR;
        to[BOTTOM_H + inside] = (unsigned char)(reset ? RESET : down_h - last_h);
        to[BOTTOM_F + inside] = (unsigned char)(f - align_less(down_h, open));
        to[BEST_H + inside] = (unsigned char)(reset ? RESET : c - last_c);
        last_h = down_h, last_c = c;
      }
      if (inside == TILE_COLUMNS - 1) {
        if (t == 0) head[0] = (unsigned)up_h;
        if (t == TEAM - 1) head[3] = digest;
        int above = up_h;
#pragma unroll
        for (int k = 0; k < OWN; k++) {
          to[RIGHT_H + t * OWN + k] = (unsigned char)(h[k] - above);
          to[RIGHT_E + t * OWN + k] = (unsigned char)(e[k] - align_less(h[k], open));
          above = h[k];
        }
      }
    }
    __syncwarp();
  }
}
