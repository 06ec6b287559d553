//! The judge: check the openings, re-execute the cell, compare. And the clock: slash what was not answered in time.

use super::evidence::owned;
use crate::{
    chain::{account, sysvar, verifier},
    constants::*,
    error::AssayError,
    events::*,
    rules::{
        self, ensure,
        judgement::{Fault, Verdict},
        opening::{Bytes, Commitment, Run, authenticate, cell_matches},
        same,
        time::Now,
    },
    seeds,
    state::{Challenge, Job, JobTerms, Shard},
};
use anchor_lang::prelude::*;
use assay_kernels::abi::{self, IN_EVIDENCE};

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
    /// CHECK: the address of this cell's challenge, vacant or not; needed while the shard has open challenges, so that
    /// nobody takes the bounty of a cell that somebody else has challenged.
    #[account(mut)]
    pub challenge: Option<UncheckedAccount<'info>>,
}

/// Authenticates what a cell reads. Returns the openings as the verifier is told of them, and how many of the inline bytes
/// they use.
pub(super) fn open_all(
    args: &AdjudicateArgs,
    terms: &JobTerms,
    commitment: &Commitment,
    bytes: &Bytes,
) -> Result<(Vec<abi::Opening>, usize)> {
    ensure(args.openings.len() <= MAX_OPENINGS, AssayError::BadOpening)?;
    let mut openings: Vec<abi::Opening> = Vec::with_capacity(args.openings.len());
    let mut inline_end = 0usize;
    for o in &args.openings {
        let run = Run { source: o.source, start: o.start, level: o.level, at: o.at, path_at: o.path_at };
        let opening = authenticate(&run, args.leaf, terms, commitment, bytes)?;
        if opening.at & IN_EVIDENCE == 0 {
            let end = opening.at.checked_add(opening.len).ok_or(AssayError::BadOpening)?;
            inline_end = inline_end.max(usize::try_from(end).map_err(|_| AssayError::BadOpening)?);
        }
        openings.push(opening);
    }
    Ok((openings, inline_end))
}

/// A cell after its re-execution.
pub(super) struct Judged {
    /// Number of the cell inside the shard.
    pub number: u64,
    /// Whether the committed bytes are right.
    pub matches: bool,
}

/// Checks the path of the cell's leaf and compares its bytes with the computed ones.
pub(super) fn compare(
    args: &AdjudicateArgs,
    commitment: &Commitment,
    bytes: &Bytes,
    computed: &[u8],
) -> Result<Judged> {
    let (leaf, span) = commitment.leaf(args.leaf, args.leaf_at, args.leaf_path_at, bytes)?;
    let matches = cell_matches(leaf, &span, args.cell, computed)?;
    let number = span.first_cell.checked_add(u64::from(args.cell)).ok_or(AssayError::Overflow)?;
    Ok(Judged { number, matches })
}

fn judge(
    terms: &JobTerms,
    shard: &Shard,
    shard_key: &Pubkey,
    args: &AdjudicateArgs,
    verifier: &AccountInfo,
    evidence: Option<&AccountInfo>,
    submitter: &Pubkey,
) -> Result<Judged> {
    let commitment = Commitment::of(terms, shard, shard_key)?;
    let borrowed = owned(evidence, submitter)?;
    let bytes = Bytes { inline: &args.inline, evidence: borrowed.as_ref().map_or(&[], |d| d) };
    let (openings, inline_end) = open_all(args, terms, &commitment, &bytes)?;
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
    compare(args, &commitment, &bytes, &computed)
}

/// Where the verdict on a cell is written down.
pub(super) struct Bench<'a, 'info> {
    /// The job's terms.
    pub terms: &'a JobTerms,
    /// Address of the shard.
    pub shard: Pubkey,
    /// What was given as the address of the cell's challenge.
    pub challenge: Option<&'a AccountInfo<'info>>,
    /// Who brought the cell.
    pub submitter: Pubkey,
}

impl Bench<'_, '_> {
    /// Answers or convicts.
    pub fn rule(&self, shard: &mut Shard, judged: &Judged, leaf: u64, cell: u32, now: &Now) -> Result<()> {
        let given = challenge_of(shard, &self.shard, judged.number, self.challenge)?;
        let mut challenge = given.map(account::load_mut::<Challenge>).transpose()?;
        let challenged = challenge.as_deref_mut();
        let (number, matches) = (judged.number, judged.matches);
        match rules::judgement::adjudicate(shard, self.terms, number, matches, challenged, &self.submitter, now)? {
            Verdict::Answered => emit!(CellAnswered {
                shard: self.shard,
                leaf,
                cell,
                answered: shard.answered,
                left: rules::judgement::unanswered(shard, self.terms).count_ones(),
                open_challenges: shard.open_challenges
            }),
            Verdict::Convicted => emit!(ShardSlashed::new(self.shard, shard, Fault::WrongCell, leaf, cell)),
        }
        Ok(())
    }
}

/// Re-executes a cell and judges it: a match answers, a mismatch convicts.
pub fn adjudicate(ctx: Context<Adjudicate>, args: AdjudicateArgs) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::moment()?;
    let key = a.shard.key();
    let (job, mut shard) = (a.job.load()?, a.shard.load_mut()?);
    same(&shard.job, &a.job.key(), AssayError::WrongJob)?;
    same(&job.terms.verifier, &a.verifier.key(), AssayError::WrongVerifier)?;
    let evidence: Option<&AccountInfo> = a.evidence.as_ref().map(|e| e.as_ref());
    let judged = judge(&job.terms, &shard, &key, &args, &a.verifier, evidence, a.submitter.key)?;
    let challenge = a.challenge.as_ref().map(|c| c.as_ref());
    let bench = Bench { terms: &job.terms, shard: key, challenge, submitter: a.submitter.key() };
    bench.rule(&mut shard, &judged, args.leaf, args.cell, &now)
}

/// The challenge account of cell `number`, if there is one. While the shard has open challenges the address must be given,
/// so that whoever judges can't leave a challenger out.
fn challenge_of<'a, 'info>(
    shard: &Shard,
    shard_key: &Pubkey,
    number: u64,
    given: Option<&'a AccountInfo<'info>>,
) -> Result<Option<&'a AccountInfo<'info>>> {
    if shard.open_challenges == 0 {
        return Ok(None);
    }
    let account = given.ok_or(AssayError::WrongChallenge)?;
    let (address, _) =
        Pubkey::find_program_address(&[seeds::CHALLENGE, shard_key.as_ref(), &number.to_le_bytes()], &crate::ID);
    same(&address, account.key, AssayError::WrongChallenge)?;
    Ok(Some(account).filter(|a| !account::is_vacant(a)))
}

/// Accounts of `slash_unanswered`.
#[derive(Accounts)]
pub struct SlashUnanswered<'info> {
    /// Anyone; gets the bounty.
    pub caller: Signer<'info>,
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
    /// A challenge of the shard that is past its due time; the bounty is its challenger's then.
    #[account(mut)]
    pub challenge: Option<AccountLoader<'info, Challenge>>,
}

/// Slashes a shard with a demanded cell past its due time: a drawn or named one, or with `challenge` a challenged one.
pub fn slash_unanswered(ctx: Context<SlashUnanswered>) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::now()?;
    let (job, mut shard) = (a.job.load()?, a.shard.load_mut()?);
    same(&shard.job, &a.job.key(), AssayError::WrongJob)?;
    let late = match &a.challenge {
        Some(challenge) => {
            let mut challenge = challenge.load_mut()?;
            same(&challenge.shard, &a.shard.key(), AssayError::WrongChallenge)?;
            rules::judgement::slash_unanswered_challenge(&mut shard, &job.terms, &mut challenge, &now)?
        }
        None => rules::judgement::slash_unanswered(&mut shard, &job.terms, &a.caller.key(), &now)?,
    };
    let place = job.terms.shard(shard.index).ok_or(AssayError::NoSuchShard)?.place(late)?;
    emit!(ShardSlashed::new(a.shard.key(), &shard, Fault::Unanswered, place.leaf, place.cell));
    Ok(())
}
