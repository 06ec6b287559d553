//! `Sender` tells apart what became of a transaction, on real chains; and nothing it does pays twice.
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]

mod common;

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use assay_client::{
    client_error::ClientError,
    cluster::Cluster,
    rpc::Rpc,
    send::{Outcome, PACKET_BYTES, Prepared, SendOptions, Sender, TransactionError},
};
use assay_localnet::{Chain, Embedded, EmbeddedOptions, ports::free_block};
use common::{SOL, embedded, funded, immutable, until, validator};
use solana_instruction::{Instruction, error::InstructionError};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_system_interface::instruction::transfer;

/// The system program's error for a transfer of more than there is.
const TOO_FEW_LAMPORTS: u32 = 1;
/// A program that takes any data.
const PROGRAM: Pubkey = Pubkey::new_from_array([5; 32]);
/// Nothing listens there: port 1 is privileged and unused.
const NOBODY: &str = "http://127.0.0.1:1";

async fn landed_and_failed(chain: &Chain) {
    let sender = Sender::new(chain.cluster());
    let (payer, to) = (funded(chain, 10 * SOL).await, Keypair::new().pubkey());
    let poor = funded(chain, SOL).await;
    let good = transfer(&payer.pubkey(), &to, SOL);
    let bad = transfer(&poor.pubkey(), &to, 5 * SOL);

    let (signature, slot) =
        sender.send(std::slice::from_ref(&good), &[&payer], SendOptions::default()).await.unwrap().landed().unwrap();
    let receipt = until("the receipt", || async { sender.rpc().receipt(&signature).await.unwrap() }).await;
    assert_eq!((receipt.succeeded, receipt.fee), (true, 5_000));
    assert!(slot >= receipt.slot);
    assert_eq!(sender.rpc().balance(&to).await.unwrap(), SOL);

    let expected = TransactionError::InstructionError(1, InstructionError::Custom(TOO_FEW_LAMPORTS));
    let simulated = SendOptions::default();
    let preflight = SendOptions { compute_unit_limit: Some(10_000), ..simulated };
    let on_chain = SendOptions { preflight: false, ..preflight };
    let before = sender.rpc().balance(&payer.pubkey()).await.unwrap();
    for (options, sent) in [(simulated, false), (preflight, false), (on_chain, true)] {
        let outcome = sender.send(&[good.clone(), bad.clone()], &[&payer, &poor], options).await.unwrap();
        let Outcome::Failed { signature, error, logs, custom } = outcome else { panic!("{outcome:?}") };
        assert_eq!((error, custom, signature.is_some()), (expected.clone(), Some((1, TOO_FEW_LAMPORTS)), sent));
        assert!(logs.iter().any(|line| line.contains("insufficient lamports")), "{logs:?}");
    }
    // Only the one on chain cost something: the fee of two signatures, and no transfer.
    assert_eq!(before - sender.rpc().balance(&payer.pubkey()).await.unwrap(), 10_000);
    assert_eq!(sender.rpc().balance(&to).await.unwrap(), SOL);
}

async fn refused_before_sending(chain: &Chain) {
    let sender = Sender::new(chain.cluster());
    let payer = funded(chain, SOL).await;
    let send = async |instructions: &[Instruction], signers: &[&(dyn Signer + Sync)], limit: Option<u32>| {
        sender
            .send(instructions, signers, SendOptions { compute_unit_limit: limit, ..SendOptions::default() })
            .await
            .unwrap_err()
    };
    let to = Keypair::new().pubkey();
    let one = transfer(&payer.pubkey(), &to, SOL / 2);

    let many: Vec<_> = (0..60).map(|i| transfer(&payer.pubkey(), &Pubkey::new_from_array([i; 32]), 1)).collect();
    let error = send(&many, &[&payer], None).await;
    assert!(
        matches!(error, ClientError::TransactionTooLarge { bytes, limit: PACKET_BYTES } if bytes > PACKET_BYTES),
        "{error}"
    );

    let stranger = Keypair::new();
    for limit in [None, Some(1_000)] {
        let error = send(&[transfer(&stranger.pubkey(), &to, 1)], &[&stranger], limit).await;
        assert!(
            matches!(error, ClientError::InsufficientSol { payer, lamports: 0, .. } if payer == stranger.pubkey()),
            "{error}"
        );
        let error = send(&[transfer(&stranger.pubkey(), &to, 0), one.clone()], &[&payer], limit.or(Some(1_000))).await;
        assert!(matches!(error, ClientError::SigningFailed { signer, .. } if signer == stranger.pubkey()), "{error}");
    }
    assert_eq!(send(&[one], &[], None).await.code(), "transaction-invalid");
    assert_eq!(sender.rpc().balance(&payer.pubkey()).await.unwrap(), SOL);
}

/// What is counted as a packet is what the chain takes, to the byte.
async fn size_limit(chain: &Chain) {
    let sender = Sender::new(chain.cluster());
    let payer = funded(chain, SOL).await;
    let blockhash = Some(sender.rpc().recent_blockhash().await.unwrap());
    let options =
        SendOptions { compute_unit_limit: Some(10_000), blockhash, preflight: false, ..SendOptions::default() };
    let call = |bytes| Instruction { program_id: PROGRAM, accounts: vec![], data: vec![0; bytes] };
    let mut bytes = 0;
    let refused = loop {
        match sender.prepare(&[call(bytes)], &[&payer], options).await {
            Ok(_) => bytes += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, ClientError::TransactionTooLarge { bytes: 1_233, limit: PACKET_BYTES }), "{refused}");
    sender.send(&[call(bytes - 1)], &[&payer], options).await.unwrap().landed().unwrap();
}

async fn expires(chain: &Chain) {
    let sender = Sender::new(chain.cluster());
    let (payer, to) = (funded(chain, SOL).await, Keypair::new().pubkey());
    let old = sender.rpc().recent_blockhash().await.unwrap();
    until("the blockhash to run out", || async {
        sender.rpc().raw().get_block_height().await.ok().filter(|height| *height > old.last_valid_block_height)
    })
    .await;
    for preflight in [true, false] {
        let options =
            SendOptions { compute_unit_limit: Some(10_000), blockhash: Some(old), preflight, ..SendOptions::default() };
        let outcome = sender.send(&[transfer(&payer.pubkey(), &to, SOL / 2)], &[&payer], options).await.unwrap();
        assert!(matches!(outcome, Outcome::Expired { .. }), "{outcome:?}");
        assert_eq!(outcome.landed().unwrap_err().code(), "transaction-expired");
    }
    assert_eq!(
        (sender.rpc().balance(&payer.pubkey()).await.unwrap(), sender.rpc().balance(&to).await.unwrap()),
        (SOL, 0)
    );
}

async fn pays_once(chain: &Chain) {
    let sender = Sender::new(chain.cluster());
    let (payer, to) = (funded(chain, 3 * SOL).await, Keypair::new().pubkey());
    let options = SendOptions::default();
    let prepared = sender.prepare(&[transfer(&payer.pubkey(), &to, SOL)], &[&payer], options).await.unwrap();
    let Prepared::Ready(signed) = prepared else { panic!("{prepared:?}") };
    // At the same time, and again when it has landed.
    let (first, second) = tokio::join!(sender.submit(&signed, options), sender.submit(&signed, options));
    for outcome in [first.unwrap(), second.unwrap(), sender.submit(&signed, options).await.unwrap()] {
        assert!(matches!(outcome, Outcome::Landed { signature, .. } if signature == signed.signature()), "{outcome:?}");
    }
    assert_eq!(sender.rpc().balance(&to).await.unwrap(), SOL);
    assert_eq!(sender.rpc().balance(&payer.pubkey()).await.unwrap(), 2 * SOL - 5_000);
}

/// Hands everything on to the chain until it has seen a sendTransaction: that one still goes through, but no answer
/// comes back any more, to nobody.
fn falls_silent_after_sending(upstream: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let upstream = upstream.trim_start_matches("http://").to_owned();
    let silent = Arc::new(AtomicBool::new(false));
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            if !silent.load(Ordering::SeqCst) {
                let server = TcpStream::connect(&upstream).unwrap();
                let (client2, server2, silent2) =
                    (client.try_clone().unwrap(), server.try_clone().unwrap(), silent.clone());
                thread::spawn(move || pump(client, server, Some(silent2)));
                let silent = silent.clone();
                thread::spawn(move || {
                    let mut client2 = client2;
                    let mut server2 = server2;
                    let mut buffer = [0; 65_536];
                    while let Ok(count @ 1..) = server2.read(&mut buffer) {
                        if silent.load(Ordering::SeqCst) || client2.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                    }
                    client2.shutdown(Shutdown::Both).ok();
                });
            }
        }
    });
    url
}

fn pump(mut from: TcpStream, mut to: TcpStream, silent: Option<Arc<AtomicBool>>) {
    let mut buffer = [0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if let Some(silent) = &silent
            && String::from_utf8_lossy(&buffer[..count]).contains("sendTransaction")
        {
            silent.store(true, Ordering::SeqCst);
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
}

async fn unknown_but_landed(chain: &Chain) {
    let (payer, to) = (funded(chain, 3 * SOL).await, Keypair::new().pubkey());
    let flaky = Cluster::with_ws(&falls_silent_after_sending(chain.rpc_url()), "ws://127.0.0.1:1").unwrap();
    let options = SendOptions { silence: Duration::from_secs(2), ..SendOptions::default() };
    let outcome = Sender::new(&flaky).send(&[transfer(&payer.pubkey(), &to, SOL)], &[&payer], options).await.unwrap();
    let Outcome::Unknown { signature, .. } = outcome else { panic!("{outcome:?}") };
    // It had gone out: whoever had signed and sent anew would have paid twice.
    let rpc = Rpc::new(chain.cluster());
    let receipt = until("the receipt", || async { rpc.receipt(&signature).await.unwrap() }).await;
    assert!(receipt.succeeded);
    assert_eq!(rpc.balance(&to).await.unwrap(), SOL);
}

async fn all(chain: &Chain) {
    tokio::join!(
        landed_and_failed(chain),
        refused_before_sending(chain),
        pays_once(chain),
        size_limit(chain),
        unknown_but_landed(chain),
        expires(chain)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fates_on_the_embedded_chain() {
    all(&embedded(20, &[immutable(PROGRAM)]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fates_on_the_agave_validator() {
    let Some(chain) = validator(&[immutable(PROGRAM)]).await else { return };
    all(&chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there() {
    let payer = Keypair::new();
    let sender = Sender::new(&Cluster::parse(NOBODY).unwrap());
    let error = sender
        .send(&[transfer(&payer.pubkey(), &payer.pubkey(), 1)], &[&payer], SendOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "chain-unreachable", "{error}");
}

/// Without a WebSocket polling finds out; with TLS towards a port that talks none, too.
#[tokio::test(flavor = "multi_thread")]
async fn lands_without_a_socket() {
    let chain = embedded(20, &[]).await;
    let (payer, to) = (funded(&chain, 5 * SOL).await, Keypair::new().pubkey());
    let tls = chain.ws_url().replace("ws://", "wss://");
    for ws in ["ws://127.0.0.1:1", &tls] {
        let sender = Sender::new(&Cluster::with_ws(chain.rpc_url(), ws).unwrap());
        sender
            .send(&[transfer(&payer.pubkey(), &to, SOL)], &[&payer], SendOptions::default())
            .await
            .unwrap()
            .landed()
            .unwrap();
    }
    assert_eq!(Rpc::new(chain.cluster()).balance(&to).await.unwrap(), 2 * SOL);
}

/// The chain goes away and another comes to the same place: the sender that had a connection makes a new one.
#[tokio::test(flavor = "multi_thread")]
async fn connects_again_when_the_chain_restarts() {
    let port = free_block(2).unwrap();
    let start = async || {
        let options = EmbeddedOptions { rpc_port: Some(port), slot_time: Duration::from_millis(20) };
        Chain::Embedded(until("the port", || async { Embedded::start(options, &[]).await.ok() }).await)
    };
    let chain = start().await;
    let sender = Sender::new(chain.cluster());
    let to = Keypair::new().pubkey();
    let send = async |chain: &Chain| {
        let payer = funded(chain, 2 * SOL).await;
        let outcome = sender.send(&[transfer(&payer.pubkey(), &to, SOL)], &[&payer], SendOptions::default()).await;
        outcome.unwrap().landed().unwrap();
        assert_eq!(sender.rpc().balance(&to).await.unwrap(), SOL);
    };
    send(&chain).await;
    chain.stop();
    let chain = start().await;
    send(&chain).await;
}
