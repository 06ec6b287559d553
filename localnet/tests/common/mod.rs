//! What the tests of both chains share.
// Each test file compiles this for itself and uses a part of it.
#![allow(dead_code)]

use std::{future::Future, time::Duration};

use assay_localnet::{Chain, Embedded, EmbeddedOptions, Program, TestValidator, validator::PATH_VARIABLE};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use surfpool_core::surfnet::noop_program::NOOP_PROGRAM_ELF;

pub const SOL: u64 = 1_000_000_000;

/// A program that returns success, immutable.
pub fn immutable(id: Pubkey) -> Program<'static> {
    Program { id, elf: NOOP_PROGRAM_ELF, upgrade_authority: None }
}

/// An embedded chain with these programs, on free ports.
pub async fn embedded(slot_ms: u64, programs: &[Program<'_>]) -> Chain {
    let options = EmbeddedOptions { slot_time: Duration::from_millis(slot_ms), ..EmbeddedOptions::default() };
    Chain::Embedded(Embedded::start(options, programs).await.unwrap())
}

/// The genuine validator with these programs, where the environment names one.
pub async fn validator(programs: &[Program<'_>]) -> Option<Chain> {
    let Some(binary) = TestValidator::from_environment() else {
        println!("skipped on the Agave test validator: {PATH_VARIABLE} names none");
        return None;
    };
    Some(Chain::TestValidator(TestValidator::start(&binary, programs).await.unwrap()))
}

/// A new account with this many lamports.
pub async fn funded(chain: &Chain, lamports: u64) -> Keypair {
    let key = Keypair::new();
    chain.airdrop(&key.pubkey(), lamports).await.unwrap();
    key
}

/// Asks until the answer is there, for at most a minute.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("gave up waiting: {what}"))
}
