//! Several paths at a time, number by number side by side, in loops that the compiler turns into vectors.

use super::Params;
use super::model::{AVERAGE, BARRIER, CALL, DOWN, FORWARD, IN, Model, PRICE_BITS, PUT, Position, WEIGHT_BITS};
use super::params::{AVERAGES, MAX_ASSETS, MAX_POSITIONS};
use super::path::mix;
use super::pieces::{PER_OCTAVE, PIECES, POWERS, Piece};
use super::random::{LOG_RANGE, M, ROUNDS, T_BITS, W};

/// The table in one place.
static TABLE: [Piece; PIECES.len()] = PIECES;
/// Paths at a time.
pub const LANES: usize = 16;

/// A number of each path.
type Lanes<T> = [T; LANES];

/// What some paths give.
#[derive(Clone, Debug)]
pub struct Made {
    /// Values of the portfolio.
    pub values: Lanes<i64>,
    /// Digests.
    pub digests: Lanes<u64>,
    /// Payoffs, position by position.
    pub payoffs: [Lanes<i64>; MAX_POSITIONS],
    /// What the assets have come to: a place for it, which is not cleared for each run.
    state: State,
}

impl Default for Made {
    fn default() -> Self {
        let state = State {
            logs: [[0; LANES]; MAX_ASSETS],
            high: [[0; LANES]; MAX_ASSETS],
            low: [[0; LANES]; MAX_ASSETS],
            rounded: [[0; LANES]; MAX_ASSETS],
            prices: [[0; LANES]; MAX_ASSETS],
            sums: [[0; LANES]; MAX_ASSETS],
            drawn: [[0; LANES]; MAX_ASSETS],
        };
        Self { values: [0; LANES], digests: [0; LANES], payoffs: [[0; LANES]; MAX_POSITIONS], state }
    }
}

/// Runs the paths from `first` on, one for each lane.
pub type RunFn = fn(&Params, &Model, u64, &mut Made);

/// The fastest way that this processor has.
pub fn best() -> RunFn {
    all().pop().unwrap_or(plain)
}

/// All ways that this processor has, the fastest last.
pub fn all() -> Vec<RunFn> {
    let mut all: Vec<RunFn> = vec![plain];
    #[cfg(target_arch = "x86_64")]
    {
        use std::is_x86_feature_detected as has;
        if has!("avx2") {
            // SAFETY: only where the processor has AVX2.
            all.push(|params, model, first, made| unsafe { with_avx2(params, model, first, made) });
        }
        if has!("avx512f") && has!("avx512dq") && has!("avx512vl") && has!("avx512cd") && has!("avx512bw") {
            // SAFETY: only where the processor has these parts of AVX-512.
            all.push(|params, model, first, made| unsafe { with_avx512(params, model, first, made) });
        }
    }
    all
}

fn plain(params: &Params, model: &Model, first: u64, made: &mut Made) {
    run(params, model, first, made);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2(params: &Params, model: &Model, first: u64, made: &mut Made) {
    run(params, model, first, made);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512cd,avx512bw")]
fn with_avx512(params: &Params, model: &Model, first: u64, made: &mut Made) {
    run(params, model, first, made);
}

/// What the assets of all lanes have come to; see the reference's `Asset`.
#[derive(Clone, Debug)]
struct State {
    logs: [Lanes<i64>; MAX_ASSETS],
    high: [Lanes<i32>; MAX_ASSETS],
    low: [Lanes<i32>; MAX_ASSETS],
    rounded: [Lanes<i32>; MAX_ASSETS],
    prices: [Lanes<i64>; MAX_ASSETS],
    sums: [Lanes<i64>; MAX_ASSETS],
    drawn: [Lanes<i32>; MAX_ASSETS],
}

// Each step is one pass over arrays: that is what makes vectors of them. Every index is below its array's length: assets
// below MAX_ASSETS, lanes below LANES.
#[inline(always)]
fn run(params: &Params, model: &Model, first: u64, made: &mut Made) {
    let assets = usize::from(params.assets).min(MAX_ASSETS);
    let state = &mut made.state;
    for (asset, from) in model.assets.iter().enumerate().take(assets) {
        state.logs[asset] = [i64::from_le(from.start); LANES];
        (state.high[asset], state.low[asset]) = ([i32::MIN; LANES], [i32::MAX; LANES]);
        state.sums[asset] = [0; LANES];
    }
    let numbers: Lanes<u64> = core::array::from_fn(|lane| first.wrapping_add(lane as u64));
    let mut words = [[0u32; LANES]; 4];
    let (mut block, mut used) = (0u32, 4usize);
    let mut left = model.positions;
    made.values = [0; LANES];
    let mut payoffs = made.payoffs.iter_mut();
    for step in 1..=params.steps {
        for variates in state.drawn.iter_mut().take(assets) {
            if used == 4 {
                words = philox(params.seed, &numbers, block);
                block = block.wrapping_add(1);
                used = 0;
            }
            *variates = normals(&words[used]);
            used = used.wrapping_add(1);
        }
        let mut factors = model.factors;
        for (asset, from) in model.assets.iter().enumerate().take(assets) {
            let (row, rest) = factors.split_at_checked(asset.wrapping_add(1)).unwrap_or_default();
            factors = rest;
            let drift = i64::from_le(from.drift);
            let mut logs = state.logs[asset];
            for log in &mut logs {
                *log = log.wrapping_add(drift);
            }
            for (factor, variates) in row.iter().zip(&state.drawn) {
                let factor = i64::from(i32::from_le(*factor));
                for (log, variate) in logs.iter_mut().zip(variates) {
                    *log = log.wrapping_add(factor.wrapping_mul(i64::from(*variate)));
                }
            }
            state.logs[asset] = logs;
            for (lane, log) in logs.iter().enumerate() {
                let rounded = (log.wrapping_add(1 << 31) >> 32) as i32;
                state.rounded[asset][lane] = rounded;
                state.high[asset][lane] = state.high[asset][lane].max(rounded);
                state.low[asset][lane] = state.low[asset][lane].min(rounded);
            }
        }
        let due = |left: &[Position]| {
            left.first().is_some_and(|next| u16::from_le(next.expiry) <= step || step == params.steps)
        };
        if params.has(AVERAGES) || due(left) {
            for asset in 0..assets {
                state.prices[asset] = prices(&state.rounded[asset]);
                if params.has(AVERAGES) {
                    for lane in 0..LANES {
                        state.sums[asset][lane] = state.sums[asset][lane].wrapping_add(state.prices[asset][lane]);
                    }
                }
            }
        }
        while due(left) {
            let Some((position, rest)) = left.split_first() else { break };
            left = rest;
            let payoff = payoff(model, state, assets, position, step);
            let quantity = i64::from(i32::from_le(position.quantity));
            for (value, payoff) in made.values.iter_mut().zip(payoff) {
                let low = (payoff & 0xffff).wrapping_mul(quantity) >> 16;
                *value = value.wrapping_add((payoff >> 16).wrapping_mul(quantity)).wrapping_add(low);
            }
            if let Some(to) = payoffs.next() {
                *to = payoff;
            }
        }
    }
    made.digests = numbers;
    for asset in 0..assets {
        for lane in 0..LANES {
            let extremes = u64::from(state.high[asset][lane] as u32) << 32 | u64::from(state.low[asset][lane] as u32);
            let digest = mix(made.digests[lane], state.logs[asset][lane] as u64);
            made.digests[lane] = mix(mix(digest, state.sums[asset][lane] as u64), extremes);
        }
    }
}

#[inline(always)]
fn philox(seed: u64, numbers: &Lanes<u64>, block: u32) -> [Lanes<u32>; 4] {
    let mut c: [Lanes<u32>; 4] =
        [numbers.map(|number| number as u32), numbers.map(|number| (number >> 32) as u32), [block; LANES], [0; LANES]];
    let (mut k0, mut k1) = (seed as u32, (seed >> 32) as u32);
    for _ in 0..ROUNDS {
        let mut next = [[0; LANES]; 4];
        for lane in 0..LANES {
            let p0 = u64::from(c[0][lane]).wrapping_mul(u64::from(M[0]));
            let p1 = u64::from(c[2][lane]).wrapping_mul(u64::from(M[1]));
            next[0][lane] = (p1 >> 32) as u32 ^ c[1][lane] ^ k0;
            next[1][lane] = p1 as u32;
            next[2][lane] = (p0 >> 32) as u32 ^ c[3][lane] ^ k1;
            next[3][lane] = p0 as u32;
        }
        c = next;
        (k0, k1) = (k0.wrapping_add(W[0]), k1.wrapping_add(W[1]));
    }
    c
}

/// The cubics of these numbers in the table, at `t`.
#[inline(always)]
fn cubics(indices: &Lanes<u32>, t: &Lanes<u32>) -> Lanes<i32> {
    let mut c = [[0i32; LANES]; 4];
    for lane in 0..LANES {
        // At most 287.
        let piece = TABLE.get(indices[lane] as usize).copied().unwrap_or_default();
        for (to, from) in c.iter_mut().zip(piece) {
            to[lane] = from;
        }
    }
    let mut out = c[3];
    for c in [c[2], c[1], c[0]] {
        for lane in 0..LANES {
            // A cubic's values have 32 bits on the way, too.
            let product = i64::from(out[lane]).wrapping_mul(i64::from(t[lane] as i32));
            out[lane] = c[lane].wrapping_add((product as u64 >> T_BITS) as i32);
        }
    }
    out
}

#[inline(always)]
fn normals(words: &Lanes<u32>) -> Lanes<i32> {
    let (mut indices, mut t) = ([0u32; LANES], [0u32; LANES]);
    for lane in 0..LANES {
        let tail = (words[lane] << 1) | 1;
        let octave = tail.leading_zeros();
        let place = tail.wrapping_shl(octave);
        let eighth = (place >> T_BITS) & (PER_OCTAVE as u32).wrapping_sub(1);
        indices[lane] = octave.wrapping_mul(PER_OCTAVE as u32).wrapping_add(eighth);
        t[lane] = place & ((1 << T_BITS) - 1);
    }
    let mut out = cubics(&indices, &t);
    for (size, word) in out.iter_mut().zip(words) {
        // All ones where the sign is set.
        let sign = (*word as i32) >> 31;
        *size = (*size ^ sign).wrapping_sub(sign);
    }
    out
}

#[inline(always)]
fn prices(logs: &Lanes<i32>) -> Lanes<i64> {
    let (mut indices, mut t, mut down) = ([0u32; LANES], [0u32; LANES], [0u32; LANES]);
    for lane in 0..LANES {
        let log = logs[lane].clamp(LOG_RANGE.0 as i32, LOG_RANGE.1 as i32);
        indices[lane] = (POWERS as u32).wrapping_add((log >> 19) as u32 & 31);
        t[lane] = (log as u32 & ((1 << 19) - 1)) << (T_BITS - 19);
        down[lane] = 19i32.wrapping_sub(log >> 24) as u32;
    }
    let powers = cubics(&indices, &t);
    let mut out = [0i64; LANES];
    for lane in 0..LANES {
        out[lane] = ((i64::from(powers[lane]) << 9) as u64).wrapping_shr(down[lane]) as i64;
    }
    out
}

#[inline(always)]
fn payoff(model: &Model, state: &State, assets: usize, position: &Position, step: u16) -> Lanes<i64> {
    let average = position.style & AVERAGE != 0;
    let reached = |asset: usize| {
        let last = state.prices.get(asset).filter(|_| asset < assets).copied().unwrap_or([0; LANES]);
        let sums = state.sums.get(asset).filter(|_| asset < assets).copied().unwrap_or([0; LANES]);
        if average { sums.map(|sum| (sum as u64).checked_div(u64::from(step)).unwrap_or(0) as i64) } else { last }
    };
    let number = usize::from(position.underlying);
    let underlying = match number.checked_sub(assets) {
        None => reached(number),
        Some(basket) => {
            let weights = model.weights.chunks_exact(assets.max(1)).nth(basket).unwrap_or_default();
            let mut sum = [0i64; LANES];
            for (asset, weight) in weights.iter().enumerate() {
                let weight = i64::from(i32::from_le(*weight));
                for (sum, reached) in sum.iter_mut().zip(reached(asset)) {
                    *sum = sum.wrapping_add(weight.wrapping_mul(reached));
                }
            }
            sum.map(|sum| sum >> WEIGHT_BITS)
        }
    };
    let strike = i64::from_le(position.strike);
    let mut out = underlying.map(|underlying| {
        let above = underlying.wrapping_sub(strike);
        match position.kind & 3 {
            CALL => above.max(0),
            PUT => above.wrapping_neg().max(0),
            FORWARD => above,
            _ => i64::from(above > 0) << PRICE_BITS,
        }
    });
    if position.style & BARRIER != 0 {
        let (barrier, wanted) = (i32::from_le(position.barrier), position.style & IN != 0);
        let watched = usize::from(position.watched);
        for (lane, payoff) in out.iter_mut().enumerate() {
            let touched = watched < assets
                && if position.style & DOWN != 0 {
                    state.low[watched][lane] <= barrier
                } else {
                    state.high[watched][lane] >= barrier
                };
            if touched != wanted {
                *payoff = 0;
            }
        }
    }
    out
}
