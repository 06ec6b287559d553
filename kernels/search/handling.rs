//! `search` in the hands of workers and renters: blocks of SHA-256 as work, and the best nonce of a result.

use std::borrow::Cow;
use std::fmt::Write;

use super::{CELL_BYTES, DOUBLE, MAX_MESSAGE_BYTES, MAX_SIZE, Params, REVERSED, SEGMENT, Search, WIDE, best_of};
use crate::abi::ParamError;
use crate::handling::{Fact, Format, Handling, Part, Trial, doubled};
use crate::kernel::Kernel;
use crate::random::Random;

/// Bytes of a block of SHA-256, and of the padding that a message has at least.
const BLOCK_BYTES: u64 = 64;
const PADDING_BYTES: u64 = 9;
/// Blocks of a link of the chain: 512 heads of four bytes, the link before, and padding.
const LINK_BLOCKS: u64 = 33;

impl Search {
    /// Whether these are the bytes of all cells.
    fn is_whole(params: &Params, result: &[u8]) -> bool {
        params.cells.checked_mul(u64::from(CELL_BYTES)) == Some(result.len() as u64)
    }
}

impl Handling for Search {
    /// Blocks of SHA-256. Those that end before the nonce begins are hashed once for all candidates.
    fn work_of_cost_one(&self, params: &[u8]) -> Result<u64, ParamError> {
        let params = Self::parse(params)?;
        let blocks = u64::from(params.len).saturating_add(PADDING_BYTES).div_ceil(BLOCK_BYTES);
        let shared = u64::from(params.nonce_at) / BLOCK_BYTES;
        let each = blocks.saturating_sub(shared).saturating_add(u64::from(params.has(DOUBLE)));
        Ok(params.segments().saturating_mul(SEGMENT.saturating_mul(each).saturating_add(LINK_BLOCKS)))
    }

    fn trial(&self, size: u32) -> Option<Trial> {
        // A block header, hashed twice.
        let cells = u64::from(doubled(16, size, 4_096)?);
        let header = Params::of(&[0x5a; 80])?;
        let search = Params { cells, flags: DOUBLE | REVERSED, size: 7, nonce_at: 76, ..header };
        Some(Trial::new(search.to_bytes(), []))
    }

    fn checks(&self) -> Vec<Trial> {
        // Nonces that run into a third word and into the next block, hashed twice; then the plainest search there is.
        let plain = Params::of(&[0xa5; 130]);
        let flags = DOUBLE | WIDE | REVERSED;
        let searches = plain.into_iter().flat_map(|plain| {
            let double = Params { flags, start: u64::MAX >> 9, cells: 9, size: 1, nonce_at: 59, ..plain };
            [double, Params { cells: 11, ..plain }]
        });
        searches.map(|search| Trial::new(search.to_bytes(), [])).collect()
    }

    fn random(&self, random: &mut Random) -> Option<Vec<u8>> {
        let flags = random.below(16) as u8;
        let wide = flags & WIDE != 0;
        let nonce = if wide { 8 } else { 4 };
        let len = random.between(nonce, MAX_MESSAGE_BYTES as u64);
        let message: Vec<u8> = (0..len).map(|_| random.bits() as u8).collect();
        let nonce_at = random.between(0, len.saturating_sub(nonce)) as u8;
        let (cells, size) = (random.small(1, 200), random.small(0, u64::from(MAX_SIZE)) as u8);
        let plain = Params { cells, flags, size, nonce_at, ..Params::of(&message)? };
        // Nonces at the end, around a carry into the next word, or anywhere.
        let last = if wide { u64::MAX } else { u64::from(u32::MAX) };
        let room = last.saturating_sub(plain.candidates().saturating_sub(1));
        let start = match random.below(3) {
            0 => room,
            1 => (1u64 << 32).saturating_sub(plain.candidates() / 2).min(room),
            _ => random.between(0, room.saturating_sub(1)),
        };
        Some(Params { start, ..plain }.to_bytes())
    }

    fn parts(&self, params: &[u8]) -> Result<Vec<Part>, ParamError> {
        Self::parse(params)?;
        Ok(vec![Part::new("cells", Format::Raw)])
    }

    fn content<'a>(&self, params: &[u8], part: &str, result: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let params = Self::parse(params).ok()?;
        (part == "cells" && Self::is_whole(&params, result)).then(|| result.into())
    }

    /// The best candidate. That it exists is computed here; that there is none better is what the draws are for.
    fn facts(&self, params: &[u8], result: &[u8]) -> Vec<Fact> {
        let Some(params) = Self::parse(params).ok().filter(|params| Self::is_whole(params, result)) else {
            return Vec::new();
        };
        let Some(best) = best_of(&params, result) else {
            let value = "the cell with the lowest score is wrong: its nonce does not have that score. Challenge it";
            return vec![Fact { name: "fault", value: value.to_owned() }];
        };
        let mut digest = String::new();
        for byte in params.score(&best.digest) {
            // Writing to a string does not fail.
            write!(digest, "{byte:02x}").unwrap_or_default();
        }
        vec![
            Fact { name: "candidates", value: params.candidates().to_string() },
            Fact { name: "best-nonce", value: best.nonce.to_string() },
            Fact { name: "best-score", value: digest },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::{Backend, Cpu};

    #[test]
    fn the_best_is_told_and_a_wrong_best_is_a_fault() {
        let params = Params { cells: 9, ..Params::of(&[0; 8]).unwrap() };
        let bytes = params.to_bytes();
        let mut result = Cpu.run(Search::ID, &bytes, &Default::default(), 0..2).unwrap();
        let facts = Search.facts(&bytes, &result);
        let best = best_of(&params, &result).unwrap();
        assert_eq!(facts[0], Fact { name: "candidates", value: "4608".into() });
        assert_eq!(facts[1], Fact { name: "best-nonce", value: best.nonce.to_string() });
        // The best of so many begins with a zero.
        assert!(facts[2].value.starts_with('0') && facts[2].value.len() == 64);
        result[..8].fill(0);
        assert_eq!(Search.facts(&bytes, &result)[0].name, "fault");
    }

    #[test]
    fn work_is_blocks() {
        let work = |len: usize, search: Params| {
            let search = Params { len: len as u8, ..search };
            Search.work_of_cost_one(&search.to_bytes()).unwrap()
        };
        let plain = Params::of(&[1; 200]).unwrap();
        assert_eq!(work(4, plain), 512 + 33);
        assert_eq!(work(55, plain), 512 + 33);
        assert_eq!(work(56, plain), 2 * 512 + 33);
        assert_eq!(work(80, Params { nonce_at: 76, flags: DOUBLE, ..plain }), 2 * 512 + 33);
        assert_eq!(work(80, Params { nonce_at: 0, flags: DOUBLE, size: 3, ..plain }), 8 * (3 * 512 + 33));
    }
}
