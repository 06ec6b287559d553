//! A cell that takes several transactions: for each step its piece is written over the last one's in the same evidence
//! account, in whose header the program keeps the state. How far a cell has come is read from there, so a crash costs
//! nothing but the time.

use assay_client::{
    answer::{Answer, account_bytes},
    ix,
};
use assay_settlement::{
    EVIDENCE_HEADER_BYTES, EvidenceHeader, Job, instructions::evidence::header, rules::draw::Place,
};
use solana_pubkey::Pubkey;
use solana_signature::Signature;

use super::{Answering, Judged, close_after, hold, send, write};
use crate::{
    chain::{Chain, Order},
    error::{Result, WorkerError},
    events::{Action, ShardRef},
};

/// Steps of this cell that an account has behind it; none when it carries another cell's state.
pub(super) fn done(head: &EvidenceHeader, shard: &ShardRef, place: &Place) -> Option<u64> {
    if head.stepping == 0 {
        return Some(0);
    }
    let this = head.shard == shard.shard && head.leaf == place.leaf && head.cell == place.cell;
    this.then_some(head.steps)
}

/// Has a cell judged in steps, from the one on that the chain has not done yet.
pub(super) async fn adjudicate(
    chain: &Chain,
    answering: Option<Answering<'_>>,
    job: &Job,
    shard: ShardRef,
    place: Place,
    steps: Vec<Answer>,
) -> Result<Judged> {
    let bytes = steps.iter().filter_map(Answer::evidence_account_bytes).max().unwrap_or(0);
    let first = steps.first().and_then(|step| step.evidence.as_deref()).unwrap_or_default();
    let (address, held) = hold(chain, answering, shard, bytes, first, &place).await?;
    let walk = Walk { chain, answering, job, shard, place, address };
    let judged = walk.on(held, steps).await;
    close_after(chain, answering, shard, &address, judged.is_ok()).await;
    judged
}

struct Walk<'a> {
    chain: &'a Chain,
    answering: Option<Answering<'a>>,
    job: &'a Job,
    shard: ShardRef,
    place: Place,
    address: Pubkey,
}

impl Walk<'_> {
    /// Goes on with the steps that are left. `held`: what the account holds.
    async fn on(&self, mut held: Vec<u8>, steps: Vec<Answer>) -> Result<Judged> {
        let broken = || WorkerError::Internal("an evidence account is not what was made".to_owned());
        // A fresh account that was just made is all zero here.
        let behind = header(&held).map_or(Some(0), |head| done(&head, &self.shard, &self.place)).ok_or_else(broken)?;
        let behind = usize::try_from(behind).map_err(|_| broken())?;
        let (mut last, mut evidence): (Option<Signature>, u64) = (None, 0);
        for Answer { args, evidence: data } in steps.into_iter().skip(behind) {
            let data = data.unwrap_or_default();
            write(self.chain, self.answering, self.shard, self.address, &data, &held).await?;
            let place = held.get_mut(EVIDENCE_HEADER_BYTES..account_bytes(&data)).ok_or_else(broken)?;
            place.copy_from_slice(&data);
            evidence = evidence.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
            let (job, index) = (&self.shard.job, self.shard.index);
            let step = ix::step_cell(self.chain.me(), job, self.job, index, self.address, args);
            let order = Order { action: Action::StepCell, shard: Some(self.shard), instructions: &[step], units: None };
            last = Some(send(self.chain, self.answering, order).await?);
        }
        Ok(Judged { signature: last.ok_or_else(broken)?, evidence })
    }
}
