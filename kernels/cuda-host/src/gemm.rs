//! gemm_i8.cu on CPU threads, as a machine that a product streams through.

use assay_kernels::executor::ExecError;
use assay_kernels::gemm_i8::stream::{Machine, Part};
use assay_kernels::gemm_i8::{Entry, Params};

unsafe extern "C" {
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
    /// Launches so far.
    pub launches: usize,
}

impl GemmMachine {
    /// An empty one.
    pub fn new(entry: Entry, params: Params) -> Self {
        Self { entry, params, a: Vec::new(), b: Vec::new(), out: Vec::new(), launches: 0 }
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
        let Part { a, b, rows, columns, stride } = *part;
        let row_bytes = self.params.row_bytes();
        let (Some(a), Some(b)) = (rows_from(&self.a, a, rows, row_bytes), rows_from(&self.b, b, columns, row_bytes))
        else {
            return Err(ExecError::LeafRange);
        };
        let size = u64::from(rows).saturating_mul(stride.into());
        if size > self.out.len() as u64 || stride < columns || !stride.is_multiple_of(4) {
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
                self.out.as_mut_ptr(),
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
