//! A search as a job: message, nonces and cells in a renter's terms.

use super::{Shards, Work, refused};
use crate::error::{CliError, Result};
use assay_kernels::{
    registry::AnyKernel,
    search::{BIG_ENDIAN, CELL_BYTES, DOUBLE, MAX_MESSAGE_BYTES, MAX_SIZE, Params, REVERSED, SEGMENT, WIDE},
};

/// Most bytes of a result whose cells are made small, so that proofs of them are.
const SMALL_RESULT_BYTES: u64 = 64 << 20;

/// Messages that differ in their nonces.
#[derive(Clone, Debug, Default)]
pub struct Range {
    /// The message, with room for the nonce where `nonce_at` says where.
    pub message: Vec<u8>,
    /// Byte with which the nonce begins; none for behind the message.
    pub nonce_at: Option<usize>,
    /// First nonce.
    pub start: u64,
    /// Nonces.
    pub count: u64,
    /// Nonces of a cell; none for a choice.
    pub cell: Option<u64>,
    /// Whether the digest is hashed once more.
    pub double: bool,
    /// Whether the nonce has eight bytes, else four.
    pub wide: bool,
    /// Whether its highest byte comes first.
    pub big_endian: bool,
    /// Whether digests are compared from their last byte on.
    pub reversed: bool,
}

fn usage(text: String) -> CliError {
    CliError::usage(format!("{text}. Nothing was sent or paid"))
}

impl Range {
    /// The job in about so many shards.
    ///
    /// # Errors
    /// What the kernel does not compute, or shards that the job can't be cut into.
    pub fn work(&self, shards: impl Into<Shards>) -> Result<Work> {
        Work::new(AnyKernel::Search, self.params()?.to_bytes(), Vec::new(), shards.into())
    }

    /// The kernel's params.
    ///
    /// # Errors
    /// What the kernel does not compute.
    pub fn params(&self) -> Result<Params> {
        let nonce_bytes = if self.wide { 8usize } else { 4 };
        let mut message = self.message.clone();
        let nonce_at = self.nonce_at.unwrap_or(message.len());
        if self.nonce_at.is_none() {
            message.resize(message.len().saturating_add(nonce_bytes), 0);
        }
        let end = nonce_at.saturating_add(nonce_bytes);
        if end > message.len() {
            return Err(usage(format!(
                "a nonce of {nonce_bytes} bytes at byte {nonce_at} ends behind the message, which has {}",
                message.len()
            )));
        }
        let too_long = || usage(format!("message and nonce may have {MAX_MESSAGE_BYTES} bytes at most"));
        let base = Params::of(&message).ok_or_else(too_long)?;
        let size = self.size()?;
        let largest = if self.wide { u64::MAX } else { u64::from(u32::MAX) };
        if self.count.checked_sub(1).and_then(|more| self.start.checked_add(more)).is_none_or(|last| last > largest) {
            let hint = if self.wide { "" } else { "; --wide makes it eight" };
            return Err(usage(format!(
                "the last of {} nonces from {} on has more than {nonce_bytes} bytes{hint}",
                self.count, self.start
            )));
        }
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = flag(self.double, DOUBLE)
            | flag(self.wide, WIDE)
            | flag(self.big_endian, BIG_ENDIAN)
            | flag(self.reversed, REVERSED);
        let nonce_at = u8::try_from(nonce_at).map_err(|_| too_long())?;
        let params = Params { start: self.start, flags, size, nonce_at, ..base };
        let cells = self.count.checked_div(params.cell_candidates()).unwrap_or(0);
        let params = Params { cells, ..params };
        AnyKernel::Search.geometry(&params.to_bytes()).map_err(|e| refused(AnyKernel::Search, &e))?;
        Ok(params)
    }

    /// Size of the cells: as given, or the smallest of which the result does not get large.
    fn size(&self) -> Result<u8> {
        let nonces = |size: u8| SEGMENT << size;
        let sizes = 0..=MAX_SIZE;
        if let Some(cell) = self.cell {
            let size = sizes.clone().find(|size| nonces(*size) == cell);
            let size = size.ok_or_else(|| {
                usage(format!("a cell has {SEGMENT} to {} nonces, a power of two, not {cell}", nonces(MAX_SIZE)))
            })?;
            return self.whole(nonces(size)).map(|()| size);
        }
        self.whole(SEGMENT)?;
        let mut chosen = 0;
        for size in sizes.filter(|size| self.count.is_multiple_of(nonces(*size))) {
            chosen = size;
            let cells = self.count.checked_div(nonces(size)).unwrap_or(0);
            if cells.saturating_mul(u64::from(CELL_BYTES)) <= SMALL_RESULT_BYTES {
                break;
            }
        }
        Ok(chosen)
    }

    /// Whether the nonces are whole cells.
    fn whole(&self, cell: u64) -> Result<()> {
        if self.count > 0 && self.count.is_multiple_of(cell) {
            return Ok(());
        }
        let next = self.count.max(1).checked_next_multiple_of(cell);
        let near = next.map_or(String::new(), |next| format!(": {next} for one"));
        Err(usage(format!("--count must be a whole number of cells of {cell} nonces, not {}{near}", self.count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(message: usize, count: u64) -> Range {
        Range { message: vec![7; message], count, ..Range::default() }
    }

    #[test]
    fn the_nonce_is_where_it_is_said_to_be_or_behind() {
        let params = range(10, 512).params().unwrap();
        assert_eq!((params.len, params.nonce_at, params.cells, params.flags), (14, 10, 1, 0));
        let header = Range { nonce_at: Some(76), double: true, reversed: true, start: 5, ..range(80, 4_096) };
        let params = header.params().unwrap();
        assert_eq!((params.len, params.nonce_at, params.cells, params.start), (80, 76, 8, 5));
        assert_eq!(params.flags, DOUBLE | REVERSED);
        let work = header.work(None).unwrap();
        assert_eq!((work.shards, work.leaves, work.result_bytes()), (1, 1, 256));
    }

    /// Block 0 of Bitcoin, whose nonce is 2083236893, in a renter's words.
    #[test]
    fn a_known_block_is_found() {
        use assay_kernels::executor::{Backend, Cpu, Inputs};
        let header = "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f\
                      617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d00000000";
        let message = hex::decode(header).unwrap();
        let start = 2_083_236_893 - 700;
        let range = Range {
            message,
            nonce_at: Some(76),
            start,
            count: 2_048,
            double: true,
            reversed: true,
            ..Range::default()
        };
        let work = range.work(1).unwrap();
        let result = Cpu.run(work.kernel.id(), &work.params, &Inputs::default(), 0..work.leaves).unwrap();
        let facts = work.kernel.handling().facts(&work.params, &result);
        assert_eq!(facts[1].value, "2083236893");
        assert_eq!(facts[2].value, "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f");
    }

    #[test]
    fn cells_are_small_while_the_result_is() {
        let size = |count: u64| range(4, count).params().unwrap().size;
        assert_eq!((size(512), size(1 << 30), size(1 << 31), size(1 << 32)), (0, 0, 1, 2));
        assert_eq!(size((1 << 31) + 512), 0, "a whole number of cells comes first");
        let wide = Range { wide: true, ..range(4, 1 << 40) };
        assert_eq!(wide.params().unwrap().size, MAX_SIZE);
        let given = Range { cell: Some(65_536), ..range(4, 1 << 20) };
        assert_eq!((given.params().unwrap().size, given.params().unwrap().cells), (7, 16));
    }

    #[test]
    fn what_does_not_fit_is_refused_in_words() {
        for (range, word) in [
            (range(4, 0), "--count"),
            (range(4, 513), "1024 for one"),
            (Range { cell: Some(1_000), ..range(4, 512) }, "power of two"),
            (Range { cell: Some(1_024), ..range(4, 512) }, "1024"),
            (range(244, 512), "247 bytes"),
            (Range { nonce_at: Some(1), ..range(4, 512) }, "behind the message"),
            (Range { nonce_at: Some(usize::MAX), ..range(4, 512) }, "behind the message"),
            (Range { start: u64::from(u32::MAX), ..range(4, 512) }, "--wide"),
            (Range { start: u64::MAX, wide: true, ..range(4, 512) }, "8 bytes"),
            (Range { wide: true, ..range(4, 1 << 60) }, "can't compute"),
        ] {
            let error = range.params().unwrap_err();
            assert!(error.exit as u8 == 2 && error.message.contains(word), "{word}: {error}");
            assert!(error.message.contains("Nothing was sent or paid"), "{error}");
        }
    }
}
