//! What a verifier states of a kernel and of a job, as fixed layouts in return data.

use bytemuck::{Pod, Zeroable};

use super::ABI;
use crate::merkle::CHUNK_BYTES;

/// Most inputs of a job.
pub const MAX_INPUTS: usize = 4;
/// Most cost classes of a job.
pub const MAX_CLASSES: usize = 16;
/// Most bytes of a cell: what return data holds.
pub const MAX_CELL_BYTES: u32 = 1024;
/// Most total cost of a job, the sum of cells times cost over its classes.
pub const MAX_WEIGHT: u64 = 1 << 48;
/// Flag of [`Describe`]: cells of one class differ in what they cost to compute, depending on params and data, and
/// draws do not follow that. The amplification stated does not cover it.
pub const FLAG_COST_DEPENDS_ON_DATA: u8 = 1;

/// What `describe` returns: a kernel's limits and costs, whatever the job. 60 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Describe {
    /// [`ABI`].
    pub abi: u8,
    /// Number of inputs, 0 to 4.
    pub inputs: u8,
    /// Number of stages; 1 means unstaged.
    pub stages: u8,
    /// `FLAG_*` bits.
    pub flags: u8,
    /// The kernel's number in its verifier.
    pub kernel: u16,
    /// Most cost classes that a job's geometry may have.
    pub max_cost_classes: u16,
    /// A, in ten-thousandths: the saved share of the cost over the chance that a draw hits. 10,000 is 1.
    pub amplification_bps: u32,
    /// Most bytes of a cell.
    pub cell_bytes_max: u32,
    /// Most bytes of a leaf.
    pub leaf_bytes_max: u32,
    /// Most compute units of one `cell` or `step` inside the verifier, any complete set of openings.
    pub cell_cu_max: u32,
    /// Transactions that an answer takes at most, evidence uploaded in v0 transactions, for all steps.
    pub answer_transactions: u16,
    /// Zero.
    pub reserved: u16,
    /// Most bytes of input chunks and leaves that a cell reads, in all of its steps, paths not counted.
    pub evidence_bytes_max: u32,
    /// Name in ASCII, padded with zeros.
    pub name: [u8; 24],
    /// Version of the kernel's meaning; a change of it is a new verifier.
    pub version: u32,
}

impl Describe {
    /// The name without its padding; empty when it is not ASCII.
    pub fn name(&self) -> &str {
        let len = self.name.iter().position(|byte| *byte == 0).unwrap_or(self.name.len());
        let name = self.name.get(..len).unwrap_or_default();
        core::str::from_utf8(name).ok().filter(|name| name.is_ascii()).unwrap_or_default()
    }

    /// `name` padded with zeros; what does not fit is cut off.
    pub const fn pad_name(name: &str) -> [u8; 24] {
        let from = name.as_bytes();
        let mut padded = [0; 24];
        let mut i = 0usize;
        while i < from.len() && i < padded.len() {
            padded[i] = from[i];
            i = i.wrapping_add(1);
        }
        padded
    }
}

/// A contiguous range of leaves whose cells cost the same. 32 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CostClass {
    /// Cells in the class.
    pub cells: u64,
    /// Relative cost of one cell, at least 1.
    pub cost: u64,
    /// Cells in a leaf; the class's last leaf may have fewer.
    pub cells_per_leaf: u32,
    /// Bytes of a cell.
    pub cell_bytes: u32,
    /// Stage, from 0.
    pub stage: u32,
    /// Zero.
    pub reserved: u32,
}

impl CostClass {
    /// Leaves of the class; `None` when `cells_per_leaf` is zero.
    pub fn leaves(&self) -> Option<u64> {
        let per_leaf = u64::from(self.cells_per_leaf);
        let full = self.cells.checked_div(per_leaf)?;
        if self.cells.checked_rem(per_leaf)? == 0 { Some(full) } else { full.checked_add(1) }
    }
}

/// What `check` returns: how a job with these params is cut and what it reads. 560 bytes.
///
/// Cost classes follow each other: the leaves of class 0 come first. A leaf belongs to one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Geometry {
    /// [`ABI`].
    pub abi: u8,
    /// Number of inputs, 0 to 4.
    pub inputs: u8,
    /// Number of cost classes in use, 1 to 16.
    pub classes: u16,
    /// Transactions that answering a cell of this job takes at most, evidence uploaded in v0 transactions; 0: as many as the
    /// kernel declares.
    pub answer_transactions: u16,
    /// Evidence that a cell of this job takes at most, KiB, begun ones counted; 0: as much as the kernel declares.
    pub evidence_kib: u16,
    /// Shards are cut at multiples of this many leaves.
    pub shard_align: u64,
    /// Exact length of each input in bytes, a multiple of 1,024; zero for those that are not there.
    pub input_bytes: [u64; MAX_INPUTS],
    /// The cost classes; those not in use are zero.
    pub class: [CostClass; MAX_CLASSES],
}

/// What one leaf holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafSpan {
    /// Index of its cost class.
    pub class: usize,
    /// Cells in it.
    pub cells: u32,
    /// Bytes of each cell.
    pub cell_bytes: u32,
    /// Bytes of the leaf.
    pub bytes: u32,
}

/// Where a cell lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellAt {
    /// Job-wide index of its leaf.
    pub leaf: u64,
    /// Index inside the leaf.
    pub cell: u32,
}

impl Geometry {
    /// A geometry without inputs and with one class of equal cells: the base that a kernel fills in.
    pub fn uniform(cells: u64, cells_per_leaf: u32, cell_bytes: u32) -> Self {
        let mut geometry = Self::zeroed();
        geometry.abi = ABI;
        geometry.classes = 1;
        geometry.shard_align = 1;
        let [first, ..] = &mut geometry.class;
        *first = CostClass { cells, cost: 1, cells_per_leaf, cell_bytes, stage: 0, reserved: 0 };
        geometry
    }

    /// The classes in use.
    pub fn used_classes(&self) -> &[CostClass] {
        self.class.get(..usize::from(self.classes)).unwrap_or(&self.class)
    }

    /// Whether every number is within the ABI's limits and all sums that the other methods make are.
    pub fn is_valid(&self) -> bool {
        let used = usize::from(self.classes);
        let inputs = usize::from(self.inputs);
        let class_fits = |class: &CostClass| {
            class.cells > 0
                && class.cost > 0
                && class.cells_per_leaf > 0
                && class.cell_bytes > 0
                && class.cell_bytes <= MAX_CELL_BYTES
                && class.reserved == 0
                && class.cells_per_leaf.checked_mul(class.cell_bytes).is_some()
        };
        let zero = CostClass::default();
        self.abi == ABI
            && self.shard_align > 0
            && (1..=MAX_CLASSES).contains(&used)
            && inputs <= MAX_INPUTS
            && self.input_bytes.iter().take(inputs).all(|len| *len > 0 && len.is_multiple_of(CHUNK_BYTES as u64))
            && self.input_bytes.iter().skip(inputs).all(|len| *len == 0)
            && self.class.iter().take(used).all(class_fits)
            && self.class.iter().skip(used).all(|class| *class == zero)
            && self.weight().is_some_and(|weight| weight <= MAX_WEIGHT)
            && self.bytes().is_some()
    }

    /// Leaves of the job; `None` on overflow.
    pub fn leaves(&self) -> Option<u64> {
        self.used_classes().iter().try_fold(0u64, |sum, class| sum.checked_add(class.leaves()?))
    }

    /// Cells of the job; `None` on overflow.
    pub fn cells(&self) -> Option<u64> {
        self.used_classes().iter().try_fold(0u64, |sum, class| sum.checked_add(class.cells))
    }

    /// Total cost of the job, W: the sum of cells times cost; `None` on overflow.
    pub fn weight(&self) -> Option<u64> {
        self.used_classes().iter().try_fold(0u64, |sum, class| sum.checked_add(class.cells.checked_mul(class.cost)?))
    }

    /// Bytes of the whole result; `None` on overflow.
    pub fn bytes(&self) -> Option<u64> {
        self.used_classes()
            .iter()
            .try_fold(0u64, |sum, class| sum.checked_add(class.cells.checked_mul(u64::from(class.cell_bytes))?))
    }

    /// What leaf `leaf` of the job holds; `None` when there is no such leaf.
    pub fn leaf_span(&self, leaf: u64) -> Option<LeafSpan> {
        let (index, class, inside) = self.class_of_leaf(leaf)?;
        let before = inside.checked_mul(u64::from(class.cells_per_leaf))?;
        let left = class.cells.checked_sub(before)?;
        let cells = u32::try_from(left.min(u64::from(class.cells_per_leaf))).ok()?;
        let bytes = cells.checked_mul(class.cell_bytes)?;
        Some(LeafSpan { class: index, cells, cell_bytes: class.cell_bytes, bytes })
    }

    /// Cells in all leaves before leaf `leaf`, which may be the number of leaves; `None` beyond that.
    pub fn cells_before(&self, leaf: u64) -> Option<u64> {
        self.sum_before(leaf, |_, cells| Some(cells))
    }

    /// Bytes in all leaves before leaf `leaf`, which may be the number of leaves; `None` beyond that.
    pub fn bytes_before(&self, leaf: u64) -> Option<u64> {
        self.sum_before(leaf, |class, cells| cells.checked_mul(u64::from(class.cell_bytes)))
    }

    /// Cost of all cells in leaves before leaf `leaf`, which may be the number of leaves; `None` beyond that.
    pub fn weight_before(&self, leaf: u64) -> Option<u64> {
        self.sum_before(leaf, |class, cells| cells.checked_mul(class.cost))
    }

    /// Leaf and place of cell `cell` of the job; `None` when there is no such cell.
    pub fn locate(&self, cell: u64) -> Option<CellAt> {
        let (mut cell, mut leaves) = (cell, 0u64);
        for class in self.used_classes() {
            if cell < class.cells {
                let per_leaf = u64::from(class.cells_per_leaf);
                let leaf = leaves.checked_add(cell.checked_div(per_leaf)?)?;
                return Some(CellAt { leaf, cell: u32::try_from(cell.checked_rem(per_leaf)?).ok()? });
            }
            cell = cell.checked_sub(class.cells)?;
            leaves = leaves.checked_add(class.leaves()?)?;
        }
        None
    }

    /// Class of a leaf: its index, itself, and the leaf's index among the class's leaves.
    fn class_of_leaf(&self, leaf: u64) -> Option<(usize, &CostClass, u64)> {
        let mut left = leaf;
        for (index, class) in self.used_classes().iter().enumerate() {
            let leaves = class.leaves()?;
            if left < leaves {
                return Some((index, class, left));
            }
            left = left.checked_sub(leaves)?;
        }
        None
    }

    /// Sum over the classes of `of(class, cells of it that lie before leaf)`.
    fn sum_before(&self, leaf: u64, of: impl Fn(&CostClass, u64) -> Option<u64>) -> Option<u64> {
        let (mut left, mut sum) = (leaf, 0u64);
        for class in self.used_classes() {
            let leaves = class.leaves()?.min(left);
            let cells = leaves.checked_mul(u64::from(class.cells_per_leaf))?.min(class.cells);
            sum = sum.checked_add(of(class, cells)?)?;
            left = left.checked_sub(leaves)?;
        }
        (left == 0).then_some(sum)
    }
}
