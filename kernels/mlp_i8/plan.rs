//! What an executor has to make for a run of leaves: which cells of which stages, and what must be known for them.

use core::ops::Range;

use super::{MAX_STAGES, Params};
use crate::executor::ExecError;

/// The cells of one stage of one group that were asked for.
pub(super) struct Part<'a> {
    pub stage: usize,
    /// Among the cells of its group and stage.
    pub cells: Range<u64>,
    pub out: &'a mut [u8],
}

impl<'a> Part<'a> {
    /// Cuts off the front: the cells below `end`.
    pub fn split_front(&mut self, params: &Params, end: u64) -> Result<Part<'a>, ExecError> {
        let end = end.clamp(self.cells.start, self.cells.end);
        let cells = end.saturating_sub(self.cells.start);
        let bytes = cells.saturating_mul(u64::from(params.cell_bytes(self.stage)));
        let bytes = usize::try_from(bytes).map_err(|_| ExecError::LeafRange)?;
        let (front, rest) = core::mem::take(&mut self.out).split_at_mut_checked(bytes).ok_or(ExecError::LeafRange)?;
        let part = Part { stage: self.stage, cells: self.cells.start..end, out: front };
        (self.cells.start, self.out) = (end, rest);
        Ok(part)
    }
}

/// What is to be made of one group.
pub(super) struct Group<'a> {
    pub group: u32,
    /// By stage, each at most once.
    pub parts: Vec<Part<'a>>,
    /// For each stage the samples of the group whose cells are asked for, or read by a later stage that is.
    pub need: [Range<u32>; MAX_STAGES],
}

/// Cuts a run of leaves into groups and stages; `out` has exactly the bytes of these leaves.
pub(super) fn plan<'a>(params: &Params, leaves: Range<u64>, out: &'a mut [u8]) -> Result<Vec<Group<'a>>, ExecError> {
    let mut groups: Vec<Group> = Vec::new();
    let mut out = out;
    for class in params.classes() {
        let end = class.first_leaf.saturating_add(params.leaves(class.group, class.stage));
        let (from, to) = (leaves.start.max(class.first_leaf), leaves.end.min(end));
        if from >= to {
            continue;
        }
        let cells_until = |leaf: u64| {
            let inside = leaf.saturating_sub(class.first_leaf);
            inside
                .saturating_mul(u64::from(params.cells_per_leaf(class.stage)))
                .min(params.cells(class.group, class.stage))
        };
        let mut rest =
            Part { stage: class.stage, cells: cells_until(from)..cells_until(to), out: core::mem::take(&mut out) };
        let end = rest.cells.end;
        let part = rest.split_front(params, end)?;
        out = rest.out;
        match groups.last_mut() {
            Some(group) if group.group == class.group => group.parts.push(part),
            _ => groups.push(Group { group: class.group, parts: vec![part], need: core::array::from_fn(|_| 0..0) }),
        }
    }
    for group in &mut groups {
        let mut later = 0..0;
        for (stage, need) in group.need.iter_mut().enumerate().take(params.stages()).rev() {
            let own = group.parts.iter().find(|part| part.stage == stage).map_or(0..0, |part| {
                let width = u64::from(params.width(stage).max(1));
                let first = part.cells.start.checked_div(width).unwrap_or(0);
                // Samples are below 2^20.
                first as u32..part.cells.end.div_ceil(width) as u32
            });
            *need = hull(own, later);
            later = need.clone();
        }
    }
    if out.is_empty() { Ok(groups) } else { Err(ExecError::LeafRange) }
}

/// The least range that holds both.
fn hull(a: Range<u32>, b: Range<u32>) -> Range<u32> {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b,
        (_, true) => a,
        _ => a.start.min(b.start)..a.end.max(b.end),
    }
}
