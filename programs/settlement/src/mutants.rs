//! For the mutation check (`cargo xtask mutants`), never for the chain: one build in which any single check can be taken
//! out by writing its place in the source over a mark in the file.

use core::panic::Location;

/// The place of the check that is off: mark, hash of the file's name (u32), line (u32), both little-endian.
#[unsafe(no_mangle)]
pub static ASSAY_MUTANT: [u8; 24] = *b"ASSAY-MUTANT-OFF\0\0\0\0\0\0\0\0";

/// FNV-1a of a file's name.
pub const fn name_hash(name: &[u8]) -> u32 {
    let mut hash = 0x811c_9dc5u32;
    let mut i = 0usize;
    while i < name.len() {
        hash = (hash ^ name[i] as u32).wrapping_mul(0x0100_0193);
        i = i.wrapping_add(1);
    }
    hash
}

/// True for the check that is taken out. `caller`: where it stands.
#[cold]
#[inline(never)]
pub fn is_off(caller: &Location) -> bool {
    // SAFETY: a volatile read of a static, so that the compiler can't know what it holds.
    let mark = unsafe { core::ptr::read_volatile(&raw const ASSAY_MUTANT) };
    let file = caller.file().rsplit_once("/src/").map_or(caller.file(), |(_, file)| file);
    let mut place = [0u8; 8];
    place[..4].copy_from_slice(&name_hash(file.as_bytes()).to_le_bytes());
    place[4..].copy_from_slice(&caller.line().to_le_bytes());
    mark[16..] == place
}
