//! `search.cu` on CPU threads.

use assay_kernels::search::template::Template;

unsafe extern "C" {
    fn host_search(
        grid_segments: u32,
        grid_cells: u32,
        out: *mut u32,
        records: *mut u32,
        template: *const Template,
        first: u64,
        cells: u32,
        per_cell: u32,
    );
}

/// Threads of a block.
const BLOCK: u32 = 128;
/// Words that a segment leaves for its cell.
const RECORD: u32 = 18;

/// The bytes of `cells` cells of `per_cell` segments each, the first nonce being `first`, by search.cu; `None` when
/// there are too many.
pub fn search(template: &Template, first: u64, cells: u32, per_cell: u32) -> Option<Vec<u8>> {
    let segments = cells.checked_mul(per_cell)?;
    let mut records = vec![0xdead_beef; segments.checked_mul(RECORD)? as usize];
    let mut out = vec![0u32; cells.checked_mul(8)? as usize];
    let (grid_segments, grid_cells) = (segments.div_ceil(BLOCK), cells.div_ceil(BLOCK));
    // SAFETY: the kernels write RECORD words for each segment and eight for each cell.
    unsafe {
        host_search(
            grid_segments,
            grid_cells,
            out.as_mut_ptr(),
            records.as_mut_ptr(),
            template,
            first,
            cells,
            per_cell,
        );
    }
    Some(out.into_iter().flat_map(u32::to_le_bytes).collect())
}
