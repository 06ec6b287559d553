//! Cells too large for one transaction: computed in steps, whose state lies in the header of an evidence account.
//!
//! Every step authenticates what it reads, so the bytes of the account may change between steps; the state is written by
//! this program alone and belongs to one cell of one shard.

use super::{
    adjudicate::{AdjudicateArgs, Bench, compare, open_all},
    evidence::{header, owned},
};
use crate::{
    chain::{
        sysvar,
        verifier::{self, Step},
    },
    error::AssayError,
    events::*,
    rules::{
        ensure,
        judgement::state_is,
        opening::{Bytes, Commitment},
        same,
    },
    state::{EVIDENCE_HEADER_BYTES, EvidenceHeader, Job, Shard, ShardState},
};
use anchor_lang::prelude::*;

/// Accounts of `step_cell`.
#[derive(Accounts)]
pub struct StepCell<'info> {
    /// Anyone with the data; gets the bounty of a conviction. Owner of the evidence.
    pub submitter: Signer<'info>,
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
    /// CHECK: compared with the job's verifier.
    pub verifier: UncheckedAccount<'info>,
    /// CHECK: an Evidence account of the submitter, which carries the cell's state.
    #[account(mut)]
    pub evidence: UncheckedAccount<'info>,
    /// CHECK: the address of this cell's challenge, vacant or not; needed while the shard has open challenges.
    #[account(mut)]
    pub challenge: Option<UncheckedAccount<'info>>,
}

/// Carries a cell one step further. The last step judges it, as `adjudicate` does.
pub fn step_cell(ctx: Context<StepCell>, args: AdjudicateArgs) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::moment()?;
    let key = a.shard.key();
    let (job, mut shard) = (a.job.load()?, a.shard.load_mut()?);
    same(&shard.job, &a.job.key(), AssayError::WrongJob)?;
    same(&job.terms.verifier, &a.verifier.key(), AssayError::WrongVerifier)?;
    state_is(&shard, &[ShardState::Committed, ShardState::Sampled])?;
    let terms = &job.terms;
    let commitment = Commitment::of(terms, &shard, &key)?;
    let (mut head, judged) = {
        let Some(borrowed) = owned(Some(&a.evidence), a.submitter.key)? else {
            return Err(AssayError::NotEvidence.into());
        };
        let head = take(header(&borrowed)?, &key, &args)?;
        let bytes = Bytes { inline: &[], evidence: &borrowed };
        let (openings, _) = open_all(&args, terms, &commitment, &bytes)?;
        let cell = verifier::Cell {
            kernel: terms.kernel_id,
            params: terms.params(),
            leaf: args.leaf,
            cell: args.cell,
            openings: &openings,
            inline: &[],
        };
        match verifier::step(&a.verifier, &a.evidence, &cell, head.steps, &head.state)? {
            Step::More(state) => (EvidenceHeader { state: *state, ..head }, None),
            Step::Done(computed) => (head, Some(compare(&args, &commitment, &bytes, &computed)?)),
        }
    };
    match judged {
        None => {
            head.steps = head.steps.checked_add(1).ok_or(AssayError::Overflow)?;
            emit!(CellStepped { shard: key, leaf: args.leaf, cell: args.cell, steps: head.steps });
        }
        Some(judged) => {
            // The account can carry another cell from here on.
            head.stepping = 0;
            let challenge = a.challenge.as_ref().map(|c| c.as_ref());
            let bench = Bench { terms, shard: key, challenge, submitter: a.submitter.key() };
            bench.rule(&mut shard, &judged, args.leaf, args.cell, &now)?;
        }
    }
    let mut data = a.evidence.try_borrow_mut_data()?;
    let place = data.get_mut(..EVIDENCE_HEADER_BYTES).ok_or(AssayError::NotEvidence)?;
    place.copy_from_slice(bytemuck::bytes_of(&head));
    Ok(())
}

/// The header of the account in which this cell's state lies: a fresh state for the first step.
fn take(head: EvidenceHeader, shard: &Pubkey, args: &AdjudicateArgs) -> Result<EvidenceHeader> {
    if head.stepping == 0 {
        let (leaf, cell) = (args.leaf, args.cell);
        return Ok(EvidenceHeader { stepping: 1, shard: *shard, leaf, cell, steps: 0, state: [0; 256], ..head });
    }
    let this = head.shard == *shard && head.leaf == args.leaf && head.cell == args.cell;
    ensure(this, AssayError::OtherCell)?;
    Ok(head)
}
