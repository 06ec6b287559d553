//! Compiled into the copy of `anchor-lang` that the mutation check builds with; `anchor_copy.rs` calls it from there.
//! A site is one account of one instruction: the instruction's discriminator XOR the hash of the account's name.

/// The check that is off: mark, then the site XOR the hash of the check's name, little-endian.
#[no_mangle]
pub static ASSAY_ANCHOR_MUTANT: [u8; 24] = *b"ASSAY-ANCHOR-OFF\0\0\0\0\0\0\0\0";

/// FNV-1a of 64 bits.
pub const fn name_hash(name: &str) -> u64 {
    let name = name.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut i = 0usize;
    while i < name.len() {
        hash = (hash ^ name[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

/// The checks.
pub const SIGNER: u64 = name_hash("signer");
pub const OWNER: u64 = name_hash("owner");
pub const TYPE: u64 = name_hash("type");
pub const PROGRAM: u64 = name_hash("program");
pub const SEEDS: u64 = name_hash("seeds");

/// The discriminator of the running instruction. `ix_data`: what follows it.
#[inline(always)]
pub fn instruction(ix_data: &[u8]) -> u64 {
    // SAFETY: Anchor's dispatcher cut `ix_data` off behind the eight bytes of the discriminator.
    unsafe { ix_data.as_ptr().sub(8).cast::<u64>().read_unaligned() }
}

/// What an account type is given instead of the instruction's data, which none of them reads.
#[inline(always)]
pub fn site(instruction: u64, name: u64) -> [u8; 8] {
    (instruction ^ name).to_le_bytes()
}

/// True for the check that is taken out.
#[cold]
#[inline(never)]
pub fn is_off(site: &[u8], check: u64) -> bool {
    let site = site.try_into().map_or(0, u64::from_le_bytes);
    // SAFETY: a volatile read of a static, so that the compiler can't know what it holds.
    let mark = unsafe { core::ptr::read_volatile(&raw const ASSAY_ANCHOR_MUTANT) };
    mark[16..] == (site ^ check).to_le_bytes()
}

/// The same, for an account by its name.
pub fn at(instruction: u64, name: &str, check: u64) -> bool {
    is_off(&site(instruction, name_hash(name)), check)
}
