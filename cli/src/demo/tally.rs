//! Counting what the daemons tell.

use assay_worker::{Event, What};
use serde::Serialize;

/// Counts over all daemons of the demo.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Shards claimed.
    pub claims: u64,
    /// Roots committed.
    pub commits: u64,
    /// Draws made or seen.
    pub draws: u64,
    /// Demanded cells re-executed on chain and found right.
    pub cells_answered: u64,
    /// Bytes of evidence uploaded for them.
    pub evidence_bytes: u64,
    /// Leaves that the validator computed again.
    pub leaves_checked: u64,
    /// Convictions by adjudication on chain that the validator brought about.
    pub convictions: u64,
    /// Steps that failed and were tried again.
    pub troubles: Vec<String>,
}

impl Tally {
    /// Counts one event.
    pub fn count(&mut self, event: &Event) {
        let bump = |number: &mut u64, by: u64| *number = number.saturating_add(by);
        match &event.what {
            What::Claimed { .. } => bump(&mut self.claims, 1),
            What::Committed { .. } => bump(&mut self.commits, 1),
            What::Drawn { .. } => bump(&mut self.draws, 1),
            What::Answered { evidence, .. } => {
                bump(&mut self.cells_answered, 1);
                bump(&mut self.evidence_bytes, *evidence);
            }
            What::Checked { leaves } => bump(&mut self.leaves_checked, *leaves),
            What::Convicted { .. } => bump(&mut self.convictions, 1),
            What::Trouble { code, message } => self.troubles.push(format!("{code}: {message}")),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_answers_and_evidence() {
        let mut tally = Tally::default();
        let event = |what| Event { at: std::time::SystemTime::UNIX_EPOCH, shard: None, signature: None, what };
        tally.count(&event(What::Answered { leaf: 1, cell: 2, evidence: 500 }));
        tally.count(&event(What::Answered { leaf: 1, cell: 2, evidence: 0 }));
        tally.count(&event(What::Stopped));
        assert_eq!((tally.cells_answered, tally.evidence_bytes), (2, 500));
    }
}
