//! A request's bytes: written by the caller, read in place by the verifier.

use super::{ABI, AbiError, HEADER_BYTES, IN_EVIDENCE, MAX_INPUTS, OPENING_BYTES, Op, SOURCE_LEAVES, STEP_STATE_BYTES};
use crate::merkle::CHUNK_BYTES;

/// Where the bytes of one authenticated run lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Input 0 to 3, or [`SOURCE_LEAVES`].
    pub source: u8,
    /// First chunk of an input, or job-wide index of the leaf that the bytes begin with.
    pub start: u64,
    /// Bytes.
    pub len: u32,
    /// Offset into the inline bytes or, with [`IN_EVIDENCE`] set, into the evidence account's data.
    pub at: u32,
}

impl Opening {
    /// The opening's bytes in a request.
    pub fn to_bytes(&self) -> [u8; OPENING_BYTES] {
        let mut out = [0; OPENING_BYTES];
        let [source, start @ .., l0, l1, l2, l3, a0, a1, a2, a3] = &mut out;
        *source = self.source;
        *start = self.start.to_le_bytes();
        [*l0, *l1, *l2, *l3] = self.len.to_le_bytes();
        [*a0, *a1, *a2, *a3] = self.at.to_le_bytes();
        out
    }

    /// The opening in these bytes.
    pub fn from_bytes(bytes: &[u8; OPENING_BYTES]) -> Self {
        let [source, start @ .., l0, l1, l2, l3, a0, a1, a2, a3] = bytes;
        Self {
            source: *source,
            start: u64::from_le_bytes(*start),
            len: u32::from_le_bytes([*l0, *l1, *l2, *l3]),
            at: u32::from_le_bytes([*a0, *a1, *a2, *a3]),
        }
    }

    /// Whether the bytes lie in the evidence account.
    pub fn in_evidence(&self) -> bool {
        self.at & IN_EVIDENCE != 0
    }

    /// Offset without the bit that says where.
    pub fn offset(&self) -> u32 {
        self.at & !IN_EVIDENCE
    }
}

/// Writes header and params to the front of `out` and returns the bytes used. The `count` openings follow
/// ([`Opening::to_bytes`]), then the inline bytes. `None` when `out` or the field for the length is too small.
pub fn encode_header(
    out: &mut [u8],
    op: Op,
    kernel: u16,
    params: &[u8],
    count: u16,
    leaf: u64,
    cell: u32,
) -> Option<usize> {
    let params_len = u16::try_from(params.len()).ok()?;
    let used = HEADER_BYTES.checked_add(params.len())?;
    let (header, rest) = out.get_mut(..used)?.split_first_chunk_mut::<HEADER_BYTES>()?;
    let [abi, code, k0, k1, p0, p1, c0, c1, leaf_at @ .., i0, i1, i2, i3] = header;
    *abi = ABI;
    *code = op as u8;
    [*k0, *k1] = kernel.to_le_bytes();
    [*p0, *p1] = params_len.to_le_bytes();
    [*c0, *c1] = count.to_le_bytes();
    *leaf_at = leaf.to_le_bytes();
    [*i0, *i1, *i2, *i3] = cell.to_le_bytes();
    rest.copy_from_slice(params);
    Some(used)
}

/// A request in place.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is asked.
    pub op: Op,
    /// Number of the kernel in this verifier.
    pub kernel: u16,
    /// Job-wide leaf index.
    pub leaf: u64,
    /// Cell inside the leaf.
    pub cell: u32,
    /// The job's params.
    pub params: &'a [u8],
    /// Bytes after the openings.
    pub inline: &'a [u8],
    /// Data of the evidence account; empty without one.
    pub evidence: &'a [u8],
    openings: &'a [[u8; OPENING_BYTES]],
}

impl<'a> Request<'a> {
    /// Reads a request and checks that every opening lies inside of the data.
    ///
    /// # Errors
    /// [`AbiError::Truncated`], [`Version`](AbiError::Version), [`UnknownOp`](AbiError::UnknownOp),
    /// [`Source`](AbiError::Source) and [`OutOfBounds`](AbiError::OutOfBounds).
    pub fn parse(data: &'a [u8], evidence: &'a [u8]) -> Result<Self, AbiError> {
        let (header, rest) = data.split_first_chunk::<HEADER_BYTES>().ok_or(AbiError::Truncated)?;
        let [abi, code, k0, k1, p0, p1, c0, c1, leaf @ .., i0, i1, i2, i3] = header;
        if *abi != ABI {
            return Err(AbiError::Version);
        }
        let op = Op::from_code(*code).ok_or(AbiError::UnknownOp)?;
        let params_len = usize::from(u16::from_le_bytes([*p0, *p1]));
        let count = usize::from(u16::from_le_bytes([*c0, *c1]));
        let (params, rest) = rest.split_at_checked(params_len).ok_or(AbiError::Truncated)?;
        let openings_len = count.checked_mul(OPENING_BYTES).ok_or(AbiError::Truncated)?;
        let (openings, inline) = rest.split_at_checked(openings_len).ok_or(AbiError::Truncated)?;
        let (openings, _) = openings.as_chunks::<OPENING_BYTES>();
        let request = Self {
            op,
            kernel: u16::from_le_bytes([*k0, *k1]),
            leaf: u64::from_le_bytes(*leaf),
            cell: u32::from_le_bytes([*i0, *i1, *i2, *i3]),
            params,
            inline,
            evidence,
            openings,
        };
        for opening in request.openings() {
            if usize::from(opening.source) >= MAX_INPUTS && opening.source != SOURCE_LEAVES {
                return Err(AbiError::Source);
            }
            request.bytes_of(&opening)?;
        }
        Ok(request)
    }

    /// The openings, in the order in which they came.
    pub fn openings(&self) -> Openings<'a> {
        Openings { left: self.openings.iter() }
    }

    /// The bytes of an opening.
    ///
    /// # Errors
    /// [`AbiError::OutOfBounds`].
    pub fn bytes_of(&self, opening: &Opening) -> Result<&'a [u8], AbiError> {
        let from = if opening.in_evidence() { self.evidence } else { self.inline };
        let start = usize::try_from(opening.offset()).map_err(|_| AbiError::OutOfBounds)?;
        let len = usize::try_from(opening.len).map_err(|_| AbiError::OutOfBounds)?;
        from.get(start..).and_then(|rest| rest.get(..len)).ok_or(AbiError::OutOfBounds)
    }

    /// Of a `step`: how many are done, and the state that the last one left.
    ///
    /// # Errors
    /// [`AbiError::Truncated`].
    pub fn progress(&self) -> Result<(u64, &'a [u8; STEP_STATE_BYTES]), AbiError> {
        let (done, rest) = self.inline.split_first_chunk().ok_or(AbiError::Truncated)?;
        Ok((u64::from_le_bytes(*done), rest.first_chunk().ok_or(AbiError::Truncated)?))
    }

    /// `len` bytes at `byte_off` after the beginning of chunk (or leaf) `start_unit`, all from one opening.
    ///
    /// Chunks are [`CHUNK_BYTES`] each, so an opening of several chunks covers all that lies in it. Leaves have no
    /// fixed size: only an opening that begins with leaf `start_unit` covers anything of it.
    ///
    /// # Errors
    /// [`AbiError::MissingOpening`] when no single opening covers it. What may be spread over several openings is
    /// read in [`pieces`](Self::pieces).
    pub fn read(&self, source: u8, start_unit: u64, byte_off: u64, len: usize) -> Result<&'a [u8], AbiError> {
        self.openings()
            .find_map(|opening| self.covered(&opening, source, start_unit, byte_off)?.get(..len))
            .ok_or(AbiError::MissingOpening)
    }

    /// The bytes of leaves from leaf `first` on, each out of the longest opening that begins with it; empty where there is
    /// none. Looks at every opening once, where [`read`](Self::read) would do so for each leaf.
    pub fn leaves<const N: usize>(&self, first: u64) -> [&'a [u8]; N] {
        let mut leaves: [&'a [u8]; N] = [&[]; N];
        for opening in self.openings() {
            if opening.source != SOURCE_LEAVES {
                continue;
            }
            let index = opening.start.checked_sub(first).and_then(|index| usize::try_from(index).ok());
            let Some(place) = index.and_then(|index| leaves.get_mut(index)) else { continue };
            let bytes = self.bytes_of(&opening).unwrap_or_default();
            if bytes.len() > place.len() {
                *place = bytes;
            }
        }
        leaves
    }

    /// Reads what may be spread over several openings, from the beginning of chunk `start_unit` on.
    pub fn pieces(&self, source: u8, start_unit: u64) -> Pieces<'a> {
        Pieces { request: *self, source, start_unit, done: 0, at: 0 }
    }

    /// What an opening has from the given place on, if it reaches it.
    fn covered(&self, opening: &Opening, source: u8, start_unit: u64, byte_off: u64) -> Option<&'a [u8]> {
        if opening.source != source {
            return None;
        }
        let skip = if source == SOURCE_LEAVES {
            (opening.start == start_unit).then_some(byte_off)?
        } else {
            let position = start_unit.checked_mul(CHUNK_BYTES as u64)?.checked_add(byte_off)?;
            position.checked_sub(opening.start.checked_mul(CHUNK_BYTES as u64)?)?
        };
        self.bytes_of(opening).ok()?.get(usize::try_from(skip).ok()?..)
    }
}

/// Consecutive bytes of one source, opening by opening.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    request: Request<'a>,
    source: u8,
    start_unit: u64,
    /// Bytes read so far.
    done: u64,
    /// Index of the opening that covered the last byte. The next one usually follows it, so the search begins there:
    /// hundreds of openings must not cost a search through all of them for every piece.
    at: usize,
}

impl<'a> Pieces<'a> {
    /// The next bytes: at most `max_len`, as many as one opening has, at least one unless `max_len` is 0.
    ///
    /// # Errors
    /// [`AbiError::MissingOpening`] when no opening covers the next byte.
    pub fn next(&mut self, max_len: usize) -> Result<&'a [u8], AbiError> {
        let (before, from) = self.request.openings.split_at_checked(self.at).unwrap_or((&[], self.request.openings));
        for (index, raw) in (self.at..).zip(from).chain((0..).zip(before)) {
            if raw[0] != self.source {
                continue;
            }
            let covered = self.request.covered(&Opening::from_bytes(raw), self.source, self.start_unit, self.done);
            if let Some(bytes) = covered.filter(|bytes| !bytes.is_empty()) {
                let bytes = bytes.get(..max_len).unwrap_or(bytes);
                self.at = index;
                self.done = self.done.saturating_add(bytes.len() as u64);
                return Ok(bytes);
            }
        }
        if max_len == 0 { Ok(&[]) } else { Err(AbiError::MissingOpening) }
    }

    /// Gives back the last `len` bytes read.
    pub fn unread(&mut self, len: usize) {
        self.done = self.done.saturating_sub(len as u64);
    }
}

/// Iterator over a request's openings.
#[derive(Clone, Debug)]
pub struct Openings<'a> {
    left: core::slice::Iter<'a, [u8; OPENING_BYTES]>,
}

impl Iterator for Openings<'_> {
    type Item = Opening;

    fn next(&mut self) -> Option<Opening> {
        self.left.next().map(Opening::from_bytes)
    }
}
