//! gemm_i8.cu on CPU threads, as a machine that a product streams through.

use core::ops::Range;

use assay_kernels::executor::ExecError;
use assay_kernels::gemm_i8::rows::{Pack, Tiled};
use assay_kernels::gemm_i8::stream::{Machine, Part};
use assay_kernels::gemm_i8::{Entry, Params};

unsafe extern "C" {
    fn host_gemm_i8_pack(out: *mut i32, from: *const i32, columns: u32, stride: u32, skip: u32, count: u32);
    fn host_gemm_i8_clean(a: *mut u8, row_bytes: u32, k: u32, rows: u32);
    fn host_gemm_i8(
        entry: u32,
        grid: u32,
        shared: u32,
        out: *mut i32,
        a: *const u8,
        b: *const u8,
        row_bytes: u32,
        k: u32,
        rows: u32,
        columns: u32,
        stride: u32,
    );
}

/// The numbers of entries in host.cpp.
const NUMBERS: [(&str, u32); 4] = [("gemm_i8", 0), ("gemm_i8_mma8", 1), ("gemm_i8_mma16", 2), ("gemm_i8_wgmma", 3)];

/// Sixteen bytes at a multiple of sixteen: what a card's memory begins with at least.
#[derive(Clone, Copy)]
#[repr(align(16))]
struct Aligned([u8; 16]);

/// The memory of a card, and an entry that multiplies in it.
pub struct GemmMachine {
    entry: Entry,
    params: Params,
    a: Vec<Aligned>,
    b: Vec<Aligned>,
    out: Vec<i32>,
    run: Vec<i32>,
    /// Bytes of the result, and of a run of it.
    bytes: (usize, usize),
    /// The runs so far.
    pub result: Vec<u8>,
    /// Launches so far.
    pub launches: usize,
}

impl GemmMachine {
    /// An empty one.
    pub fn new(entry: Entry, params: Params) -> Self {
        let none = Vec::new;
        let (out, run) = (Vec::new(), Vec::new());
        Self { entry, params, a: none(), b: none(), out, run, bytes: (0, 0), result: Vec::new(), launches: 0 }
    }

    /// Makes room as [`Machine::prepare`] does, for a result of `total` bytes that leaves in runs of `run`.
    ///
    /// # Errors
    /// None.
    pub fn prepare_runs(&mut self, [a, b, beside]: [usize; 3], run: usize, total: usize) -> Result<(), ExecError> {
        self.prepare(a, b, beside)?;
        (self.run, self.bytes) = (vec![i32::MIN; run.div_ceil(4)], (total, run));
        Ok(())
    }
}

fn fill(memory: &mut [Aligned], bytes: &[u8]) -> Result<(), ExecError> {
    let (pieces, rest) = bytes.as_chunks::<16>();
    if !rest.is_empty() || pieces.len() > memory.len() {
        return Err(ExecError::LeafRange);
    }
    memory.iter_mut().zip(pieces).for_each(|(place, piece)| place.0 = *piece);
    Ok(())
}

/// Memory from byte `at` on, if it has so many rows there.
fn rows_from(memory: &[Aligned], at: u64, rows: u32, row_bytes: u64) -> Option<&[Aligned]> {
    let end = at.saturating_add(row_bytes.saturating_mul(rows.into()));
    if end > (memory.len() as u64).saturating_mul(16) { None } else { memory.get((at / 16) as usize..) }
}

impl Machine for GemmMachine {
    fn prepare(&mut self, a: usize, b: usize, out: usize) -> Result<(), ExecError> {
        // Nothing may depend on what memory holds at first.
        let memory = |bytes: usize| vec![Aligned([0xa5; 16]); bytes.div_ceil(16)];
        (self.a, self.b) = (memory(a), memory(b));
        self.out = vec![i32::MIN; out.div_ceil(4)];
        Ok(())
    }

    fn load_a(&mut self, rows: &[u8]) -> Result<(), ExecError> {
        fill(&mut self.a, rows)?;
        let row_bytes = self.params.row_bytes();
        let count = (rows.len() as u64).checked_div(row_bytes).unwrap_or(0);
        // SAFETY: writes inside of the rows that are there.
        unsafe { host_gemm_i8_clean(self.a.as_mut_ptr().cast(), row_bytes as u32, self.params.k, count as u32) }
        Ok(())
    }

    fn load_b(&mut self, rows: &[u8]) -> Result<(), ExecError> {
        fill(&mut self.b, rows)
    }

    fn multiply(&mut self, part: &Part) -> Result<(), ExecError> {
        let mut out = core::mem::take(&mut self.out);
        let made = self.multiply_to(part, &mut out);
        self.out = out;
        made
    }

    fn fetch(&mut self, start: usize, to: &mut [u8]) -> Result<(), ExecError> {
        let from = self.out.get(start / 4..).ok_or(ExecError::LeafRange)?;
        let (places, rest) = to.as_chunks_mut::<4>();
        if !start.is_multiple_of(4) || !rest.is_empty() || places.len() > from.len() {
            return Err(ExecError::LeafRange);
        }
        places.iter_mut().zip(from).for_each(|(place, number)| *place = number.to_le_bytes());
        Ok(())
    }
}

impl GemmMachine {
    fn multiply_to(&mut self, part: &Part, out: &mut [i32]) -> Result<(), ExecError> {
        let Part { a, b, out: at, rows, columns, stride } = *part;
        let row_bytes = self.params.row_bytes();
        let (Some(a), Some(b)) = (rows_from(&self.a, a, rows, row_bytes), rows_from(&self.b, b, columns, row_bytes))
        else {
            return Err(ExecError::LeafRange);
        };
        let out = out.get_mut((at / 4) as usize..).ok_or(ExecError::LeafRange)?;
        // The last row ends with its columns, rounded up to four.
        let before = u64::from(rows).saturating_sub(1).saturating_mul(stride.into());
        let size = before.saturating_add(columns.next_multiple_of(4).into());
        if size > out.len() as u64 || stride < columns || !stride.is_multiple_of(4) || !at.is_multiple_of(16) {
            return Err(ExecError::LeafRange);
        }
        let (height, width) = self.entry.tile;
        let grid = rows.div_ceil(height).saturating_mul(columns.div_ceil(width));
        let number = NUMBERS.iter().find(|(name, _)| *name == self.entry.name).ok_or(ExecError::LeafRange)?.1;
        // SAFETY: both matrices have so many rows from there on and the result has room, as checked above.
        unsafe {
            host_gemm_i8(
                number,
                grid,
                self.entry.shared,
                out.as_mut_ptr(),
                a.as_ptr().cast(),
                b.as_ptr().cast(),
                row_bytes as u32,
                self.params.k,
                rows,
                columns,
                stride,
            );
        }
        self.launches = self.launches.saturating_add(1);
        Ok(())
    }
}

impl Tiled for GemmMachine {
    fn load_a(&mut self, rows: &[u8]) -> Result<(), ExecError> {
        Machine::load_a(self, rows)
    }

    fn load_b(&mut self, rows: &[u8]) -> Result<(), ExecError> {
        Machine::load_b(self, rows)
    }

    fn upcoming(&self) -> Option<Range<usize>> {
        let (at, (total, run)) = (self.result.len(), self.bytes);
        (at < total).then(|| at..at.saturating_add(run).min(total))
    }

    fn multiply(&mut self, part: &Part, direct: bool) -> Result<(), ExecError> {
        if !direct {
            return Machine::multiply(self, part);
        }
        let mut run = core::mem::take(&mut self.run);
        let made = self.multiply_to(part, &mut run);
        self.run = run;
        made
    }

    fn pack(&mut self, pack: &Pack) -> Result<(), ExecError> {
        let Pack { columns, stride, skip, count } = *pack;
        let last = u64::from(skip).saturating_add(count.into()).saturating_sub(1);
        let row = last.checked_div(columns.into()).ok_or(ExecError::LeafRange)?;
        let end = row.saturating_mul(stride.into()).saturating_add(columns.into());
        if count as usize > self.run.len() || columns > stride || end > self.out.len() as u64 {
            return Err(ExecError::LeafRange);
        }
        // SAFETY: both have so many numbers, as checked above.
        unsafe { host_gemm_i8_pack(self.run.as_mut_ptr(), self.out.as_ptr(), columns, stride, skip, count) };
        Ok(())
    }

    fn emit(&mut self) -> Result<(), ExecError> {
        let bytes = self.upcoming().map_or(0, |run| run.len());
        let numbers = self.run.get(..bytes / 4).ok_or(ExecError::LeafRange)?;
        self.result.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        // Nothing may depend on the run before.
        self.run.fill(i32::MIN);
        Ok(())
    }
}

/// A product of rows of words, k bytes rounded up to a multiple of 128 each, by an entry: rows of `columns` numbers rounded
/// up to a multiple of four. `None` when a slice is too short.
pub fn product(entry: Entry, a: &[u32], b: &[u32], k: u32, rows: u32, columns: u32) -> Option<Vec<i32>> {
    let row_bytes = k.next_multiple_of(128);
    let aligned = |words: &[u32], rows: u32| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let pieces: Vec<Aligned> = bytes.as_chunks::<16>().0.iter().map(|piece| Aligned(*piece)).collect();
        rows_from(&pieces, 0, rows, row_bytes.into()).is_some().then_some(pieces)
    };
    let (a, b) = (aligned(a, rows)?, aligned(b, columns)?);
    let stride = columns.next_multiple_of(4);
    let mut out = vec![i32::MIN; usize::try_from(u64::from(rows).checked_mul(stride.into())?).ok()?];
    let (height, width) = entry.tile;
    let grid = rows.div_ceil(height).checked_mul(columns.div_ceil(width))?;
    let number = NUMBERS.iter().find(|(name, _)| *name == entry.name)?.1;
    // SAFETY: both matrices have so many rows, as checked above, and the result has room.
    unsafe {
        host_gemm_i8(
            number,
            grid,
            entry.shared,
            out.as_mut_ptr(),
            a.as_ptr().cast(),
            b.as_ptr().cast(),
            row_bytes,
            k,
            rows,
            columns,
            stride,
        );
    }
    Some(out)
}
