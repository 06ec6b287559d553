//! The judge: check the openings, re-execute the cell, compare. And the clock: slash what was not answered in time.

use super::evidence::header;
use crate::{
    chain::{sysvar, verifier},
    constants::*,
    error::AssayError,
    events::*,
    rules::{
        self,
        opening::{Bytes, Commitment, Run, authenticate, cell_matches},
        shard::{Fault, Verdict},
    },
    state::{Job, JobTerms, Shard},
};
use anchor_lang::prelude::*;
use assay_kernels::{
    abi::{self, IN_EVIDENCE},
    merkle,
};

/// One opening of an adjudication; see `rules::opening::Run`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpeningArgs {
    /// 0 to 3: an input. 255: earlier leaves of the shard.
    pub source: u8,
    /// First chunk, or job-wide number of the leaf.
    pub start: u64,
    /// log2 of the aligned run of chunks; 0 for leaves.
    pub level: u8,
    /// Offset of its bytes: inline, or with the top bit set in the evidence account (counted from its first byte).
    pub at: u32,
    /// Offset of its path, likewise.
    pub path_at: u32,
}

/// A cell, its leaf, and what it reads.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct AdjudicateArgs {
    /// Job-wide leaf.
    pub leaf: u64,
    /// Cell inside the leaf.
    pub cell: u32,
    /// Offset of the leaf's bytes: inline, or with the top bit set in the evidence account.
    pub leaf_at: u32,
    /// Offset of the leaf's path, likewise.
    pub leaf_path_at: u32,
    /// What the cell reads.
    pub openings: Vec<OpeningArgs>,
    /// Inline bytes. Those that openings point to come first: the verifier gets the bytes up to their end.
    pub inline: Vec<u8>,
}

/// Accounts of `adjudicate`.
#[derive(Accounts)]
pub struct Adjudicate<'info> {
    /// Anyone with the data; gets the bounty of a conviction. Owner of the evidence, if there is any.
    pub submitter: Signer<'info>,
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
    /// CHECK: compared with the job's verifier.
    pub verifier: UncheckedAccount<'info>,
    /// CHECK: an Evidence account of the submitter, or this program's id for none.
    pub evidence: Option<UncheckedAccount<'info>>,
}

struct Judged {
    number: u64,
    matches: bool,
}

fn judge(
    terms: &JobTerms,
    shard: &Shard,
    shard_key: &Pubkey,
    args: &AdjudicateArgs,
    verifier: &AccountInfo,
    evidence: Option<&AccountInfo>,
) -> Result<Judged> {
    require!(args.openings.len() <= MAX_OPENINGS, AssayError::BadOpening);
    let commitment = Commitment {
        shard: terms.shard(shard.index).ok_or(AssayError::NoSuchShard)?,
        salt: merkle::salt(&crate::ID.to_bytes(), &shard_key.to_bytes(), &shard.provider.to_bytes()),
        root: shard.root,
    };
    let borrowed = evidence.map(|e| e.try_borrow_data()).transpose()?;
    let bytes = Bytes { inline: &args.inline, evidence: borrowed.as_ref().map_or(&[], |d| d) };
    let (leaf, span) = commitment.leaf(args.leaf, args.leaf_at, args.leaf_path_at, &bytes)?;
    require!(args.cell < span.cells, AssayError::NoSuchCell);
    let mut openings: Vec<abi::Opening> = Vec::with_capacity(args.openings.len());
    let mut inline_end = 0usize;
    for o in &args.openings {
        let run = Run { source: o.source, start: o.start, level: o.level, at: o.at, path_at: o.path_at };
        let opening = authenticate(&run, args.leaf, terms, &commitment, &bytes)?;
        if opening.at & IN_EVIDENCE == 0 {
            let end = opening.at.checked_add(opening.len).ok_or(AssayError::BadOpening)?;
            inline_end = inline_end.max(usize::try_from(end).map_err(|_| AssayError::BadOpening)?);
        }
        openings.push(opening);
    }
    let uses_evidence = openings.iter().any(|o| o.at & IN_EVIDENCE != 0);
    let cell = verifier::Cell {
        kernel: terms.kernel_id,
        params: terms.params(),
        leaf: args.leaf,
        cell: args.cell,
        openings: &openings,
        inline: args.inline.get(..inline_end).ok_or(AssayError::BadOpening)?,
    };
    let computed = verifier::execute(verifier, evidence.filter(|_| uses_evidence), &cell)?;
    let matches = cell_matches(leaf, &span, args.cell, &computed)?;
    let number = span.first_cell.checked_add(u64::from(args.cell)).ok_or(AssayError::Overflow)?;
    Ok(Judged { number, matches })
}

/// Re-executes a cell and judges it: a match answers, a mismatch convicts.
pub fn adjudicate(ctx: Context<Adjudicate>, args: AdjudicateArgs) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::now()?;
    let key = a.shard.key();
    let (job, mut shard) = (a.job.load()?, a.shard.load_mut()?);
    require_keys_eq!(shard.job, a.job.key(), AssayError::WrongJob);
    require_keys_eq!(job.terms.verifier, a.verifier.key(), AssayError::WrongVerifier);
    let evidence: Option<&AccountInfo> = a.evidence.as_ref().map(|e| e.as_ref());
    if let Some(account) = evidence {
        require_keys_eq!(*account.owner, crate::ID, AssayError::NotEvidence);
        let owner = header(&account.try_borrow_data()?)?.owner;
        require_keys_eq!(owner, a.submitter.key(), AssayError::WrongEvidenceOwner);
    }
    let judged = judge(&job.terms, &shard, &key, &args, &a.verifier, evidence)?;
    let verdict =
        rules::shard::adjudicate(&mut shard, &job.terms, judged.number, judged.matches, &a.submitter.key(), &now)?;
    match verdict {
        Verdict::Answered => emit!(CellAnswered {
            shard: key,
            leaf: args.leaf,
            cell: args.cell,
            left: rules::shard::unanswered(&shard, &job.terms).count_ones()
        }),
        Verdict::Convicted => emit!(ShardSlashed {
            shard: key,
            provider: shard.provider,
            fault: Fault::WrongCell as u8,
            leaf: args.leaf,
            cell: args.cell,
            bounty_to: shard.bounty_to,
            compensation: shard.owed_renter,
            bounty: shard.owed_bounty,
            treasury: shard.owed_treasury
        }),
    }
    Ok(())
}

/// Accounts of `slash_unanswered`.
#[derive(Accounts)]
pub struct SlashUnanswered<'info> {
    /// Anyone; gets the bounty.
    pub caller: Signer<'info>,
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
}

/// Slashes a shard with a demanded cell past its due time.
pub fn slash_unanswered(ctx: Context<SlashUnanswered>) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::now()?;
    let (job, mut shard) = (a.job.load()?, a.shard.load_mut()?);
    require_keys_eq!(shard.job, a.job.key(), AssayError::WrongJob);
    let late = rules::shard::slash_unanswered(&mut shard, &job.terms, &a.caller.key(), &now)?;
    let place = job.terms.shard(shard.index).ok_or(AssayError::NoSuchShard)?.place(late)?;
    emit!(ShardSlashed {
        shard: a.shard.key(),
        provider: shard.provider,
        fault: Fault::Unanswered as u8,
        leaf: place.leaf,
        cell: place.cell,
        bounty_to: shard.bounty_to,
        compensation: shard.owed_renter,
        bounty: shard.owed_bounty,
        treasury: shard.owed_treasury
    });
    Ok(())
}
