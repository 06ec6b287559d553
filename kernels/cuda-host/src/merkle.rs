//! merkle.cu on CPU threads.

use assay_kernels::executor::LeafRun;
use assay_kernels::hash::Hash;

unsafe extern "C" {
    fn host_merkle_leaves(
        out: *mut u32,
        leaves: *const u8,
        salt: *const u32,
        from: u64,
        to: u64,
        leaf_bytes: u32,
        count: u32,
    );
    fn host_merkle_nodes(out: *mut u32, nodes: *const u32, count: u32);
}

/// Hashes leaves of a tile into their places among `hashes`, which are digests as words; `None` when either is too short.
pub fn merkle_leaves(tile: &[u8], salt: &Hash, run: LeafRun, hashes: &mut [[u32; 8]]) -> Option<()> {
    let LeafRun { from, to, leaf_bytes, count } = run;
    let bytes = u64::from(leaf_bytes).checked_mul(u64::from(count))?;
    if from.checked_add(bytes)? > tile.len() as u64 || to.checked_add(u64::from(count))? > hashes.len() as u64 {
        return None;
    }
    let (words, _) = salt.as_chunks::<4>();
    let salt: Vec<u32> = words.iter().map(|word| u32::from_be_bytes(*word)).collect();
    // SAFETY: the kernel reads the leaves and writes the digests that were found to be there.
    unsafe {
        let (out, tile) = (hashes.as_mut_ptr().cast(), tile.as_ptr());
        host_merkle_leaves(out, tile, salt.as_ptr(), from, to, leaf_bytes, count);
    }
    Some(())
}

/// The level above these nodes.
pub fn merkle_nodes(nodes: &[[u32; 8]]) -> Option<Vec<[u32; 8]>> {
    let mut above = vec![[0xffff_ffff; 8]; nodes.len().div_ceil(2)];
    // SAFETY: the kernel reads the nodes and writes half as many.
    unsafe { host_merkle_nodes(above.as_mut_ptr().cast(), nodes.as_ptr().cast(), u32::try_from(nodes.len()).ok()?) }
    Some(above)
}
