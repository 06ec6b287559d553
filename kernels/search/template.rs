//! What all candidates of a job have in common, worked out once: the state after the blocks before the nonce, and the
//! blocks from there on with zeros where the nonce goes.

use super::{BIG_ENDIAN, DOUBLE, MAX_MESSAGE_BYTES, Params, REVERSED, WIDE};
use crate::hash::lanes::{self, INITIAL};

/// Bytes of a block of SHA-256.
const BLOCK_BYTES: usize = 64;
/// Most blocks of a message with its padding.
pub const MAX_BLOCKS: usize = 4;
const _: () = assert!(MAX_MESSAGE_BYTES + 9 == MAX_BLOCKS * BLOCK_BYTES);

/// The common part, as `search.cu` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Template {
    /// State after the blocks that end before the nonce begins.
    pub midstate: [u32; 8],
    /// The blocks from there on, padded; the nonce begins in the first of them.
    pub blocks: [[u32; 16]; MAX_BLOCKS],
    /// Blocks in use.
    pub len: u32,
    /// Word of the first block in which the nonce begins.
    pub word: u32,
    /// Bits of that word before the nonce: 0, 8, 16 or 24.
    pub shift: u32,
    /// The params' flags.
    pub flags: u32,
}

impl Template {
    /// The common part of a job's candidates.
    pub fn new(params: &Params) -> Self {
        let (nonce_at, nonce_bytes) = (usize::from(params.nonce_at), params.nonce_bytes());
        let mut bytes = [0u8; MAX_BLOCKS * BLOCK_BYTES];
        let message = params.used(&params.message);
        let bits = (message.len() as u64).wrapping_mul(8);
        for (place, byte) in bytes.iter_mut().zip(message.iter().chain([&0x80])) {
            *place = *byte;
        }
        bytes.iter_mut().skip(nonce_at).take(nonce_bytes).for_each(|byte| *byte = 0);
        // One byte ends the message, eight say how long it was.
        let used = message.len().saturating_add(9).div_ceil(BLOCK_BYTES);
        let (blocks, _) = bytes.as_chunks_mut::<BLOCK_BYTES>();
        if let Some(place) = blocks.get_mut(used.saturating_sub(1)).and_then(|block| block.last_chunk_mut()) {
            *place = bits.to_be_bytes();
        }
        let before = nonce_at / BLOCK_BYTES;
        let mut template = Self {
            midstate: INITIAL,
            blocks: [[0; 16]; MAX_BLOCKS],
            len: used.saturating_sub(before) as u32,
            word: (nonce_at % BLOCK_BYTES / 4) as u32,
            shift: (nonce_at % 4).wrapping_mul(8) as u32,
            flags: u32::from(params.flags),
        };
        let mut words = blocks.iter().take(used).map(words_of);
        for block in words.by_ref().take(before) {
            lanes::compress(&mut template.midstate, &block);
        }
        template.blocks.iter_mut().zip(words).for_each(|(place, block)| *place = block);
        template
    }

    /// The words that a nonce adds to the first block from `word` on, where they run into the second.
    #[inline(always)]
    pub(super) fn nonce_words(&self, nonce: u64) -> [u32; 3] {
        let (wide, big) = (self.has(WIDE), self.has(BIG_ENDIAN));
        let left = if wide { nonce } else { nonce << 32 };
        let bytes = match (big, wide) {
            (true, _) => left,
            (false, true) => nonce.swap_bytes(),
            (false, false) => u64::from((nonce as u32).swap_bytes()) << 32,
        };
        let moved = bytes.checked_shr(self.shift).unwrap_or(0);
        // What falls off at the right begins the next word; nothing where the nonce begins with a word.
        let rest = (bytes as u32).checked_shl(32u32.saturating_sub(self.shift)).unwrap_or(0);
        [(moved >> 32) as u32, moved as u32, rest]
    }

    /// Whether a candidate is hashed twice.
    pub(super) fn double(&self) -> bool {
        self.has(DOUBLE)
    }

    /// Whether the digest is compared from its last byte on.
    pub(super) fn reversed(&self) -> bool {
        self.has(REVERSED)
    }

    #[inline(always)]
    fn has(&self, flag: u8) -> bool {
        self.flags & u32::from(flag) != 0
    }
}

fn words_of(block: &[u8; BLOCK_BYTES]) -> [u32; 16] {
    let (words, _) = block.as_chunks::<4>();
    core::array::from_fn(|i| words.get(i).map_or(0, |word| u32::from_be_bytes(*word)))
}
