//! Both chains start, load programs as a deployment leaves them, and run transactions; their clocks and slot hashes
//! are what the settlement program builds on.
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]

mod common;

use std::{collections::HashSet, net::TcpListener, path::Path};

use assay_client::{
    rpc::Rpc,
    send::{Outcome, SendOptions, Sender},
};
use assay_localnet::{
    Chain, Embedded, EmbeddedOptions, LocalnetError, Program, TestValidator,
    program::{LOADER, PROGRAM_DATA_HEADER},
};
use common::{SOL, embedded, funded, immutable, until, validator};
use solana_instruction::Instruction;
use solana_pubkey::{Pubkey, pubkey};
use solana_signer::Signer;
use solana_system_interface::instruction::transfer;
use surfpool_core::surfnet::noop_program::NOOP_PROGRAM_ELF;

const CLOCK: Pubkey = pubkey!("SysvarC1ock11111111111111111111111111111111");
const SLOT_HASHES: Pubkey = pubkey!("SysvarS1otHashes111111111111111111111111111");
const LAST_RESTART: Pubkey = pubkey!("SysvarLastRestartS1ot1111111111111111111111");

async fn exercise(chain: &Chain, fixed: Program<'_>, upgradeable: Program<'_>) {
    let rpc = Rpc::new(chain.cluster());
    let payer = funded(chain, SOL).await;
    let to = Pubkey::new_from_array([7; 32]);
    let sender = Sender::new(chain.cluster());
    let sent =
        sender.send(&[transfer(&payer.pubkey(), &to, SOL / 2)], &[&payer], SendOptions::default()).await.unwrap();
    assert!(matches!(sent, Outcome::Landed { .. }), "{sent:?}");
    assert_eq!(rpc.balance(&to).await.unwrap(), SOL / 2);

    for program in [fixed, upgradeable] {
        let account = rpc.account(&program.id).await.unwrap().unwrap();
        assert!(account.executable && account.owner == LOADER);
        assert_eq!(account.data[4..36], program.data_address().to_bytes());
        let data = rpc.account(&program.data_address()).await.unwrap().unwrap();
        assert_eq!(data.owner, LOADER);
        assert_eq!(data.data[PROGRAM_DATA_HEADER..], *program.elf);
        assert_eq!(data.data[..4], 3u32.to_le_bytes());
        match program.upgrade_authority {
            None => assert_eq!(data.data[12], 0),
            Some(key) => assert_eq!((data.data[12], &data.data[13..45]), (1, key.as_ref())),
        }
        let call = Instruction { program_id: program.id, accounts: vec![], data: vec![] };
        let (signature, _) = sender.send(&[call], &[&payer], SendOptions::default()).await.unwrap().landed().unwrap();
        let receipt = until("the receipt", || async { rpc.receipt(&signature).await.unwrap() }).await;
        assert!(receipt.succeeded && receipt.fee == 5_000, "{receipt:?}");
        assert!(receipt.logs.contains(&format!("Program {} success", program.id)), "{receipt:?}");
        assert!(receipt.compute_units.unwrap() > 0);
    }

    let clock = || async {
        let data = rpc.account(&CLOCK).await.unwrap().unwrap().data;
        (u64::from_le_bytes(data[..8].try_into().unwrap()), i64::from_le_bytes(data[32..40].try_into().unwrap()))
    };
    let (slot, time) = clock().await;
    until("the clock to advance", || async { Some(clock().await).filter(|(s, t)| *s > slot && *t >= time + 2) }).await;

    let hashes = rpc.account(&SLOT_HASHES).await.unwrap().unwrap().data;
    let count = u64::from_le_bytes(hashes[..8].try_into().unwrap());
    let entries: Vec<_> = hashes[8..].chunks_exact(40).take(usize::try_from(count).unwrap()).collect();
    assert!(!entries.is_empty() && entries.len() <= 512);
    let slots: Vec<u64> = entries.iter().map(|entry| u64::from_le_bytes(entry[..8].try_into().unwrap())).collect();
    assert!(slots.is_sorted_by(|newer, older| newer > older), "{slots:?}");
    let distinct: HashSet<&[u8]> = entries.iter().map(|entry| &entry[8..]).collect();
    assert_eq!(distinct.len(), entries.len());
    assert_eq!(rpc.account(&LAST_RESTART).await.unwrap().unwrap().data.len(), 8);
    let newest = clock().await.0;
    println!("slot {newest}, slot hashes {count}: {:?} .. {:?}", slots.first(), slots.last());
}

fn programs() -> (Program<'static>, Program<'static>) {
    let upgradeable = Program {
        id: Pubkey::new_unique(),
        elf: NOOP_PROGRAM_ELF,
        upgrade_authority: Some(Pubkey::new_from_array([9; 32])),
    };
    (immutable(Pubkey::new_unique()), upgradeable)
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_chains_run_side_by_side() {
    let (fixed, upgradeable) = programs();
    let all = [fixed, upgradeable];
    let (one, two) = tokio::join!(embedded(20, &all), embedded(20, &all));
    tokio::join!(exercise(&one, fixed, upgradeable), exercise(&two, fixed, upgradeable));
    let url = one.rpc_url().to_owned();
    one.stop();
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    until("the port to be free again", || async { assay_localnet::ports::check(port).ok() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agave_validators_run_side_by_side() {
    let (fixed, upgradeable) = programs();
    let all = [fixed, upgradeable];
    let (one, two) = tokio::join!(validator(&all), validator(&all));
    let (Some(one), Some(two)) = (one, two) else { return };
    tokio::join!(exercise(&one, fixed, upgradeable), exercise(&two, fixed, upgradeable));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_chain_from_starting_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = Embedded::start(EmbeddedOptions { rpc_port: Some(port), ..EmbeddedOptions::default() }, &[]).await;
    assert!(matches!(refused.err().unwrap(), LocalnetError::PortTaken { port: p } if p == port));

    let broken = Program { elf: b"no ELF", ..programs().0 };
    let refused = Embedded::start(EmbeddedOptions::default(), &[broken]).await.err().unwrap();
    assert!(refused.to_string().contains(&broken.id.to_string()), "{refused}");

    // A program that ends at once instead of a validator.
    let refused = TestValidator::start(Path::new("/bin/false"), &[]).await.err().unwrap();
    assert_eq!(refused.code(), "test-validator-failed", "{refused}");
    let missing = TestValidator::start(Path::new("/nonexistent/validator"), &[]).await.err().unwrap();
    assert_eq!(missing.code(), "localnet-io", "{missing}");
}
