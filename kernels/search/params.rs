//! The params of a search: little-endian, 19 bytes and then the message.
//!
//! | byte | field | |
//! | --- | --- | --- |
//! | 0 | start u64 | the first nonce |
//! | 8 | cells u64 | cells of the job, 1 to 2^40 |
//! | 16 | flags u8 | [`DOUBLE`], [`WIDE`], [`BIG_ENDIAN`], [`REVERSED`] |
//! | 17 | size u8 | a cell has 512 x 2^size candidates, size 0 to 7 |
//! | 18 | nonce_at u8 | where the nonce begins in the message |
//! | 19 | message | at most 247 bytes, the nonce's own among them; what they hold does not matter |

use crate::abi::ParamError;
use crate::hash::{Hash, sha256};
use crate::kernel::answer_without_inputs;

use super::{CELL_BYTES, CELLS_PER_LEAF, put};

/// Flag: the hash is SHA-256 of the SHA-256 of the message, as in Bitcoin's block headers.
pub const DOUBLE: u8 = 1;
/// Flag: the nonce has eight bytes, not four.
pub const WIDE: u8 = 2;
/// Flag: the nonce stands in the message with its highest byte first, not last.
pub const BIG_ENDIAN: u8 = 4;
/// Flag: the score is the digest with its bytes reversed, as where a digest is a little-endian number (Bitcoin).
pub const REVERSED: u8 = 8;
/// Candidates of a segment, which the chain computes in one transaction.
pub const SEGMENT: u64 = 512;
/// Largest size: cells of 65,536 candidates, in 128 steps.
pub const MAX_SIZE: u8 = 7;
/// Most cells of a job.
pub const MAX_CELLS: u64 = 1 << 40;
/// Most bytes of a message: with its padding four blocks.
pub const MAX_MESSAGE_BYTES: usize = 247;
/// Bytes of the params before the message.
pub const HEADER_BYTES: usize = 19;

/// A search. As bytes: little-endian, start u64, cells u64, flags u8, size u8, nonce_at u8, and then the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// The first nonce.
    pub start: u64,
    /// Cells, each of `512 << size` candidates.
    pub cells: u64,
    /// Flags.
    pub flags: u8,
    /// Size of a cell, 0 to [`MAX_SIZE`].
    pub size: u8,
    /// Where the nonce begins in the message.
    pub nonce_at: u8,
    /// Bytes of the message, at most [`MAX_MESSAGE_BYTES`].
    pub len: u8,
    /// The message, then zeros.
    pub message: [u8; MAX_MESSAGE_BYTES],
}

impl Params {
    /// A search of the message as it stands from nonce 0 of four bytes at its front on, one cell of size 0: a base to
    /// fill in. `None` when the message is too long.
    pub fn of(message: &[u8]) -> Option<Self> {
        let mut place = [0; MAX_MESSAGE_BYTES];
        place.get_mut(..message.len())?.copy_from_slice(message);
        let len = u8::try_from(message.len()).ok()?;
        Some(Self { start: 0, cells: 1, flags: 0, size: 0, nonce_at: 0, len, message: place })
    }

    /// Writes the params as a job carries them to the front of `out` and returns their length; `None` when `out` is
    /// too small.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let message = self.used(&self.message);
        let len = HEADER_BYTES.checked_add(message.len())?;
        let fields = [self.flags, self.size, self.nonce_at];
        put(out.get_mut(..len)?, &[&self.start.to_le_bytes(), &self.cells.to_le_bytes(), &fields, message]);
        Some(len)
    }

    /// The params as a job carries them.
    #[cfg(feature = "std")]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES.saturating_add(MAX_MESSAGE_BYTES)];
        let len = self.write(&mut bytes).unwrap_or(0);
        bytes.truncate(len);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, ParamError> {
        let (start, rest) = bytes.split_first_chunk().ok_or(ParamError::Length)?;
        let (cells, rest) = rest.split_first_chunk().ok_or(ParamError::Length)?;
        let ([flags, size, nonce_at], message) = rest.split_first_chunk().ok_or(ParamError::Length)?;
        let base = Self::of(message).ok_or(ParamError::TooLarge)?;
        let params = Self {
            start: u64::from_le_bytes(*start),
            cells: u64::from_le_bytes(*cells),
            flags: *flags,
            size: *size,
            nonce_at: *nonce_at,
            ..base
        };
        params.check().map(|()| params)
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.cells == 0 {
            return Err(ParamError::Zero);
        }
        if self.flags & !(DOUBLE | WIDE | BIG_ENDIAN | REVERSED) != 0 || self.size > MAX_SIZE || self.cells > MAX_CELLS
        {
            return Err(ParamError::TooLarge);
        }
        let nonce_end = usize::from(self.nonce_at).saturating_add(self.nonce_bytes());
        if nonce_end > usize::from(self.len) {
            return Err(ParamError::TooLarge);
        }
        // Every candidate has a nonce of its own.
        let largest = if self.has(WIDE) { u64::MAX } else { u64::from(u32::MAX) };
        let last = self.candidates().checked_sub(1).and_then(|more| self.start.checked_add(more));
        last.filter(|last| *last <= largest).map(|_| ()).ok_or(ParamError::TooLarge)
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Bytes of the nonce in the message.
    pub fn nonce_bytes(&self) -> usize {
        if self.has(WIDE) { 8 } else { 4 }
    }

    /// Segments of a cell.
    pub fn segments(&self) -> u64 {
        Self::segments_of(self.size)
    }

    pub(super) fn segments_of(size: u8) -> u64 {
        1u64.checked_shl(u32::from(size)).unwrap_or(0)
    }

    /// Candidates of a cell.
    pub fn cell_candidates(&self) -> u64 {
        self.segments().saturating_mul(SEGMENT)
    }

    /// Candidates of the job.
    pub fn candidates(&self) -> u64 {
        // 2^40 times 2^16 at most.
        self.cells.saturating_mul(self.cell_candidates())
    }

    /// The first nonce of a cell's segment; exact for those that are in the job.
    pub(super) fn nonce(&self, cell: u64, segment: u64) -> u64 {
        let segment = cell.wrapping_mul(self.segments()).wrapping_add(segment);
        self.start.wrapping_add(segment.wrapping_mul(SEGMENT))
    }

    /// The bytes of the message that count.
    #[inline(always)]
    pub(super) fn used<'a>(&self, message: &'a [u8; MAX_MESSAGE_BYTES]) -> &'a [u8] {
        message.get(..usize::from(self.len)).unwrap_or(message)
    }

    /// Writes a nonce into a message.
    #[inline(always)]
    pub(super) fn set_nonce(&self, message: &mut [u8; MAX_MESSAGE_BYTES], nonce: u64) {
        let place = message.get_mut(usize::from(self.nonce_at)..).unwrap_or_default();
        if self.has(WIDE) {
            let bytes = if self.has(BIG_ENDIAN) { nonce.to_be_bytes() } else { nonce.to_le_bytes() };
            if let Some(place) = place.first_chunk_mut() {
                *place = bytes;
            }
        } else {
            let nonce = nonce as u32;
            let bytes = if self.has(BIG_ENDIAN) { nonce.to_be_bytes() } else { nonce.to_le_bytes() };
            if let Some(place) = place.first_chunk_mut() {
                *place = bytes;
            }
        }
    }

    /// The digest of the candidate with this nonce.
    pub fn hash(&self, nonce: u64) -> Hash {
        let mut message = self.message;
        self.set_nonce(&mut message, nonce);
        let once = sha256(&[self.used(&message)]);
        if self.has(DOUBLE) { sha256(&[&once]) } else { once }
    }

    /// What is compared of a digest, byte by byte from the first: the lower, the better.
    pub fn score(&self, digest: &Hash) -> Hash {
        let mut score = *digest;
        if self.has(REVERSED) {
            score.reverse();
        }
        score
    }
}

/// Transactions that proving a cell takes at most, in a job of so many cells and segments a cell.
pub(super) fn answer_transactions(cells: u64, segments: u64) -> u16 {
    let leaves = cells.div_ceil(u64::from(CELLS_PER_LEAF));
    answer_without_inputs(CELL_BYTES.wrapping_mul(CELLS_PER_LEAF), leaves, segments)
}
