//! A shard's result under the tree that its provider commits: in memory, or in a file of which a proof reads the little
//! that it needs. Of the tree only the upper levels are kept, see [`KEPT_LEVEL`].

use core::ops::Range;
use std::{fs::File, io, sync::Arc};

use crate::{
    answer::{broken, geometry, salt},
    client_error::ClientError,
};
use assay_kernels::{
    abi::Geometry,
    executor::Commit,
    hash::Hash,
    merkle::{Crown, CrownBuilder, KEPT_LEVEL, salted_leaf_hashes},
};
use assay_settlement::JobTerms;
use solana_pubkey::Pubkey;

/// Bytes that are read and hashed at a time, unless 256 leaves are more.
const PIECE_BYTES: u64 = 16 << 20;

/// What the leaves of a shard are and how they are hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    geometry: Geometry,
    leaves: Range<u64>,
    salt: Hash,
    /// Bytes of the job's leaves before the shard's.
    before: u64,
    bytes: u64,
}

impl Layout {
    /// That of shard `index` at address `shard`, of `provider`.
    ///
    /// # Errors
    /// [`ClientError::UnexpectedAccount`] when the job has no such shard.
    pub fn new(terms: &JobTerms, index: u32, shard: &Pubkey, provider: &Pubkey) -> Result<Self, ClientError> {
        let range = terms.shard(index).ok_or_else(|| broken("the job has no such shard"))?;
        let leaves = range.first_leaf..range.first_leaf.saturating_add(range.leaves);
        Self::of(geometry(terms), leaves, salt(shard, provider)).ok_or_else(|| broken("the job has no such leaf"))
    }

    fn of(geometry: Geometry, leaves: Range<u64>, salt: Hash) -> Option<Self> {
        let (before, behind) = (geometry.bytes_before(leaves.start)?, geometry.bytes_before(leaves.end)?);
        Some(Self { geometry, leaves, salt, before, bytes: behind.checked_sub(before)? })
    }

    /// The leaves, job-wide.
    pub fn leaves(&self) -> Range<u64> {
        self.leaves.clone()
    }

    /// Bytes of the whole result.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of the longest leaf, of this shard's or another's.
    pub fn longest_leaf(&self) -> u64 {
        let bytes = |class: &assay_kernels::abi::CostClass| {
            u64::from(class.cells_per_leaf).saturating_mul(u64::from(class.cell_bytes))
        };
        self.geometry.used_classes().iter().map(bytes).max().unwrap_or(0).max(1)
    }

    /// How a backend is to hash the leaves, up to `level`.
    pub fn commit(&self, level: u8) -> Commit {
        Commit { salt: self.salt, level }
    }

    /// Where these leaves lie in the result; None where they are not all in the shard.
    pub fn place(&self, leaves: Range<u64>) -> Option<Range<u64>> {
        if leaves.start < self.leaves.start || leaves.end > self.leaves.end || leaves.start > leaves.end {
            return None;
        }
        let at = |leaf| self.geometry.bytes_before(leaf)?.checked_sub(self.before);
        Some(at(leaves.start)?..at(leaves.end)?)
    }

    /// The salted hashes of leaves with these bytes; None where they are not as long.
    pub fn hashes(&self, leaves: Range<u64>, bytes: &[u8]) -> Option<Vec<Hash>> {
        salted_leaf_hashes(&self.geometry, leaves, bytes, &self.salt)
    }

    /// The shard's leaves in parts of at most 16 MiB, or of 256 leaves where those are more; each part but the last ends
    /// where a kept node of the tree does.
    pub fn parts(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let run = 1u64 << KEPT_LEVEL;
        let fit = PIECE_BYTES.checked_div(self.longest_leaf()).unwrap_or(0).max(run) & !run.wrapping_sub(1);
        let Range { start, end } = self.leaves.clone();
        let next = move |at: &u64| Some(at.saturating_add(fit)).filter(|next| *next < end);
        let starts = core::iter::successors((start < end).then_some(start), next);
        starts.map(move |start| start..start.saturating_add(fit).min(end))
    }

    /// As bytes, for a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Range { start, end } = self.leaves;
        [&self.salt[..], &start.to_le_bytes(), &end.to_le_bytes(), bytemuck::bytes_of(&self.geometry)].concat()
    }

    /// What [`to_bytes`](Self::to_bytes) made; None for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (salt, rest) = bytes.split_first_chunk()?;
        let (start, rest) = rest.split_first_chunk()?;
        let (end, rest) = rest.split_first_chunk()?;
        let geometry = bytemuck::try_pod_read_unaligned(rest).ok()?;
        Self::of(geometry, u64::from_le_bytes(*start)..u64::from_le_bytes(*end), *salt)
    }
}

/// Where the bytes of a result are.
pub trait Source {
    /// Bytes in it.
    ///
    /// # Errors
    /// The system's.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has none.
    ///
    /// # Errors
    /// The system's.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// The bytes of a range, which may be put into `buffer`.
    ///
    /// # Errors
    /// The system's, and where it has no such bytes.
    fn read<'a>(&'a self, range: Range<u64>, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]>;
}

impl Source for Vec<u8> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.as_slice().len() as u64)
    }

    fn read<'a>(&'a self, range: Range<u64>, _: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        within(self, range).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Source for File {
    fn len(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn read<'a>(&'a self, range: Range<u64>, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        let bytes = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
        buffer.clear();
        buffer.try_reserve_exact(bytes)?;
        buffer.resize(bytes, 0);
        read_at(self, range.start, buffer)?;
        Ok(buffer)
    }
}

/// Fills `to` from byte `at` on; the file's own place stays as it is.
#[cfg(unix)]
fn read_at(file: &File, at: u64, to: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, to, at)
}

/// Fills `to` from byte `at` on; nothing here relies on the file's own place.
#[cfg(windows)]
fn read_at(file: &File, at: u64, to: &mut [u8]) -> io::Result<()> {
    let (mut at, mut to) = (at, to);
    while !to.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, to, at)?;
        let rest = to.get_mut(read..).filter(|_| read > 0).ok_or(io::ErrorKind::UnexpectedEof)?;
        (at, to) = (at.saturating_add(read as u64), rest);
    }
    Ok(())
}

fn within(bytes: &[u8], range: Range<u64>) -> Option<&[u8]> {
    bytes.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

/// A result as proofs need it.
pub trait CommittedResult: Send + Sync {
    /// What the provider commits.
    fn root(&self) -> Hash;

    /// Bytes of a job-wide leaf and its path, from the leaf upwards, which lead to the root.
    ///
    /// # Errors
    /// [`ClientError::UnexpectedAccount`] where the shard has no such leaf, [`ClientError::ResultUnreadable`],
    /// [`ClientError::ResultChanged`] where the bytes around it are not those of which the tree was made.
    fn open(&self, leaf: u64) -> Result<(Vec<u8>, Vec<Hash>), ClientError>;
}

impl<T: CommittedResult + ?Sized> CommittedResult for Arc<T> {
    fn root(&self) -> Hash {
        (**self).root()
    }

    fn open(&self, leaf: u64) -> Result<(Vec<u8>, Vec<Hash>), ClientError> {
        (**self).open(leaf)
    }
}

/// A shard's result, its bytes leaf after leaf, under the tree that its provider commits.
#[derive(Clone, Debug)]
pub struct ShardTree<S = Vec<u8>> {
    source: S,
    layout: Layout,
    crown: Crown,
}

/// A result in a file.
///
/// Memory for n leaves: at most `64 * ceil(n / 256) + 1,312` bytes (25 MB for 10^8), while it is made from the file 16 MiB
/// and 3/16 of that more, and for each proof the bytes of 256 leaves and 16 KiB.
pub type ResultFile = ShardTree<File>;

impl ShardTree {
    /// Hashes the result of shard `index` at address `shard` for `provider`.
    ///
    /// # Errors
    /// [`ClientError::UnexpectedAccount`] when the bytes are not as many as the shard's leaves hold.
    pub fn new(
        terms: &JobTerms,
        index: u32,
        shard: &Pubkey,
        provider: &Pubkey,
        bytes: Vec<u8>,
    ) -> Result<Self, ClientError> {
        Self::read(Layout::new(terms, index, shard, provider)?, bytes)
    }

    /// The whole result.
    pub fn bytes(&self) -> &[u8] {
        &self.source
    }

    /// Bytes of a job-wide leaf.
    pub fn leaf(&self, leaf: u64) -> Option<&[u8]> {
        within(&self.source, self.layout.place(leaf..leaf.checked_add(1)?)?)
    }

    /// The salted leaf hashes, made anew.
    pub fn hashes(&self) -> Vec<Hash> {
        self.layout.hashes(self.layout.leaves(), &self.source).unwrap_or_default()
    }
}

impl<S: Source> ShardTree<S> {
    /// Reads a result once from its beginning to its end, and hashes it.
    ///
    /// # Errors
    /// [`ClientError::UnexpectedAccount`] when the bytes are not as many as the shard's leaves hold,
    /// [`ClientError::ResultUnreadable`].
    pub fn read(layout: Layout, source: S) -> Result<Self, ClientError> {
        check_length(&layout, &source)?;
        let count = layout.leaves.end.saturating_sub(layout.leaves.start);
        let memory = || unreadable(&"there is not enough memory for its tree");
        let mut builder = CrownBuilder::new(KEPT_LEVEL, count).ok_or_else(memory)?;
        let mut buffer = Vec::new();
        for leaves in layout.parts() {
            let place = layout.place(leaves.clone()).ok_or_else(|| broken("the job has no such leaf"))?;
            let bytes = source.read(place, &mut buffer).map_err(|error| unreadable(&error))?;
            let count = leaves.end.saturating_sub(leaves.start);
            let nodes = layout.commit(KEPT_LEVEL).nodes(&layout.geometry, leaves, bytes).ok_or_else(memory)?;
            builder.push(KEPT_LEVEL, count, nodes).ok_or_else(|| broken("the job's leaves do not make a tree"))?;
        }
        Ok(Self { source, layout, crown: builder.finish() })
    }

    /// A result whose tree was made when its bytes were.
    ///
    /// # Errors
    /// [`ClientError::UnexpectedAccount`] when bytes or tree are not as long as the shard.
    pub fn with_crown(layout: Layout, source: S, crown: Crown) -> Result<Self, ClientError> {
        check_length(&layout, &source)?;
        if crown.len() != layout.leaves.end.saturating_sub(layout.leaves.start) {
            return Err(broken("the tree has another number of leaves than the shard"));
        }
        Ok(Self { source, layout, crown })
    }

    /// What the provider commits.
    pub fn root(&self) -> Hash {
        self.crown.root()
    }

    /// What its leaves are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Nodes of the tree in memory, of 32 bytes each.
    pub fn nodes(&self) -> u64 {
        self.crown.nodes()
    }

    fn place(&self, leaves: Range<u64>) -> Result<Range<u64>, ClientError> {
        self.layout.place(leaves).ok_or_else(|| broken("the shard has no such leaf"))
    }
}

impl<S: Source + Send + Sync> CommittedResult for ShardTree<S> {
    fn root(&self) -> Hash {
        self.crown.root()
    }

    fn open(&self, leaf: u64) -> Result<(Vec<u8>, Vec<Hash>), ClientError> {
        let own = self.place(leaf..leaf.saturating_add(1))?;
        let first = self.layout.leaves.start;
        let index = leaf.saturating_sub(first);
        let run = self.crown.run_of(index).ok_or_else(|| broken("the shard has no such leaf"))?;
        let run = first.saturating_add(run.start)..first.saturating_add(run.end);
        let place = self.place(run.clone())?;
        let mut buffer = Vec::new();
        let bytes = self.source.read(place.clone(), &mut buffer).map_err(|error| unreadable(&error))?;
        let below = self.layout.hashes(run, bytes).ok_or(ClientError::ResultChanged)?;
        let path = self.crown.path(index, below).ok_or(ClientError::ResultChanged)?;
        let own = own.start.saturating_sub(place.start)..own.end.saturating_sub(place.start);
        Ok((within(bytes, own).ok_or(ClientError::ResultChanged)?.to_vec(), path))
    }
}

fn unreadable(why: &dyn core::fmt::Display) -> ClientError {
    ClientError::ResultUnreadable { why: why.to_string() }
}

fn check_length(layout: &Layout, source: &impl Source) -> Result<(), ClientError> {
    let bytes = source.len().map_err(|error| unreadable(&error))?;
    match bytes.cmp(&layout.bytes) {
        core::cmp::Ordering::Less => Err(broken("the result is shorter than the shard's leaves")),
        core::cmp::Ordering::Greater => Err(broken("the result is longer than the shard's leaves")),
        core::cmp::Ordering::Equal => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]
mod tests {
    use super::*;
    use assay_kernels::merkle::{Tree, salted_leaf_hash, verify_leaf};
    use assay_settlement::CostClass;
    use bytemuck::Zeroable;
    use std::io::{Seek, SeekFrom, Write};

    const KEY: Pubkey = Pubkey::new_from_array([7; 32]);

    /// Two classes of leaves with a short one at the end of each, in two shards.
    fn terms() -> JobTerms {
        let mut terms = JobTerms::zeroed();
        let class = |cells, cells_per_leaf, cell_bytes| CostClass {
            cells,
            cost: 1,
            cells_per_leaf,
            cell_bytes,
            ..CostClass::zeroed()
        };
        terms.class[0] = class(1_999, 2, 8);
        terms.class[1] = class(1_501, 3, 4);
        (terms.classes, terms.leaves, terms.shard_leaves, terms.shards) = (2, 1_501, 900, 2);
        terms
    }

    fn result(layout: &Layout) -> Vec<u8> {
        (0..layout.bytes()).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile();
        file.write_all(bytes).unwrap();
        file
    }

    fn tempfile() -> File {
        let name = format!("assay-result-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file
    }

    #[test]
    fn a_file_proves_what_memory_proves() {
        for (index, leaves) in [(0, 0..900u64), (1, 900..1_501)] {
            let layout = Layout::new(&terms(), index, &KEY, &KEY).unwrap();
            assert_eq!((layout.leaves(), layout.longest_leaf()), (leaves.clone(), 16));
            assert_eq!(Layout::from_bytes(&layout.to_bytes()).as_ref(), Some(&layout));
            let bytes = result(&layout);
            let memory = ShardTree::new(&terms(), index, &KEY, &KEY, bytes.clone()).unwrap();
            let file = ResultFile::read(layout.clone(), file(&bytes)).unwrap();
            let size = leaves.end - leaves.start;
            let mut hashes = Vec::new();
            for leaf in leaves.clone() {
                let place = layout.place(leaf..leaf + 1).unwrap();
                let own = &bytes[place.start as usize..place.end as usize];
                let hash = salted_leaf_hash(&salt(&KEY, &KEY), own);
                hashes.push(hash);
                let opened = file.open(leaf).unwrap();
                assert_eq!(opened, memory.open(leaf).unwrap());
                assert_eq!((opened.0.as_slice(), memory.leaf(leaf)), (own, Some(own)));
                assert!(verify_leaf(&hash, leaf - leaves.start, size, &opened.1, &file.root()));
            }
            let tree = Tree::from_leaf_hashes(hashes.clone());
            assert_eq!((file.root(), memory.root(), memory.hashes()), (tree.root(), tree.root(), hashes));
            assert!(file.nodes() <= 2 * size.div_ceil(256) + 41);
            for leaf in [leaves.start.wrapping_sub(1), leaves.end, u64::MAX] {
                assert!(file.open(leaf).is_err() && memory.open(leaf).is_err() && memory.leaf(leaf).is_none());
            }
        }
    }

    /// What the disk has become is never proven: neither the leaf itself nor one beside it.
    #[test]
    fn a_file_that_changes_is_noticed() {
        let layout = Layout::new(&terms(), 0, &KEY, &KEY).unwrap();
        let bytes = result(&layout);
        let crown = ShardTree::read(layout.clone(), bytes.clone()).unwrap().crown;
        let mut disk = file(&bytes);
        let read = ResultFile::with_crown(layout.clone(), disk.try_clone().unwrap(), crown.clone()).unwrap();
        assert!(read.open(300).is_ok());
        disk.seek(SeekFrom::Start(layout.place(300..301).unwrap().start)).unwrap();
        disk.write_all(&[!bytes[300 * 16]]).unwrap();
        for leaf in [256, 300, 511] {
            assert_eq!(read.open(leaf).unwrap_err().code(), "result-changed");
        }
        assert!(read.open(255).is_ok() && read.open(512).is_ok());
        disk.set_len(300 * 16).unwrap();
        assert_eq!(read.open(512).unwrap_err().code(), "result-unreadable");
        assert!(ResultFile::with_crown(layout.clone(), disk, crown).is_err());
        assert!(ShardTree::read(layout.clone(), bytes[1..].to_vec()).is_err());
        assert!(ShardTree::read(layout, [&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn parts_end_where_kept_nodes_do() {
        let mut terms = terms();
        terms.class[0].cells = 20_000_000;
        terms.class[1] = CostClass::zeroed();
        (terms.classes, terms.leaves, terms.shard_leaves, terms.shards) = (1, 10_000_000, 6_000_000, 2);
        let layout = Layout::new(&terms, 1, &KEY, &KEY).unwrap();
        let parts: Vec<_> = layout.parts().collect();
        assert!(parts.len() > 1 && parts[0].start == 6_000_000 && parts.last().unwrap().end == 10_000_000);
        assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
        for part in &parts {
            assert!((part.start - 6_000_000).is_multiple_of(256));
            let place = layout.place(part.clone()).unwrap();
            assert!(place.end - place.start <= PIECE_BYTES);
        }
        // Leaves of a mebibyte: 256 of them at a time.
        (terms.class[0].cell_bytes, terms.class[0].cells_per_leaf) = (1 << 20, 1);
        (terms.class[0].cells, terms.leaves, terms.shard_leaves, terms.shards) = (1_000, 1_000, 1_000, 1);
        let parts: Vec<_> = Layout::new(&terms, 0, &KEY, &KEY).unwrap().parts().collect();
        assert_eq!(parts, [0..256, 256..512, 512..768, 768..1_000]);
    }
}
