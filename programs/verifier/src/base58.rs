//! Decodes an address at compile time, so that the source shows it as people write it.
// Only evaluated by the compiler, where overflow is an error.
#![allow(clippy::arithmetic_side_effects)]

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// The 32 bytes of an address in base 58. Fails to compile for anything else.
pub const fn address(text: &str) -> [u8; 32] {
    let text = text.as_bytes();
    let mut bytes = [0u8; 32];
    let mut i = 0;
    while i < text.len() {
        let mut carry = digit(text[i]);
        let mut at = bytes.len();
        while at > 0 {
            at -= 1;
            carry += bytes[at] as u32 * 58;
            bytes[at] = carry as u8;
            carry >>= 8;
        }
        assert!(carry == 0, "the address has more than 32 bytes");
        i += 1;
    }
    bytes
}

const fn digit(character: u8) -> u32 {
    let mut value = 0;
    while value < ALPHABET.len() {
        if ALPHABET[value] == character {
            return value as u32;
        }
        value += 1;
    }
    panic!("not a character of base 58")
}
