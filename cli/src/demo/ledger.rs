//! What the demo says about money, read from the chain alone: every token account of every party, and every
//! transaction with its compute units and lamports.

use crate::error::{CliError, Result};
use assay_client::{ClientError, Rpc, ix, token};
use serde::Serialize;
use solana_commitment_config::CommitmentConfig;
use solana_message::{VersionedMessage, compiled_instruction::CompiledInstruction};
use solana_pubkey::Pubkey;
use solana_rpc_client_api::config::{RpcSignaturesForAddressConfig, RpcTransactionConfig};
use solana_signature::Signature;
use solana_transaction_status_client_types::{UiTransactionEncoding, option_serializer::OptionSerializer};
use std::collections::{BTreeMap, HashSet};

/// Offset of the supply in a mint, bytes.
const SUPPLY_AT: usize = 36;
/// Signatures that one request returns at most.
const PAGE: usize = 1_000;

/// A token account that the demo watches.
#[derive(Clone, Debug)]
pub struct Purse {
    /// Whose it is, for people.
    pub name: String,
    /// The token account.
    pub account: Pubkey,
}

/// What every purse held at one time, base units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Balances {
    /// By the purse's name, in the order of the purses.
    pub of: Vec<(String, u64)>,
    /// Sum of all.
    pub sum: u64,
    /// Supply of the mint.
    pub supply: u64,
}

/// Reads all purses and the mint.
///
/// # Errors
/// The chain can't be read, or a sum is out of range.
pub async fn balances(rpc: &Rpc, mint: &Pubkey, purses: &[Purse]) -> Result<Balances> {
    let mut addresses: Vec<Pubkey> = purses.iter().map(|purse| purse.account).collect();
    addresses.push(*mint);
    let accounts = rpc.accounts(&addresses).await?;
    let held = |account: &Option<_>| match account {
        None => 0,
        Some(account) => token::amount(account_data(account)).unwrap_or(0),
    };
    let of: Vec<(String, u64)> =
        purses.iter().zip(&accounts).map(|(purse, account)| (purse.name.clone(), held(account))).collect();
    let sum = of
        .iter()
        .try_fold(0u64, |sum, (_, held)| sum.checked_add(*held))
        .ok_or_else(|| CliError::internal("the balances overflow"))?;
    let mint = accounts.last().and_then(Option::as_ref).map(account_data).unwrap_or_default();
    let supply =
        mint.get(SUPPLY_AT..).and_then(|rest| rest.first_chunk::<8>()).map_or(0, |bytes| u64::from_le_bytes(*bytes));
    Ok(Balances { of, sum, supply })
}

fn account_data(account: &solana_account::Account) -> &[u8] {
    &account.data
}

/// Sums over all transactions of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StepCost {
    /// Transactions.
    pub transactions: u64,
    /// Of these, how many failed on chain.
    pub failed: u64,
    /// Compute units, in total.
    pub compute_units: u64,
    /// Most compute units of one.
    pub compute_units_max: u64,
    /// Network fees, lamports.
    pub fees: u64,
    /// Rent paid less rent that came back, lamports.
    pub rent: i64,
}

/// Every transaction that touched one of `addresses`, by the settlement program's instructions in it. `wallets` are the
/// parties' own accounts: what they lose beyond fees is rent.
///
/// # Errors
/// The chain can't be read.
pub async fn steps(rpc: &Rpc, addresses: &[Pubkey], wallets: &HashSet<Pubkey>) -> Result<BTreeMap<String, StepCost>> {
    let mut seen = HashSet::new();
    for address in addresses {
        seen.extend(signatures(rpc, address).await?);
    }
    let mut steps: BTreeMap<String, StepCost> = BTreeMap::new();
    for signature in seen {
        let config = RpcTransactionConfig {
            encoding: Some(UiTransactionEncoding::Base64),
            commitment: Some(CommitmentConfig::confirmed()),
            max_supported_transaction_version: Some(1),
        };
        let found = rpc.raw().get_transaction_with_config(&signature, config).await;
        let found = found.map_err(|e| unreadable("getTransaction", &e.to_string()))?;
        let Some(meta) = found.transaction.meta else {
            return Err(unreadable("getTransaction", "it keeps no details of transactions"));
        };
        let decoded = found.transaction.transaction.decode();
        let decoded =
            decoded.ok_or_else(|| unreadable("getTransaction", "it gives transactions in an unknown form"))?;
        let step = steps.entry(name_of(&decoded.message)).or_default();
        let units = match meta.compute_units_consumed {
            OptionSerializer::Some(units) => units,
            _ => 0,
        };
        step.transactions = step.transactions.saturating_add(1);
        step.failed = step.failed.saturating_add(u64::from(meta.err.is_some()));
        step.compute_units = step.compute_units.saturating_add(units);
        step.compute_units_max = step.compute_units_max.max(units);
        step.fees = step.fees.saturating_add(meta.fee);
        let spent = decoded
            .message
            .static_account_keys()
            .iter()
            .zip(meta.pre_balances.iter().zip(&meta.post_balances))
            .filter(|(key, _)| wallets.contains(*key))
            .map(|(_, (before, after))| i128::from(*before).saturating_sub(i128::from(*after)))
            .fold(0i128, i128::saturating_add);
        let rent = i64::try_from(spent.saturating_sub(i128::from(meta.fee))).unwrap_or(i64::MAX);
        step.rent = step.rent.saturating_add(rent);
    }
    Ok(steps)
}

fn unreadable(method: &str, why: &str) -> CliError {
    ClientError::RpcRefused {
        url: "the demo's chain".to_owned(),
        method: method.to_owned(),
        why: why.to_owned(),
        rpc_code: None,
    }
    .into()
}

/// All signatures of transactions that name an address.
async fn signatures(rpc: &Rpc, address: &Pubkey) -> Result<Vec<Signature>> {
    let mut all: Vec<Signature> = Vec::new();
    loop {
        let config = RpcSignaturesForAddressConfig {
            before: all.last().map(Signature::to_string),
            until: None,
            limit: Some(PAGE),
            commitment: Some(CommitmentConfig::confirmed()),
            min_context_slot: None,
        };
        let request = solana_rpc_client_api::request::RpcRequest::GetSignaturesForAddress;
        let page: Vec<solana_rpc_client_api::response::RpcConfirmedTransactionStatusWithSignature> = rpc
            .raw()
            .send(request, serde_json::json!([address.to_string(), config]))
            .await
            .map_err(|e| unreadable("getSignaturesForAddress", &e.to_string()))?;
        let full = page.len() >= PAGE;
        for entry in page {
            let signature = entry
                .signature
                .parse()
                .map_err(|_| unreadable("getSignaturesForAddress", "a signature that is none"))?;
            all.push(signature);
        }
        if !full {
            return Ok(all);
        }
    }
}

/// The settlement program's instructions in a transaction; "token set-up" where there are none.
fn name_of(message: &VersionedMessage) -> String {
    let keys = message.static_account_keys();
    let of_ours = |i: &&CompiledInstruction| keys.get(usize::from(i.program_id_index)) == Some(&assay_settlement::ID);
    let mut names: Vec<&str> =
        message.instructions().iter().filter(of_ours).map(|i| ix::name(&i.data).unwrap_or("unknown")).collect();
    names.dedup();
    if names.is_empty() { "token set-up".to_owned() } else { names.join(" + ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use solana_instruction::Instruction;
    use solana_message::Message;

    #[test]
    fn a_transaction_is_named_by_its_instructions() {
        let named = |instructions: &[Instruction]| {
            name_of(&VersionedMessage::Legacy(Message::new(instructions, Some(&Pubkey::new_from_array([9; 32])))))
        };
        let [owner, job] = [1, 2].map(|n| Pubkey::new_from_array([n; 32]));
        let other = Instruction::new_with_bytes(token::SPL_TOKEN, &[12], Vec::new());
        let (cancel, watch) = (ix::cancel_job(owner, job), ix::set_watch_keys(owner, job, [owner; 2]));
        assert_eq!(named(&[other.clone(), cancel.clone(), cancel, watch]), "cancel_job + set_watch_keys");
        assert_eq!(named(&[other]), "token set-up");
    }
}
