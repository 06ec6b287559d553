//! Many transactions at once, as fast as the node takes them, until each is confirmed. None may fail.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use assay_client::Rpc;
use futures_util::{StreamExt, TryStreamExt, stream};
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{VersionedMessage, v0};
use solana_rpc_client_api::config::RpcSendTransactionConfig;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_status_client_types::{TransactionConfirmationStatus, UiTransactionEncoding};
use tokio::sync::Semaphore;

/// Transactions handed over and not confirmed: of more the node drops some.
const IN_FLIGHT: usize = 1_500;
/// Requests under way at the same time.
const AT_ONCE: usize = 64;
/// Signatures that one request asks for.
const STATUSES: usize = 256;
/// How often the chain is asked.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What is not confirmed by then is sent again.
const AGAIN: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(180);

/// One transaction to send.
pub struct Order<'a> {
    /// What it does.
    pub instructions: Vec<Instruction>,
    /// The first pays.
    pub signers: Vec<&'a Keypair>,
    /// Compute units to ask for.
    pub units: u32,
}

/// What a flood took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flood {
    /// Transactions that landed.
    pub transactions: usize,
    /// From the first sent to the last seen confirmed.
    pub seconds: f64,
    /// Transactions that had to be sent more than once.
    pub again: usize,
}

impl std::ops::Add for Flood {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            transactions: self.transactions + other.transactions,
            seconds: self.seconds + other.seconds,
            again: self.again + other.again,
        }
    }
}

/// Transactions that were handed over and are not confirmed, and when they were.
type Open<'a> = Mutex<BTreeMap<Signature, (&'a VersionedTransaction, Instant)>>;

/// Signs them, then sends all and waits for all. Signing is outside the measured time: on a cluster each provider
/// signs its own.
pub async fn send(rpc: &Rpc, orders: Vec<Order<'_>>) -> Result<Flood> {
    let blockhash = rpc.recent_blockhash().await?.hash;
    let sign = |order: &Order<'_>| -> Result<VersionedTransaction> {
        let mut all = order.instructions.clone();
        all.push(ComputeBudgetInstruction::set_compute_unit_limit(order.units));
        let message = v0::Message::try_compile(&order.signers[0].pubkey(), &all, &[], blockhash)?;
        Ok(VersionedTransaction::try_new(VersionedMessage::V0(message), &order.signers)?)
    };
    let transactions = orders.iter().map(sign).collect::<Result<Vec<_>>>()?;
    let distinct: BTreeSet<_> = transactions.iter().map(|t| t.signatures[0]).collect();
    ensure!(distinct.len() == transactions.len(), "two of the transactions are the same");
    let (open, room) = (Open::default(), Semaphore::new(IN_FLIGHT));
    let started = Instant::now();
    let ((), again) =
        tokio::try_join!(feed(rpc, &transactions, &open, &room), watch(rpc, transactions.len(), &open, &room))?;
    Ok(Flood { transactions: transactions.len(), seconds: started.elapsed().as_secs_f64(), again })
}

/// Hands over one after the other where there is room.
async fn feed<'a>(
    rpc: &Rpc,
    transactions: &'a [VersionedTransaction],
    open: &Open<'a>,
    room: &Semaphore,
) -> Result<()> {
    let handed = transactions.iter().map(|transaction| async move {
        room.acquire().await?.forget();
        open.lock().unwrap().insert(transaction.signatures[0], (transaction, Instant::now()));
        hand_over(rpc, transaction).await
    });
    stream::iter(handed).buffer_unordered(AT_ONCE).try_collect().await
}

/// Waits until so many are confirmed, and sends again what is not for long; returns how many those were.
async fn watch(rpc: &Rpc, count: usize, open: &Open<'_>, room: &Semaphore) -> Result<usize> {
    let (mut landed, mut again) = (0, 0);
    let started = Instant::now();
    while landed < count {
        ensure!(started.elapsed() < PATIENCE, "{} transactions are not confirmed", count - landed);
        tokio::time::sleep(LOOK_EVERY).await;
        let asked: Vec<Signature> = open.lock().unwrap().keys().copied().collect();
        let confirmed: BTreeSet<Signature> = confirmed(rpc, &asked).await?.into_iter().collect();
        let late: Vec<_> = {
            let mut open = open.lock().unwrap();
            open.retain(|signature, _| !confirmed.contains(signature));
            open.values_mut()
                .filter(|(_, sent)| sent.elapsed() > AGAIN)
                .map(|(t, sent)| (*sent = Instant::now(), *t).1)
                .collect()
        };
        landed += confirmed.len();
        room.add_permits(confirmed.len());
        again += late.len();
        let late = late.into_iter().map(|transaction| hand_over(rpc, transaction));
        stream::iter(late).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    }
    Ok(again)
}

async fn hand_over(rpc: &Rpc, transaction: &VersionedTransaction) -> Result<()> {
    let config = RpcSendTransactionConfig {
        skip_preflight: true,
        encoding: Some(UiTransactionEncoding::Base64),
        ..RpcSendTransactionConfig::default()
    };
    rpc.raw().send_transaction_with_config(transaction, config).await.context("sendTransaction")?;
    Ok(())
}

/// Those that are confirmed.
async fn confirmed(rpc: &Rpc, asked: &[Signature]) -> Result<Vec<Signature>> {
    let parts = asked.chunks(STATUSES).map(|part| async move {
        let answer = rpc.raw().get_signature_statuses(part).await.context("getSignatureStatuses")?;
        Ok::<_, anyhow::Error>((part, answer.value))
    });
    let mut answers = stream::iter(parts).buffer_unordered(8);
    let mut confirmed = Vec::new();
    while let Some(answer) = answers.next().await {
        let (part, statuses) = answer?;
        for (signature, status) in part.iter().zip(statuses) {
            let Some(status) = status else { continue };
            ensure!(status.err.is_none(), "transaction {signature} failed: {:?}", status.err);
            if status.confirmation_status() != TransactionConfirmationStatus::Processed {
                confirmed.push(*signature);
            }
        }
    }
    Ok(confirmed)
}
