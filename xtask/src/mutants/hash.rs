//! FNV-1a, as `programs/settlement/src/mutants.rs` and `hook.rs` compute it.

pub fn of_32(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

pub fn of_64(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_are_fnv_1a() {
        assert_eq!((of_32(""), of_32("a")), (0x811c_9dc5, 0xe40c_292c));
        assert_eq!((of_64(""), of_64("a")), (0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c));
    }
}
