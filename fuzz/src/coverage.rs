//! What libFuzzer sees: edges between basic blocks of the settlement program as it was built for the chain, and which
//! instruction ended how in which state.

use crate::stats;
use std::hash::{DefaultHasher, Hash, Hasher};

const EDGES: usize = 1 << 17;
const OUTCOMES: usize = 1 << 14;

/// libFuzzer takes every byte of this section for a counter, beside (here: instead of) its compiler's own.
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static mut COUNTERS: [u8; EDGES + OUTCOMES] = [0; EDGES + OUTCOMES];

fn hit(at: usize) {
    let counters = (&raw mut COUNTERS).cast::<u8>();
    // SAFETY: `at` is below the length (both callers take a remainder), and only the fuzzing thread runs this.
    unsafe {
        let counter = counters.add(at);
        *counter = (*counter).saturating_add(1);
    }
}

/// Counts the jumps of one run of the program.
pub fn trace(counters: impl Iterator<Item = u64>) {
    stats::change(|stats| {
        let mut last = 0u64;
        for counter in counters {
            stats.counter(counter);
            if counter != last.wrapping_add(1) {
                let edge = last.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)
                    ^ counter.wrapping_mul(0xff51_afd7_ed55_8ccd);
                let place = (edge >> 40) as usize % EDGES;
                hit(place);
                stats.edge(place);
            }
            last = counter;
        }
    });
}

/// Counts how something ended.
pub fn outcome(what: &impl Hash) {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hit(EDGES + hasher.finish() as usize % OUTCOMES);
}
