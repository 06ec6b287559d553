//! Draw windows and the seed that slot hashes make of one (protocol.md, section 6, record_seed).

use crate::{
    constants::{SEED_HASHES, WINDOW_LEAD_SLOTS, WINDOW_SLOTS},
    error::AssayError,
};
use assay_kernels::hash::{Hash, sha256};

const SEED_TAG: &[u8] = b"assay:seed:v1";
/// Bytes of one entry of the SlotHashes sysvar: slot (u64, little-endian) and hash.
pub const ENTRY_BYTES: usize = 40;
/// Bytes in front of the first entry: the number of entries (u64, little-endian).
pub const HEADER_BYTES: u64 = 8;

/// The window that draws the cells of a commitment made in `slot`: `ceil((slot + 32) / 64)`.
/// Its first slot is at least 32 slots away, so nobody knows its hashes at commit time.
pub fn window_of(slot: u64) -> Result<u64, AssayError> {
    Ok(slot.checked_add(WINDOW_LEAD_SLOTS).ok_or(AssayError::Overflow)?.div_ceil(WINDOW_SLOTS))
}

/// First slot of a window.
pub fn first_slot(window: u64) -> Result<u64, AssayError> {
    window.checked_mul(WINDOW_SLOTS).ok_or(AssayError::Overflow)
}

/// What the SlotHashes sysvar holds of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one value on the stack, once a window; a box would cost heap on chain")]
pub enum Window {
    /// Fewer than 12 slots with a block have followed the window's start.
    TooEarly,
    /// The first 12 hashes of the window, in ascending order of slot. Skipped slots have no entry and don't count.
    Ready([Hash; SEED_HASHES]),
    /// The oldest entry is younger than the window's start: which hashes were first can't be known any more.
    AgedOut,
}

/// Looks a window up in SlotHashes (newest entry first). `read(offset, buffer)` reads the sysvar's bytes.
pub fn find<R>(mut read: R, window: u64) -> Result<Window, AssayError>
where
    R: FnMut(u64, &mut [u8]) -> Result<(), AssayError>,
{
    let start = first_slot(window)?;
    let mut count = [0u8; 8];
    read(0, &mut count)?;
    let count = u64::from_le_bytes(count);
    if count == 0 {
        return Ok(Window::TooEarly);
    }
    let offset = |index: u64| {
        index.checked_mul(ENTRY_BYTES as u64).and_then(|o| o.checked_add(HEADER_BYTES)).ok_or(AssayError::Overflow)
    };
    let mut slot_at = |index: u64| {
        let mut slot = [0u8; 8];
        read(offset(index)?, &mut slot)?;
        Ok::<u64, AssayError>(u64::from_le_bytes(slot))
    };
    let last = count.checked_sub(1).ok_or(AssayError::Overflow)?;
    if slot_at(last)? > start {
        return Ok(Window::AgedOut);
    }
    // Entries 0..low have a slot of at least `start`; slots fall with the index. Were no slot skipped since then, `low` would
    // be the most it can be: looked for from there, in growing steps, it is found at once where few were.
    let newest = slot_at(0)?;
    let Some(most) = newest.checked_sub(start) else { return Ok(Window::TooEarly) };
    let most = most.saturating_add(1).min(count);
    let (mut low, mut high, mut step) = (0u64, most, 1u64);
    while let Some(probe) = high.checked_sub(step).filter(|probe| *probe >= low) {
        if slot_at(probe)? >= start {
            low = probe.checked_add(1).ok_or(AssayError::Overflow)?;
            break;
        }
        high = probe;
        step = step.saturating_mul(2);
    }
    while low < high {
        let middle = low.midpoint(high);
        if slot_at(middle)? >= start {
            low = middle.checked_add(1).ok_or(AssayError::Overflow)?;
        } else {
            high = middle;
        }
    }
    let Some(first) = low.checked_sub(SEED_HASHES as u64) else { return Ok(Window::TooEarly) };
    let mut entries = [[0u8; ENTRY_BYTES]; SEED_HASHES];
    read(offset(first)?, entries.as_flattened_mut())?;
    let mut hashes = [[0u8; 32]; SEED_HASHES];
    for (hash, entry) in hashes.iter_mut().zip(entries.iter().rev()) {
        hash.copy_from_slice(entry.split_at(8).1);
    }
    Ok(Window::Ready(hashes))
}

/// `SHA-256("assay:seed:v1", window, 12 hashes)`: the randomness of every shard that draws from this window.
pub fn seed(window: u64, hashes: &[Hash; SEED_HASHES]) -> Hash {
    sha256(&[SEED_TAG, &window.to_le_bytes(), hashes.as_flattened()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A sysvar that holds the given slots (any order), hash of slot s = [s as u8; 32] with its low bytes in front.
    fn sysvar(slots: &[u64]) -> Vec<u8> {
        let mut slots = slots.to_vec();
        slots.sort_unstable_by(|a, b| b.cmp(a));
        let mut bytes = (slots.len() as u64).to_le_bytes().to_vec();
        for s in slots {
            bytes.extend(s.to_le_bytes());
            bytes.extend(hash(s));
        }
        bytes
    }
    fn hash(slot: u64) -> [u8; 32] {
        let mut h = [7; 32];
        h[..8].copy_from_slice(&slot.to_le_bytes());
        h
    }
    fn look(bytes: &[u8], window: u64) -> Window {
        find(
            |at, out| {
                let at = usize::try_from(at).unwrap();
                out.copy_from_slice(&bytes[at..at + out.len()]);
                Ok(())
            },
            window,
        )
        .unwrap()
    }

    #[test]
    fn a_window_is_at_least_32_slots_away_and_at_most_95() {
        for slot in 0..1_000 {
            let ahead = first_slot(window_of(slot).unwrap()).unwrap() - slot;
            assert!((32..96).contains(&ahead), "{slot}: {ahead}");
        }
        assert_eq!(window_of(u64::MAX), Err(AssayError::Overflow));
    }

    #[test]
    fn the_first_twelve_in_ascending_order() {
        let slots: Vec<u64> = (100..=300).collect();
        let Window::Ready(h) = look(&sysvar(&slots), 2) else { panic!() };
        assert_eq!(h, std::array::from_fn(|i| hash(128 + i as u64)));
    }

    #[test]
    fn boundaries() {
        assert_eq!(look(&sysvar(&[]), 2), Window::TooEarly);
        assert_eq!(look(&sysvar(&(120..139).collect::<Vec<_>>()), 2), Window::TooEarly, "11 entries");
        assert!(matches!(look(&sysvar(&(120..140).collect::<Vec<_>>()), 2), Window::Ready(_)), "12 entries");
        assert!(
            matches!(look(&sysvar(&(128..640).collect::<Vec<_>>()), 2), Window::Ready(_)),
            "oldest is the first slot"
        );
        assert_eq!(look(&sysvar(&(129..641).collect::<Vec<_>>()), 2), Window::AgedOut);
        // Slot 128 was skipped and 127 has aged out: whether 129 is the first can't be known.
        assert_eq!(look(&sysvar(&[129, 130, 131]), 2), Window::AgedOut);
    }

    proptest! {
        #[test]
        fn whenever_it_is_recorded_the_seed_is_the_same(skips in proptest::collection::vec(any::<bool>(), 700), newest in 141usize..640) {
            let all: Vec<u64> = (0..700u64).filter(|s| *s < 2 || !skips[*s as usize]).collect();
            let seen: Vec<u64> = all.iter().copied().filter(|s| *s <= newest as u64).rev().take(512).collect();
            let expected: Vec<u64> = all.iter().copied().filter(|s| *s >= 128).take(12).collect();
            match look(&sysvar(&seen), 2) {
                Window::Ready(h) => prop_assert_eq!(h.to_vec(), expected.iter().map(|s| hash(*s)).collect::<Vec<_>>()),
                Window::TooEarly => prop_assert!(seen.iter().filter(|s| **s >= 128).count() < 12),
                Window::AgedOut => prop_assert!(seen.iter().all(|s| *s > 128)),
            }
        }
    }
}
