//! SHA-256: the system call on chain, the `sha2` crate elsewhere. Many messages side by side are in [`many`]
//! (feature `std`).

#[cfg(feature = "std")]
pub(crate) mod lanes;
#[cfg(feature = "std")]
pub mod many;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub(crate) mod simd;

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// SHA-256 of the concatenation of `parts`.
#[cfg(target_os = "solana")]
#[inline]
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut digest = [0u8; 32];
    sha256_into(parts, &mut digest);
    digest
}

/// SHA-256 of the concatenation of `parts`, written where it is wanted: a copy costs as much as a third of the hash.
#[cfg(target_os = "solana")]
pub fn sha256_into(parts: &[&[u8]], digest: &mut Hash) {
    // SAFETY: the system call reads `parts.len()` (pointer, length) pairs, which is how a slice of slices lies in
    // memory on this target, and writes 32 bytes. It can't fail: it aborts the program on bad pointers.
    unsafe {
        solana_define_syscall::definitions::sol_sha256(parts.as_ptr().cast(), parts.len() as u64, digest.as_mut_ptr());
    }
}

/// SHA-256 of the concatenation of `parts`, written where it is wanted.
#[cfg(not(target_os = "solana"))]
pub fn sha256_into(parts: &[&[u8]], digest: &mut Hash) {
    *digest = sha256(parts);
}

/// SHA-256 of the concatenation of `parts`.
#[cfg(not(target_os = "solana"))]
pub fn sha256(parts: &[&[u8]]) -> Hash {
    use sha2::Digest;
    let mut hasher = sha2::Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // FIPS 180-4 examples, cut in different places.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hex = |h: Hash| h.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(sha256(&[b"abc"])), abc);
        assert_eq!(hex(sha256(&[b"a", b"", b"bc"])), abc);
        assert_eq!(hex(sha256(&[])), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn nists_known_answers() {
        let unhex = |hex: &str| -> Vec<u8> {
            (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
        };
        let mut count = 0;
        for line in include_str!("../sha256.txt").lines().filter(|line| !line.starts_with('#')) {
            let (message, digest) = line.split_once(' ').unwrap();
            let message = unhex(message.trim_matches('-'));
            assert_eq!(sha256(&[&message])[..], unhex(digest));
            // In pieces of every length up to a block's, and a piece of no length in between.
            for piece in 1..=65 {
                let mut pieces: Vec<&[u8]> = message.chunks(piece).collect();
                pieces.insert(pieces.len() / 2, &[]);
                let mut into = [0x55; 32];
                sha256_into(&pieces, &mut into);
                assert_eq!(into[..], unhex(digest), "{piece} bytes at a time");
            }
            count += 1;
        }
        assert_eq!(count, 74);
    }
}
