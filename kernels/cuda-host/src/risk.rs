//! `option_risk.cu` on CPU threads.

use assay_kernels::option_risk::{Launch, PIECES, Params, model};

unsafe extern "C" {
    fn host_option_risk(
        most: u32,
        grid: u32,
        out: *mut u64,
        table: *const [i32; 4],
        model: *const u64,
        job: *const Launch,
    );
}

/// Threads of a block.
const BLOCK: u32 = 128;

/// The bytes of `cells` cells from `first` on, by option_risk.cu's function for up to `most` assets: 4, 8 or 16. `None` when
/// there are too many cells, or more assets.
pub fn option_risk(params: &Params, input: &[u8], first: u64, cells: u32, most: u32) -> Option<Vec<u8>> {
    #[repr(align(16))]
    struct Table([[i32; 4]; 288]);
    if u32::from(params.assets) > most || !matches!(most, 4 | 8 | 16) {
        return None;
    }
    let (table, words) = (Table(PIECES), model::words(input));
    let job = Launch::new(params, first, cells)?;
    let mut out = vec![0u64; usize::try_from(cells.checked_mul(params.cell_words())?).ok()?];
    // SAFETY: the kernel reads the whole table and 256 words of model, and writes the words of `cells` cells.
    unsafe {
        host_option_risk(most, job.count().div_ceil(BLOCK), out.as_mut_ptr(), table.0.as_ptr(), words.as_ptr(), &job);
    }
    Some(out.into_iter().flat_map(u64::to_le_bytes).collect())
}
