//! `search` on all cores: cells side by side, and in each of them eight or sixteen candidates at a time in vectors. Where
//! there are none, one after the other with what the library has, such as the processor's own instructions for SHA-256.

use core::ops::Range;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::template::Template;
use super::{CELL_BYTES, Params, Progress, SEGMENT};
use crate::hash::{Hash, sha256};

/// Writes the cells `range` of a job to `out`.
pub(super) fn search(params: &Params, range: Range<u64>, out: &mut [u8]) {
    let (job, run) = (Job::new(params), best_segment());
    let (cells, _) = out.as_chunks_mut::<{ CELL_BYTES as usize }>();
    cells.par_iter_mut().enumerate().for_each(|(at, place)| {
        let cell = range.start.saturating_add(at as u64);
        let mut progress = Progress::new(params.nonce(cell, 0));
        for index in 0..params.segments() {
            run(&job, params.nonce(cell, index), &mut progress);
        }
        *place = progress.cell().to_bytes();
    });
}

/// A job with what all of its candidates have in common.
pub(super) struct Job<'a> {
    params: &'a Params,
    template: Template,
    /// What lies in whole blocks before the nonce's, hashed.
    before: Sha256,
    /// How many bytes that is.
    skip: usize,
}

impl<'a> Job<'a> {
    pub(super) fn new(params: &'a Params) -> Self {
        let skip = usize::from(params.nonce_at) & !63;
        let before = Sha256::new_with_prefix(params.used(&params.message).get(..skip).unwrap_or_default());
        Self { params, template: Template::new(params), before, skip }
    }
}

/// [`segment`](super::segment) of a job.
type SegmentFn = fn(&Job, u64, &mut Progress);

/// A way to compute candidates, on one core.
pub struct Way {
    /// What it computes with.
    pub name: &'static str,
    segment: SegmentFn,
}

/// All ways that this processor has; executors take the last.
pub fn ways() -> Vec<Way> {
    let way = |name, segment| Way { name, segment };
    let mut ways = vec![way("the library", segment as SegmentFn)];
    ways.extend(avx2_segment().map(|segment| way("AVX2", segment)));
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx512f") {
        ways.push(way("AVX-512F", best_segment()));
    }
    ways
}

impl Way {
    /// The digest and the best of the first `segments` of a cell, each of [`SEGMENT`] candidates.
    pub fn cell(&self, params: &Params, segments: u64) -> [u8; CELL_BYTES as usize] {
        let (job, mut progress) = (Job::new(params), Progress::new(params.nonce(0, 0)));
        for index in 0..segments {
            (self.segment)(&job, params.nonce(0, index), &mut progress);
        }
        progress.cell().to_bytes()
    }
}

/// The fastest that this processor has.
fn best_segment() -> SegmentFn {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx512f") {
        return |job, first, progress| {
            // SAFETY: this closure is returned only where the processor has AVX-512F.
            unsafe { wide::segment_avx512(&job.template, first, progress) }
        };
    }
    avx2_segment().unwrap_or(segment)
}

/// With vectors of 256 bits, where the processor has them.
fn avx2_segment() -> Option<SegmentFn> {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        return Some(|job, first, progress| {
            // SAFETY: this closure is returned only where the processor has AVX2.
            unsafe { wide::segment_avx2(&job.template, first, progress) }
        });
    }
    None
}

/// One candidate after the other, as fast as the library's SHA-256 is on this processor.
fn segment(job: &Job, first: u64, progress: &mut Progress) {
    let mut message = job.params.message;
    let mut heads = [[0; 4]; SEGMENT as usize];
    for (head, nonce) in heads.iter_mut().zip(0..) {
        let nonce = first.wrapping_add(nonce);
        job.params.set_nonce(&mut message, nonce);
        let mut hasher = job.before.clone();
        hasher.update(job.params.used(&message).get(job.skip..).unwrap_or_default());
        let mut digest: Hash = hasher.finalize().into();
        if job.template.double() {
            digest = sha256(&[&digest]);
        }
        *head = digest.first_chunk().copied().unwrap_or_default();
        keep(job.params.score(&digest), nonce, progress);
    }
    progress.chain = sha256(&[heads.as_flattened(), &progress.chain]);
}

#[inline(always)]
fn keep(score: Hash, nonce: u64, progress: &mut Progress) {
    if score < progress.score {
        (progress.score, progress.nonce) = (score, nonce);
    }
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::super::template::Template;
    use super::{Progress, SEGMENT, keep, sha256};
    use crate::hash::lanes::{INITIAL, compress};
    use crate::hash::simd::{Eight, Sixteen, Vector};

    /// The candidates from `first` on, sixteen at a time.
    #[target_feature(enable = "avx512f")]
    pub(super) fn segment_avx512(template: &Template, first: u64, progress: &mut Progress) {
        segment::<Sixteen, 16>(template, first, progress);
    }

    /// The candidates from `first` on, eight at a time.
    #[target_feature(enable = "avx2")]
    pub(super) fn segment_avx2(template: &Template, first: u64, progress: &mut Progress) {
        segment::<Eight, 8>(template, first, progress);
    }

    #[inline(always)]
    fn segment<V: Vector<L>, const L: usize>(template: &Template, first: u64, progress: &mut Progress) {
        let mut heads = [[0; 4]; SEGMENT as usize];
        for (heads, group) in heads.as_chunks_mut::<L>().0.iter_mut().zip(0u64..) {
            let nonce = first.wrapping_add(group.wrapping_mul(L as u64));
            let state = hashes::<V, L>(template, nonce);
            *heads = state[0].map(u32::to_be_bytes);
            keep_best(template, nonce, &state, progress);
        }
        progress.chain = sha256(&[heads.as_flattened(), &progress.chain]);
    }

    /// The digests of the candidates from `nonce` on, word by word.
    #[inline(always)]
    fn hashes<V: Vector<L>, const L: usize>(template: &Template, nonce: u64) -> [[u32; L]; 8] {
        let mut words = [[0; L]; 3];
        for lane in 0..L {
            let added = template.nonce_words(nonce.wrapping_add(lane as u64));
            for (place, word) in words.iter_mut().zip(added) {
                place[lane] = word;
            }
        }
        let mut state = template.midstate.map(V::all);
        let mut place = template.word as usize;
        for block in template.blocks.iter().take(template.len as usize) {
            let mut w = block.map(V::all);
            for (i, words) in words.iter().enumerate() {
                // What does not find its place is in another block.
                let at = place.wrapping_add(i);
                if let (Some(to), Some(common)) = (w.get_mut(at), block.get(at)) {
                    *to = V::new(words.map(|word| word | common));
                }
            }
            place = place.wrapping_sub(16);
            compress(&mut state, &w);
        }
        if template.double() {
            let [a, b, c, d, e, f, g, h] = state;
            let (end, zero, bits) = (V::all(0x8000_0000), V::all(0), V::all(256));
            state = INITIAL.map(V::all);
            compress(&mut state, &[a, b, c, d, e, f, g, h, end, zero, zero, zero, zero, zero, zero, bits]);
        }
        state.map(V::words)
    }

    #[inline(always)]
    fn keep_best<const L: usize>(template: &Template, nonce: u64, state: &[[u32; L]; 8], progress: &mut Progress) {
        let [s0, s1, s2, s3, ..] = progress.score;
        let lowest = u32::from_be_bytes([s0, s1, s2, s3]);
        let leading = if template.reversed() { state[7].map(u32::swap_bytes) } else { state[0] };
        if !leading.iter().any(|word| *word <= lowest) {
            return;
        }
        for lane in (0..L).filter(|lane| leading[*lane] <= lowest) {
            let mut score = [0; 32];
            for (place, word) in score.as_chunks_mut::<4>().0.iter_mut().zip(state) {
                *place = word[lane].to_be_bytes();
            }
            if template.reversed() {
                score.reverse();
            }
            keep(score, nonce.wrapping_add(lane as u64), progress);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::any_params;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn every_way_is_the_reference(params in any_params(), chain in any::<Hash>(), near in any::<bool>()) {
            let (job, first) = (Job::new(&params), params.nonce(params.cells - 1, params.segments() - 1));
            // A score that few candidates beat, or every one.
            let score = if near { [0xff; 32] } else { params.score(&params.hash(first ^ 5)) };
            let before = Progress { chain, score, nonce: 77 };
            let run = |of: SegmentFn| {
                let mut progress = before;
                of(&job, first, &mut progress);
                progress
            };
            let mut expected = before;
            super::super::segment(&params, first, &mut expected);
            for way in [Some(segment as SegmentFn), avx2_segment(), Some(best_segment())].into_iter().flatten() {
                prop_assert_eq!(run(way), expected);
            }
        }
    }
}
