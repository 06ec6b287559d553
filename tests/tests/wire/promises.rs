//! What `Sender` promises of a transaction it keeps for version 1, too.

use super::{OldNode, validator};
use anyhow::{Context as _, Result, ensure};
use assay_client::{
    client_error::ClientError,
    ix,
    rpc::RecentBlockhash,
    send::{Outcome, Prepared, SendOptions, Sender, Signed, Wire},
};
use assay_localnet::Chain;
use assay_settlement::{EVIDENCE_HEADER_BYTES, error::AssayError};
use assay_tests::stage::embedded;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::time::{Duration, Instant};

const SOL: u64 = 1_000_000_000;
const HEADER: u32 = EVIDENCE_HEADER_BYTES as u32;
/// May be of version 1, with the limits and the price stated.
const OPTIONS: SendOptions = SendOptions {
    compute_unit_limit: Some(20_000),
    priority_micro_lamports: Some(1_500_000),
    blockhash: None,
    largest: Wire::V1,
    preflight: true,
    silence: Duration::from_secs(30),
    patience: Duration::from_secs(300),
};

/// Somebody with SOL and an evidence account of 16 KiB.
struct Owner {
    sender: Sender,
    key: Keypair,
    evidence: Pubkey,
}

impl Owner {
    async fn new(chain: &Chain, sender: Sender) -> Result<Self> {
        let key = Keypair::new();
        chain.airdrop(&key.pubkey(), 10 * SOL).await?;
        let evidence = ix::evidence_address(&key.pubkey(), "e").context("no address")?;
        let lamports = sender.rpc().minimum_balance(16 << 10).await?;
        let make = ix::create_evidence(key.pubkey(), "e", 16 << 10, lamports).context("no seed")?;
        sender.send(&make, &[&key], SendOptions::default()).await?.landed()?;
        Ok(Self { sender, key, evidence })
    }

    fn write(&self, at: u32, bytes: usize) -> [Instruction; 1] {
        [ix::write_evidence(self.key.pubkey(), self.evidence, at, vec![7; bytes])]
    }

    async fn prepare(&self, bytes: usize, options: SendOptions) -> Result<Signed, ClientError> {
        match self.sender.prepare(&self.write(HEADER, bytes), &[&self.key], options).await? {
            Prepared::Ready(signed) => Ok(signed),
            Prepared::WouldFail(outcome) => outcome.landed().map(|_| unreachable!("it would fail")),
        }
    }

    /// Bytes of the evidence that are written.
    async fn written(&self) -> Result<usize> {
        let account = self.sender.rpc().account(&self.evidence).await?.context("no account")?;
        Ok(account.data[EVIDENCE_HEADER_BYTES..].iter().filter(|byte| **byte == 7).count())
    }
}

async fn promises(chain: Chain) -> Result<()> {
    let owner = Owner::new(&chain, Sender::new(chain.cluster())).await?;
    ensure!(owner.sender.largest(&owner.key.pubkey()).await == Wire::V1, "the chain takes version 1");

    // What is counted as its bytes is what the chain takes, to the byte. What fits version 0 stays version 0.
    let edge = async |from: usize, options: SendOptions| -> Result<(Signed, ClientError)> {
        let (mut bytes, mut last) = (from, None);
        loop {
            match owner.prepare(bytes, options).await {
                Ok(signed) => last = Some(signed),
                Err(error) => return Ok((last.context("already the first is too large")?, error)),
            }
            bytes += 1;
        }
    };
    let blockhash = Some(owner.sender.rpc().recent_blockhash().await?);
    let (packet, too_large) = edge(940, SendOptions { blockhash, largest: Wire::V0, ..OPTIONS }).await?;
    ensure!((packet.wire(), packet.bytes()) == (Wire::V0, 1_232));
    ensure!(matches!(too_large, ClientError::TransactionTooLarge { bytes: 1_233, limit: 1_232 }), "{too_large}");
    let (full, too_large) = edge(3_840, SendOptions { blockhash, ..OPTIONS }).await?;
    ensure!((full.wire(), full.bytes()) == (Wire::V1, 4_096));
    ensure!(matches!(too_large, ClientError::TransactionTooLarge { bytes: 4_097, limit: 4_096 }), "{too_large}");
    ensure!(owner.prepare(958, SendOptions { blockhash, ..OPTIONS }).await?.wire() == Wire::V0);
    ensure!(owner.prepare(959, SendOptions { blockhash, ..OPTIONS }).await?.wire() == Wire::V1);

    // It lands once, however often it is sent, under the signature that was known before, for the fee of one: its
    // signature and a price for each compute unit asked for.
    let payer = owner.key.pubkey();
    let before = owner.sender.rpc().balance(&payer).await?;
    let (first, second) = tokio::join!(owner.sender.submit(&full, OPTIONS), owner.sender.submit(&full, OPTIONS));
    for outcome in [first?, second?, owner.sender.submit(&full, OPTIONS).await?] {
        ensure!(outcome.landed()?.0 == full.signature());
    }
    let started = Instant::now();
    let receipt = loop {
        match owner.sender.rpc().receipt(&full.signature()).await? {
            Some(receipt) => break receipt,
            None => ensure!(started.elapsed() < Duration::from_secs(20), "no receipt"),
        }
    };
    ensure!(receipt.succeeded && receipt.fee == 5_000 + 30_000, "{receipt:?}");
    ensure!(before - owner.sender.rpc().balance(&payer).await? == receipt.fee, "it is paid once");
    ensure!(owner.written().await? == 3_856);

    // A failure is one, with the program's error: in simulation and preflight for nothing, on the chain for the fee.
    let beyond = owner.write(15 << 10, 2_000);
    let before = owner.sender.rpc().balance(&payer).await?;
    let simulated = SendOptions { compute_unit_limit: None, ..OPTIONS };
    for (options, out) in [(simulated, false), (OPTIONS, false), (SendOptions { preflight: false, ..OPTIONS }, true)] {
        let outcome = owner.sender.send(&beyond, &[&owner.key], options).await?;
        let Outcome::Failed { signature, custom, logs, .. } = outcome else { anyhow::bail!("{outcome:?}") };
        ensure!(custom == Some((0, AssayError::EvidenceBounds.into())), "{custom:?}");
        ensure!(signature.is_some() == out && !logs.is_empty());
    }
    ensure!(before - owner.sender.rpc().balance(&payer).await? == 35_000);
    // Measured, it takes what it needs.
    owner.sender.send(&owner.write(HEADER, 3_856), &[&owner.key], simulated).await?.landed()?;

    // Who can't pay is told so.
    let (poor, nobody) = (Keypair::new(), owner.evidence);
    let write = [ix::write_evidence(poor.pubkey(), nobody, HEADER, vec![1; 3_000])];
    let error = owner.sender.send(&write, &[&poor], OPTIONS).await.unwrap_err();
    ensure!(matches!(error, ClientError::InsufficientSol { lamports: 0, .. }), "{error}");

    // After its blockhash it can't land.
    let old = blockhash.context("asked for above")?;
    expired(&owner, old).await?;
    chain.stop();
    Ok(())
}

async fn expired(owner: &Owner, old: RecentBlockhash) -> Result<()> {
    let started = Instant::now();
    while owner.sender.rpc().raw().get_block_height().await? <= old.last_valid_block_height {
        ensure!(started.elapsed() < Duration::from_secs(120), "blocks don't come");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for preflight in [true, false] {
        let options = SendOptions { blockhash: Some(old), preflight, ..OPTIONS };
        let outcome = owner.sender.send(&owner.write(HEADER + 5_000, 3_000), &[&owner.key], options).await?;
        ensure!(matches!(outcome, Outcome::Expired { .. }), "{outcome:?}");
    }
    ensure!(owner.written().await? == 3_856);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_1_keeps_them_on_the_embedded_chain() -> Result<()> {
    promises(embedded().await?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_1_keeps_them_on_the_agave_test_validator() -> Result<()> {
    match validator().await? {
        Some(chain) => promises(chain).await,
        None => Ok(()),
    }
}

/// Behind one address nodes change. What an old one refuses was not sent; the next transaction is of version 0.
async fn refused(chain: &Chain, options: SendOptions) -> Result<()> {
    let node = OldNode::before(chain).await?;
    node.is_old(false);
    let owner = Owner::new(chain, Sender::new(&node.cluster(chain)?)).await?;
    let payer = owner.key.pubkey();
    ensure!(owner.sender.largest(&payer).await == Wire::V1);
    node.is_old(true);
    let error = owner.sender.send(&owner.write(HEADER, 3_000), &[&owner.key], options).await.unwrap_err();
    ensure!(matches!(error, ClientError::RpcRefused { rpc_code: Some(-32602), .. }), "{error}");
    ensure!(owner.sender.largest(&payer).await == Wire::V0, "asked again");
    let error = owner.sender.send(&owner.write(HEADER, 3_000), &[&owner.key], options).await.unwrap_err();
    ensure!(matches!(error, ClientError::TransactionTooLarge { limit: 1_232, .. }), "{error}");
    owner.sender.send(&owner.write(HEADER, 900), &[&owner.key], options).await?.landed()?;
    ensure!(owner.written().await? == 900, "nothing that was refused is there");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_has_the_cluster_asked_again() -> Result<()> {
    // Refused as it is sent, and as it is measured.
    for options in [OPTIONS, SendOptions { compute_unit_limit: None, ..OPTIONS }] {
        let chain = embedded().await?;
        refused(&chain, options).await?;
        chain.stop();
    }
    Ok(())
}

/// Without an answer nothing is supposed, and the next call asks again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_answer_it_is_version_0() -> Result<()> {
    let chain = embedded().await?;
    let sender = Sender::new(chain.cluster());
    let nobody = Keypair::new();
    // Whoever has no SOL can't have a transaction simulated.
    ensure!(sender.largest(&nobody.pubkey()).await == Wire::V0);
    chain.airdrop(&nobody.pubkey(), SOL).await?;
    let started = Instant::now();
    while sender.largest(&nobody.pubkey()).await == Wire::V0 {
        ensure!(started.elapsed() < Duration::from_secs(30), "it is not asked again");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    ensure!(Sender::new(&chain.cluster().clone().v0_only()).largest(&nobody.pubkey()).await == Wire::V0);
    chain.stop();
    Ok(())
}
