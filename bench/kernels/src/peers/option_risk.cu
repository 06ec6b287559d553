// Options along random paths as one would write it first: a thread for each path, floats, Philox and Box-Muller. The same
// shape as the example of the kernel `option_risk` (5 assets, 63 steps, 7 positions), not the same arithmetic.

#define ASSETS 5
#define STEPS 63

__device__ void philox(unsigned path, unsigned block, unsigned key, unsigned* out) {
    unsigned c0 = path, c1 = block, c2 = 0, c3 = 0, k0 = key, k1 = 0;
    for (int round = 0; round < 10; round++) {
        unsigned high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        unsigned high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ k0, c1 = low1, c2 = high0 ^ c3 ^ k1, c3 = low0;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

__device__ void normals(unsigned path, unsigned step, unsigned key, float* out) {
    for (unsigned half = 0; half < 2; half++) {
        unsigned bits[4];
        philox(path, 2 * step + half, key, bits);
        for (int pair = 0; pair < 2; pair++) {
            float u = (bits[2 * pair] + 0.5f) * 2.3283064e-10f, v = (bits[2 * pair + 1] + 0.5f) * 2.3283064e-10f;
            float radius = sqrtf(-2.0f * logf(u)), sine, cosine;
            sincosf(6.2831853f * v, &sine, &cosine);
            out[4 * half + 2 * pair] = radius * cosine, out[4 * half + 2 * pair + 1] = radius * sine;
        }
    }
}

__device__ float call(float price, float strike) { return fmaxf(price - strike, 0.0f); }

// spot, drift of a step and the factors of a step (lower triangle) for each asset.
extern "C" __global__ void paths(float* values, unsigned count, unsigned key, const float* spot, const float* drift,
                                 const float* factors) {
    unsigned path = blockIdx.x * blockDim.x + threadIdx.x;
    if (path >= count) return;
    float at[ASSETS] = {0}, early = 0, average = 0, lowest = 1e30f;
    for (unsigned step = 0; step < STEPS; step++) {
        float z[8];
        normals(path, step, key, z);
        for (int asset = 0; asset < ASSETS; asset++) {
            float move = drift[asset];
            for (int factor = 0; factor <= asset; factor++) move += factors[asset * ASSETS + factor] * z[factor];
            at[asset] += move;
        }
        average += spot[3] * expf(at[3]);
        lowest = fminf(lowest, at[2]);
        if (step == STEPS / 3) early = call(spot[1] * expf(at[1]), 240.0f);
    }
    float price[ASSETS];
    for (int asset = 0; asset < ASSETS; asset++) price[asset] = spot[asset] * expf(at[asset]);
    float value = 200.0f * early + 100.0f * call(560.0f, price[0]) - 300.0f * call(average / STEPS, 150.0f);
    value += spot[2] * expf(lowest) > 380.0f ? 150.0f * call(price[2], 420.0f) : 0.0f;
    value += 40.0f * call(700.0f, price[1] + 0.5f * price[2] + 2.0f * price[3]) + 50.0f * (price[4] - 245.0f);
    value += price[0] > 600.0f ? 1000.0f : 0.0f;
    values[path] = value * 0.99f;
}
