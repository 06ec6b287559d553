//! `option_risk` on all cores: runs of cells side by side, and in each of them sixteen paths at a time.

use core::ops::Range;

use rayon::prelude::*;

use super::Params;
use super::lanes::{self, LANES, Made, RunFn};
use super::model::{self, Model};
use super::params::MAX_POSITIONS;

/// Cells of a run: a whole number of times [`LANES`] paths, however many a cell has.
const RUN: usize = 64;

/// Writes the cells `range` of a job with this input to `out`.
pub(super) fn simulate(params: &Params, input: &[u8], range: Range<u64>, out: &mut [u8]) {
    simulate_by(lanes::best(), params, input, range, out);
}

pub(super) fn simulate_by(run: RunFn, params: &Params, input: &[u8], range: Range<u64>, out: &mut [u8]) {
    let words = model::words(input);
    let model = Model::new(params, &words);
    let cell_words = params.cell_words() as usize;
    let (out, _) = out.as_chunks_mut::<8>();
    let runs = out.par_chunks_mut(cell_words.saturating_mul(RUN)).enumerate();
    runs.for_each_init(Made::default, |made, (at, cells)| {
        let before = (at as u64).saturating_mul(RUN as u64);
        cells_of(run, params, &model, range.start.saturating_add(before), made, cells);
    });
}

/// Writes some cells, the first of them number `first`.
fn cells_of(run: RunFn, params: &Params, model: &Model, first: u64, made: &mut Made, out: &mut [[u8; 8]]) {
    let mut number = params.first_path(first);
    // None before the first path.
    let mut lane = LANES;
    for cell in out.chunks_mut(params.cell_words() as usize) {
        let Some((digest_at, rest)) = cell.split_first_mut() else { continue };
        let Some((values, totals)) = rest.split_at_mut_checked(usize::from(params.paths)) else { continue };
        let mut digest = 0;
        let mut sums = [0i64; MAX_POSITIONS];
        for place in values {
            if lane == LANES {
                run(params, model, number, made);
                lane = 0;
            }
            *place = made.values.get(lane).copied().unwrap_or(0).to_le_bytes();
            digest ^= made.digests.get(lane).copied().unwrap_or(0);
            if !totals.is_empty() {
                for (sum, payoffs) in sums.iter_mut().zip(&made.payoffs).take(totals.len()) {
                    *sum = sum.wrapping_add(payoffs.get(lane).copied().unwrap_or(0));
                }
            }
            lane = lane.saturating_add(1);
            number = number.wrapping_add(1);
        }
        *digest_at = digest.to_le_bytes();
        for (place, sum) in totals.iter_mut().zip(sums) {
            *place = sum.to_le_bytes();
        }
    }
}
