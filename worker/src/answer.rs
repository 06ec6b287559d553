//! Bringing a cell before the judge, or a leaf to the ledger: inline, or by an evidence account that is made, filled in
//! parallel, used and closed. Used by providers to answer and by validators to convict.

use std::{collections::HashSet, mem::offset_of};

use assay_client::{
    answer::{Answer, InputTrees, account_bytes, pieces},
    ix,
    posting::Posting,
    proof::Proof,
    result::CommittedResult,
    wire::Wire,
};
use assay_settlement::{
    EVIDENCE_DISCRIMINATOR, EVIDENCE_HEADER_BYTES, EvidenceHeader, Job, instructions::evidence::header,
    rules::draw::Place,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use solana_account::Account;
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use solana_rpc_client_api::filter::{Memcmp, RpcFilterType};
use solana_signature::Signature;
use tokio::sync::watch;

use crate::{
    chain::{Chain, Order},
    context::Context,
    error::{Result, WorkerError},
    events::{Action, ShardRef},
    journal::Journal,
    step::Wanted,
};

mod stepped;

/// Writes to one evidence account that are under way at the same time.
const WRITES_AT_ONCE: usize = 8;
/// Compute units of one write; simulating each would double the requests.
const WRITE_UNITS: u32 = 40_000;

/// What became of an adjudication or a posting that landed.
pub(crate) struct Judged {
    pub signature: Signature,
    /// Bytes of evidence that were uploaded.
    pub evidence: u64,
}

/// A fresh seed of an evidence account. Random: at an address that can be foretold, a stranger could put a lamport,
/// after which no account can be made there, and so keep an answer from being given.
fn evidence_seed() -> String {
    // A seed has at most 32 bytes.
    hex::encode(rand::random::<[u8; 16]>())
}

/// A provider that answers: evidence is written down in its journal, and made when its lamports allow it.
#[derive(Clone, Copy)]
pub(crate) struct Answering<'a> {
    pub context: &'a Context,
    /// What comes before it, and what after: see [`crate::step::Demand::rank`]. It may come nearer on the way.
    pub rank: &'a watch::Receiver<i64>,
}

/// Sends a transaction of an answer when its turn has come by when the answer is due, of whatever shard: at each transaction
/// an answer is left for a more urgent one. Whoever convicts waits for nobody.
async fn send(chain: &Chain, answering: Option<Answering<'_>>, order: Order<'_>) -> Result<Signature> {
    match answering {
        Some(Answering { rank, .. }) => chain.send_ranked(order, rank).await,
        None => chain.send(order).await,
    }
}

/// Has a cell adjudicated. Evidence accounts are closed again, or stay in the journal to be closed later.
pub(crate) async fn adjudicate(
    chain: &Chain,
    answering: Option<Answering<'_>>,
    job: &Job,
    shard: ShardRef,
    result: &dyn CommittedResult,
    inputs: &InputTrees,
    place: Place,
) -> Result<Judged> {
    // What goes inline anyone can take and send first. A provider loses nothing by that; who convicts keeps to what
    // little fits version 0, and demands such a cell before.
    let wire = if answering.is_some() { chain.largest().await } else { Wire::V0 };
    let Answer { args, evidence } = match Proof::build_for(wire, job, shard.index, result, inputs, place)? {
        Proof::Once(answer) => answer,
        Proof::Steps(steps) => return stepped::adjudicate(chain, answering, job, shard, place, steps).await,
    };
    bring(chain, answering, Action::Adjudicate, shard, place, evidence.as_deref(), |account| {
        ix::adjudicate(chain.me(), &shard.job, job, shard.index, account, args)
    })
    .await
}

/// Posts the demanded leaf at place `at` of the delivery's list to the ledger.
pub(crate) async fn post(
    chain: &Chain,
    answering: Answering<'_>,
    shard: ShardRef,
    result: &dyn CommittedResult,
    at: u8,
    leaf: u64,
) -> Result<Judged> {
    let Posting { bytes, evidence } = Posting::build(chain.largest().await, result, leaf)?;
    let place = Wanted::Leaf { at, leaf }.place();
    bring(chain, Some(answering), Action::PostLeaf, shard, place, evidence.as_deref(), |account| {
        ix::post_leaf(chain.me(), &shard.job, shard.index, at, account, bytes)
    })
    .await
}

/// Sends an instruction with the evidence that it needs, if any.
async fn bring(
    chain: &Chain,
    answering: Option<Answering<'_>>,
    action: Action,
    shard: ShardRef,
    place: Place,
    evidence: Option<&[u8]>,
    instruction: impl FnOnce(Option<Pubkey>) -> Instruction,
) -> Result<Judged> {
    let account = match evidence {
        None => None,
        Some(data) => Some((upload(chain, answering, shard, data, &place).await?, account_bytes(data))),
    };
    let instruction = instruction(account.map(|(address, _)| address));
    let order = Order { action, shard: Some(shard), instructions: &[instruction], units: None };
    let judged = send(chain, answering, order).await;
    if let Some((address, _)) = account {
        close_after(chain, answering, shard, &address, judged.is_ok()).await;
    }
    let evidence = account.map_or(0, |(_, bytes)| u64::try_from(bytes).unwrap_or(u64::MAX));
    Ok(Judged { signature: judged?, evidence })
}

/// Closes the evidence of a judgement that landed or, where nobody would find it again, of one that did not.
async fn close_after(chain: &Chain, answering: Option<Answering<'_>>, shard: ShardRef, address: &Pubkey, landed: bool) {
    let journal = answering.map(|answering| &answering.context.journal);
    // After a failure the next try finds the account in the journal again; without a journal nobody would. Its lamports are
    // those that the next evidence takes: closing has the rank of the answer.
    if (landed || journal.is_none())
        && let Err(error) = close_for(chain, answering, journal, Some(shard), address).await
    {
        // Its lamports wait for the next round of closing; the judgement stands.
        tracing::warn!(%address, %error, "evidence is not closed yet");
    }
}

/// Makes the evidence account, or takes one that an earlier try has made, and writes what is not there yet.
async fn upload(
    chain: &Chain,
    answering: Option<Answering<'_>>,
    shard: ShardRef,
    data: &[u8],
    place: &Place,
) -> Result<Pubkey> {
    let (address, held) = hold(chain, answering, shard, account_bytes(data), data, place).await?;
    write(chain, answering, shard, address, data, &held).await?;
    Ok(address)
}

/// Makes an evidence account of so many bytes, with as much of `data` in it as goes with the making, or takes one that an
/// earlier try has made for this cell; returns what it holds.
async fn hold(
    chain: &Chain,
    answering: Option<Answering<'_>>,
    shard: ShardRef,
    bytes: usize,
    data: &[u8],
    place: &Place,
) -> Result<(Pubkey, Vec<u8>)> {
    let rpc = chain.reader.rpc();
    let earlier = answering.and_then(|Answering { context, .. }| {
        context.noted(context.journal.evidence_for(&shard.shard, place)).flatten()
    });
    let found = match earlier {
        Some(address) => rpc.account(&address).await?.map(|account| (address, account)),
        None => None,
    };
    let usable = |account: &Account| {
        account.owner == assay_settlement::ID
            && account.data.len() == bytes
            && header(&account.data)
                .is_ok_and(|head| head.owner == chain.me() && stepped::done(&head, &shard, place).is_some())
    };
    Ok(match found {
        Some((address, account)) if usable(&account) => (address, account.data),
        _ => {
            let seed = evidence_seed();
            let no_address = || WorkerError::Internal("an evidence account has no address".to_owned());
            let address = ix::evidence_address(&chain.me(), &seed).ok_or_else(no_address)?;
            let lamports = rpc.minimum_balance(bytes).await?;
            let size = u64::try_from(bytes).unwrap_or(u64::MAX);
            let mut make = ix::create_evidence(chain.me(), &seed, size, lamports).ok_or_else(no_address)?.to_vec();
            let first = data.chunks(chain.largest().await.first_piece_bytes()).next().unwrap_or_default();
            let at = u32::try_from(EVIDENCE_HEADER_BYTES).unwrap_or(u32::MAX);
            make.push(ix::write_evidence(chain.me(), address, at, first.to_vec()));
            let turn = match answering {
                Some(Answering { context, rank }) => {
                    let turn = context.turn_for_evidence(rank, lamports).await?;
                    // Where it can't be written down, the account is found on the chain later on and closed.
                    context.noted(context.journal.open_evidence(&address, &shard.shard, place));
                    Some(turn)
                }
                None => None,
            };
            let order = Order { action: Action::CreateEvidence, shard: Some(shard), instructions: &make, units: None };
            send(chain, answering, order).await?;
            drop(turn);
            let mut held = vec![0; EVIDENCE_HEADER_BYTES];
            held.extend_from_slice(first);
            held.resize(bytes, 0);
            (address, held)
        }
    })
}

/// Writes those pieces of `data` that an account does not hold yet.
async fn write(
    chain: &Chain,
    answering: Option<Answering<'_>>,
    shard: ShardRef,
    address: Pubkey,
    data: &[u8],
    held: &[u8],
) -> Result<()> {
    let there = held.get(EVIDENCE_HEADER_BYTES..).unwrap_or_default();
    let same = data.iter().zip(there).take_while(|(wanted, there)| wanted == there).count();
    let missing = pieces(chain.largest().await, same, data).into_iter().filter(|(at, piece)| {
        let at = usize::try_from(*at).unwrap_or(usize::MAX);
        held.get(at..at.saturating_add(piece.len())) != Some(piece)
    });
    let writes = missing.map(|(at, piece)| async move {
        let write = ix::write_evidence(chain.me(), address, at, piece);
        let order = Order {
            action: Action::WriteEvidence,
            shard: Some(shard),
            instructions: &[write],
            units: Some(WRITE_UNITS),
        };
        send(chain, answering, order).await.map(drop)
    });
    stream::iter(writes).buffer_unordered(WRITES_AT_ONCE).try_collect::<()>().await
}

/// Closes an evidence account where there is one, and forgets it.
pub(crate) async fn close_evidence(
    chain: &Chain,
    journal: Option<&Journal>,
    shard: Option<ShardRef>,
    address: &Pubkey,
) -> Result<()> {
    close_for(chain, None, journal, shard, address).await
}

async fn close_for(
    chain: &Chain,
    answering: Option<Answering<'_>>,
    journal: Option<&Journal>,
    shard: Option<ShardRef>,
    address: &Pubkey,
) -> Result<()> {
    let there = chain.reader.rpc().account(address).await?;
    if there.is_some_and(|account| account.owner == assay_settlement::ID) {
        let close = ix::close_evidence(chain.me(), *address);
        let order = Order { action: Action::CloseEvidence, shard, instructions: &[close], units: None };
        send(chain, answering, order).await?;
    }
    if let Some(journal) = journal {
        journal.close_evidence(address)?;
    }
    Ok(())
}

/// Evidence accounts of this key that `journal` does not know: left by a run whose journal is lost, by a daemon that
/// keeps none, or in use by another daemon with the same key.
pub(crate) async fn strays(chain: &Chain, journal: Option<&Journal>) -> Result<Vec<Pubkey>> {
    let owner = offset_of!(EvidenceHeader, owner);
    let filters = vec![
        RpcFilterType::Memcmp(Memcmp::new_raw_bytes(0, EVIDENCE_DISCRIMINATOR.to_vec())),
        RpcFilterType::Memcmp(Memcmp::new_raw_bytes(owner, chain.me().to_bytes().to_vec())),
    ];
    let found = chain.reader.rpc().program_accounts(&assay_settlement::ID, filters).await?;
    // Asked after the chain: what is there by then was written down before it was made.
    let known: HashSet<Pubkey> = match journal {
        Some(journal) => journal.evidence()?.into_iter().map(|(address, _)| address).collect(),
        None => HashSet::new(),
    };
    Ok(found.into_iter().map(|(address, _)| address).filter(|address| !known.contains(address)).collect())
}
