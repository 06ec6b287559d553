//! SHA-256 of many messages of one length: side by side in vectors where the processor has them, with its own
//! instructions for SHA-256 where those are faster, and on all cores. What a Merkle tree is made of.

use core::ops::Range;
use std::sync::OnceLock;
use std::time::Instant;

use rayon::prelude::*;

use super::{Hash, sha256};

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;
/// Fewer messages than this are hashed on the calling thread: handing them out costs more.
const SERIAL: usize = 256;
/// Bytes of a pair of nodes, and of a leaf: the messages that the ways are measured with.
const SHORT: usize = 64;
const LONG: usize = 256;
/// About what one core is handed at a time, bytes with what lies around the messages.
const HANDED: usize = 1 << 16;

/// Messages of one length: each is the tag, the prefix and its own bytes.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a> {
    /// The first byte of each.
    pub tag: u8,
    /// What follows it in each.
    pub prefix: &'a [u8],
    /// Their own bytes, one message after the other.
    pub bytes: &'a [u8],
    /// Own bytes of each, at least 1.
    pub each: usize,
}

/// A way to hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One message after the other, by the library: with SHA-NI or its like where the processor has it.
    One,
    /// Eight at a time, with AVX2.
    Eight,
    /// Sixteen at a time, with AVX-512.
    Sixteen,
}

impl Way {
    /// All ways.
    pub const ALL: [Self; 3] = [Self::One, Self::Eight, Self::Sixteen];

    /// Whether this processor can go it.
    pub fn is_here(self) -> bool {
        match self {
            Self::One => true,
            #[cfg(target_arch = "x86_64")]
            Self::Eight => std::is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Sixteen => std::is_x86_feature_detected!("avx512f"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// Name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "one by one",
            Self::Eight => "8 lanes, AVX2",
            Self::Sixteen => "16 lanes, AVX-512",
        }
    }

    /// The fastest here for messages of so many bytes of their own, as measured when it is first asked for (about a
    /// millisecond): which of SHA-NI and vectors wins differs from processor to processor, and short messages cost the
    /// library more. All give the same digests.
    pub fn fastest_for(each: usize) -> Self {
        static FASTEST: OnceLock<[Way; 2]> = OnceLock::new();
        let [short, long] = *FASTEST.get_or_init(|| [Self::measured(SHORT), Self::measured(LONG)]);
        if each <= SHORT { short } else { long }
    }

    /// The fastest here for pairs of nodes.
    pub fn fastest() -> Self {
        Self::fastest_for(SHORT)
    }

    fn measured(each: usize) -> Self {
        let bytes = vec![0x5a; each.saturating_mul(SERIAL)];
        let mut out = [[0; 32]; SERIAL];
        let mut time = |way: &Self| {
            let mut once = || {
                let began = Instant::now();
                way.hash(&Messages { tag: 1, prefix: &[], bytes: &bytes, each }, &mut out);
                began.elapsed()
            };
            // The first warms up; the least of the others is the one that nothing disturbed.
            once();
            once().min(once()).min(once())
        };
        let here = Self::ALL.into_iter().filter(|way| way.is_here());
        here.min_by_key(&mut time).unwrap_or(Self::One)
    }

    /// Hashes on the calling thread; as many messages as there are bytes of or places for. A way that is not here is
    /// [`One`](Self::One).
    pub fn hash(self, messages: &Messages, out: &mut [Hash]) {
        self.hash_shaped(&Shape::new(messages), messages.bytes, out);
    }

    fn hash_shaped(self, shape: &Shape, bytes: &[u8], out: &mut [Hash]) {
        let way = if self.is_here() { self } else { Self::One };
        match way {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has it.
            Self::Sixteen => unsafe { wide::sixteen(shape, bytes, out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has it.
            Self::Eight => unsafe { wide::eight(shape, bytes, out) },
            _ => one(shape, bytes, out),
        }
    }
}

/// Hashes on all cores, the fastest way; as many messages as there are bytes of or places for.
pub fn hash_all(messages: &Messages, out: &mut [Hash]) {
    hash_all_by(Way::fastest_for(messages.each), messages, out);
}

/// [`hash_all`] in a way of one's own choice.
pub fn hash_all_by(way: Way, messages: &Messages, out: &mut [Hash]) {
    let shape = Shape::new(messages);
    if out.len() < SERIAL {
        return way.hash_shaped(&shape, messages.bytes, out);
    }
    // A multiple of all numbers of lanes.
    let handed = HANDED.checked_div(shape.templates.len().saturating_mul(BLOCK)).unwrap_or(0).max(16) & !15;
    let bytes = messages.bytes.par_chunks(handed.saturating_mul(shape.each));
    out.par_chunks_mut(handed).zip(bytes).for_each(|(out, bytes)| way.hash_shaped(&shape, bytes, out));
}

/// What the messages have in common. Behind its tag each is a stream: prefix, own bytes, padding.
struct Shape<'a> {
    tag: u8,
    prefix: &'a [u8],
    each: usize,
    /// The stream's blocks with zeros for the own bytes.
    templates: Vec<[u8; BLOCK]>,
}

impl<'a> Shape<'a> {
    fn new(messages: &Messages<'a>) -> Self {
        let &Messages { tag, prefix, each, .. } = messages;
        let each = each.max(1);
        let own_end = prefix.len().saturating_add(each);
        let length = own_end.saturating_add(1);
        let blocks = length.saturating_add(9).div_ceil(BLOCK);
        let mut templates = vec![[0; BLOCK]; blocks];
        let stream = templates.as_flattened_mut();
        let bits = (length as u64).saturating_mul(8).to_be_bytes();
        // The stream ends a byte before its last block does: the tag stands before it.
        let bits_at = stream.len().saturating_sub(9);
        for (at, bytes) in [(0, prefix), (own_end, &[0x80][..]), (bits_at, &bits[..])] {
            if let Some(place) = stream.get_mut(at..at.saturating_add(bytes.len())) {
                place.copy_from_slice(bytes);
            }
        }
        Self { tag, prefix, each, templates }
    }

    /// Where the own bytes lie in the stream.
    fn own(&self) -> Range<usize> {
        self.prefix.len()..self.prefix.len().saturating_add(self.each)
    }
}

fn one(shape: &Shape, bytes: &[u8], out: &mut [Hash]) {
    for (out, own) in out.iter_mut().zip(bytes.chunks_exact(shape.each)) {
        *out = sha256(&[&[shape.tag], shape.prefix, own]);
    }
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::super::lanes::{INITIAL, compress};
    use super::super::simd::{Eight, Sixteen, Vector};
    use super::{BLOCK, Hash, Shape, one};

    #[target_feature(enable = "avx512f")]
    pub(super) fn sixteen(shape: &Shape, bytes: &[u8], out: &mut [Hash]) {
        grouped::<Sixteen, 16>(shape, bytes, out);
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn eight(shape: &Shape, bytes: &[u8], out: &mut [Hash]) {
        grouped::<Eight, 8>(shape, bytes, out);
    }

    #[inline(always)]
    fn grouped<V: Vector<L>, const L: usize>(shape: &Shape, bytes: &[u8], out: &mut [Hash]) {
        let group_bytes = shape.each.saturating_mul(L);
        let fed = bytes.len().checked_div(group_bytes).unwrap_or(0).min(out.len().checked_div(L).unwrap_or(0));
        let (groups, rest) = out.split_at_mut(fed.saturating_mul(L));
        let (own, behind) = bytes.split_at(fed.saturating_mul(group_bytes));
        for (group, own) in groups.as_chunks_mut::<L>().0.iter_mut().zip(own.chunks_exact(group_bytes)) {
            hash::<V, L>(shape, own, group);
        }
        one(shape, behind, rest);
    }

    /// The digests of `L` messages with these own bytes.
    #[inline(always)]
    fn hash<V: Vector<L>, const L: usize>(shape: &Shape, own: &[u8], out: &mut [Hash; L]) {
        let mut state = [V::all(0); 8];
        for (place, word) in state.iter_mut().zip(INITIAL) {
            *place = V::all(word);
        }
        let of = shape.own();
        let mut before = V::all(u32::from(shape.tag));
        let mut filled = [[0; BLOCK]; L];
        for (block, template) in shape.templates.iter().enumerate() {
            let at = block.saturating_mul(BLOCK);
            let end = at.saturating_add(BLOCK);
            let words = if at >= of.end || end <= of.start {
                // The same in all lanes.
                let mut words = [V::all(0); 16];
                for (place, word) in words.iter_mut().zip(template.as_chunks::<4>().0) {
                    *place = V::all(u32::from_be_bytes(*word));
                }
                words
            } else {
                // The part of the own bytes that lies in this block, and where it lies there.
                let (first, last) = (at.max(of.start), end.min(of.end));
                let (from, len) = (first.saturating_sub(of.start), last.saturating_sub(first));
                let to = first.saturating_sub(at);
                let mut rows = [template; L];
                if len == BLOCK {
                    let mut start = from;
                    for row in &mut rows {
                        *row = own.get(start..).and_then(|own| own.first_chunk()).unwrap_or(template);
                        start = start.saturating_add(shape.each);
                    }
                } else {
                    let mut start = from;
                    for (row, filled) in rows.iter_mut().zip(&mut filled) {
                        *filled = *template;
                        let own = own.get(start..start.saturating_add(len));
                        if let (Some(place), Some(own)) = (filled.get_mut(to..to.saturating_add(len)), own) {
                            place.copy_from_slice(own);
                        }
                        *row = filled;
                        start = start.saturating_add(shape.each);
                    }
                }
                V::rows(&rows)
            };
            let mut message = words;
            for (place, word) in message.iter_mut().zip(words) {
                *place = word.after(before);
                before = word;
            }
            compress(&mut state, &message);
        }
        V::digests(state, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_hand(messages: &Messages) -> Vec<Hash> {
        messages.bytes.chunks_exact(messages.each).map(|own| sha256(&[&[messages.tag], messages.prefix, own])).collect()
    }

    proptest! {
        /// Every way, on one core and on all, gives what hashing one by one gives: all lengths around the ends of
        /// blocks, all numbers of messages around those of lanes, with prefixes and without.
        #[test]
        fn all_ways_agree(
            tag in any::<u8>(), prefix in prop::collection::vec(any::<u8>(), 0..130), each in 1usize..300,
            count in 0usize..70, seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let mut next = || {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                (state >> 56) as u8
            };
            let bytes: Vec<u8> = (0..each * count).map(|_| next()).collect();
            for prefix in [&prefix[..], &[], &[7; 32]] {
                let messages = Messages { tag, prefix, bytes: &bytes, each };
                let expected = by_hand(&messages);
                for way in Way::ALL {
                    let mut out = vec![[0; 32]; count];
                    way.hash(&messages, &mut out);
                    prop_assert_eq!(&out, &expected, "{:?}", way);
                }
            }
        }
    }

    #[test]
    fn every_length_of_leaf_and_node() {
        let bytes: Vec<u8> = (0..17 * 1_100u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for each in (1..200).chain([255, 256, 257, 1_000, 1_023, 1_024, 1_100]) {
            for (tag, prefix) in [(0, &[9; 32][..]), (0, &[]), (1, &[])] {
                let messages = Messages { tag, prefix, bytes: &bytes[..17 * each], each };
                for way in Way::ALL {
                    let mut out = [[0; 32]; 17];
                    way.hash(&messages, &mut out);
                    assert_eq!(&out[..], &by_hand(&messages), "{each} bytes, {way:?}");
                }
            }
        }
    }

    #[test]
    fn on_all_cores_it_is_the_same() {
        let bytes: Vec<u8> = (0..100_000u32).flat_map(|i| i.to_le_bytes()).collect();
        for each in [1, 64, 100, 256] {
            let messages = Messages { tag: 0, prefix: &[3; 32], bytes: &bytes[..bytes.len() / each * each], each };
            let expected = by_hand(&messages);
            for way in Way::ALL {
                let mut out = vec![[0; 32]; expected.len()];
                hash_all_by(way, &messages, &mut out);
                assert_eq!(out, expected, "{each} bytes, {way:?}");
            }
            let mut out = vec![[0; 32]; expected.len()];
            hash_all(&messages, &mut out);
            assert_eq!(out, expected, "{each} bytes");
        }
        assert!(Way::fastest().is_here() && Way::fastest_for(256).is_here());
    }

    /// Neither bytes without a place nor places without bytes are touched.
    #[test]
    fn too_few_bytes_or_places() {
        let bytes = [1; 10 * 40];
        for way in Way::ALL {
            let mut out = [[0; 32]; 20];
            way.hash(&Messages { tag: 0, prefix: &[], bytes: &bytes, each: 40 }, &mut out);
            assert!(out[..10].iter().all(|hash| *hash == sha256(&[&[0], &[1; 40]])), "{way:?}");
            assert!(out[10..].iter().all(|hash| *hash == [0; 32]), "{way:?}");
            let mut out = [[0; 32]; 3];
            way.hash(&Messages { tag: 0, prefix: &[], bytes: &bytes, each: 40 }, &mut out);
            assert!(out.iter().all(|hash| *hash == sha256(&[&[0], &[1; 40]])), "{way:?}");
        }
    }
}
