//! The programs on a cluster: whether they are there, whether they are the ones we know, and how to put them there.

use crate::{Change, MigrationError, Step};
use assay_client::{Rpc, ix::program_data_address};
use assay_kernels::hash::sha256;
use serde::Serialize;
use solana_pubkey::Pubkey;

/// The verifier's declared address: no upgrade authority, so that its judgement can't be changed.
pub const VERIFIER: Pubkey = Pubkey::from_str_const("CkbT5ZwGQo51LGcYCBCQMHhzmgad5VUAsadGWk8ZEuyv");
/// The settlement program's declared address.
pub const SETTLEMENT: Pubkey = assay_settlement::ID;
/// Owner of programs and of their data.
const UPGRADEABLE_LOADER: Pubkey = assay_settlement::constants::UPGRADEABLE_LOADER;
/// ProgramData: tag u32, slot u64, authority flag u8 and key, then the ELF.
const AUTHORITY_AT: usize = 12;
const ELF_AT: usize = 45;

/// A program as a cluster holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deployed {
    /// Who may replace it; none when nobody can.
    #[serde(serialize_with = "crate::optional_text")]
    pub upgrade_authority: Option<Pubkey>,
    /// SHA-256 of its ELF without the zeros that fill the account, hex.
    pub sha256: String,
}

fn hash_of(elf: &[u8]) -> String {
    let end = elf.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
    sha256(&[elf.get(..end).unwrap_or_default()]).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what is deployed at an address; none when there is no program of the upgradeable loader.
///
/// # Errors
/// The chain can't be read.
pub async fn deployed(rpc: &Rpc, program: &Pubkey) -> Result<Option<Deployed>, MigrationError> {
    let accounts = rpc.accounts(&[*program, program_data_address(program)]).await?;
    let (Some(Some(account)), Some(Some(data))) = (accounts.first(), accounts.get(1)) else { return Ok(None) };
    if !account.executable || account.owner != UPGRADEABLE_LOADER || data.owner != UPGRADEABLE_LOADER {
        return Ok(None);
    }
    let key = data.data.get(AUTHORITY_AT.saturating_add(1)..).and_then(|rest| rest.first_chunk::<32>());
    let upgrade_authority = match (data.data.get(AUTHORITY_AT), key) {
        (Some(1), Some(key)) => Some(Pubkey::new_from_array(*key)),
        _ => None,
    };
    Ok(Some(Deployed { upgrade_authority, sha256: hash_of(data.data.get(ELF_AT..).unwrap_or_default()) }))
}

/// What to do where a program is missing.
fn todo(name: &str) -> String {
    format!(
        "On a local chain start it with `assay localnet`. On a cluster of your own deploy it first: \
         solana program deploy --program-id <keypair of the address> programs/bin/assay_{name}.so{}; see migrations/README.md",
        if name == "verifier" { " --final" } else { "" }
    )
}

/// Checks that both programs are there and that nobody can change the verifier. `known` are the ELFs that they should
/// be, settlement and verifier, where the caller has them: another one is a conflict.
///
/// # Errors
/// A program is missing, is another one, or the verifier can still be changed; or the chain can't be read.
pub async fn check(rpc: &Rpc, known: Option<[&[u8]; 2]>) -> Result<Vec<Step>, MigrationError> {
    let mut steps = Vec::new();
    for (index, (name, address)) in [("settlement", SETTLEMENT), ("verifier", VERIFIER)].into_iter().enumerate() {
        let found = deployed(rpc, &address).await?;
        let found = found.ok_or_else(|| MigrationError::NoProgram { name, address, todo: todo(name) })?;
        if let Some(elf) = known.and_then(|known| known.get(index).copied()) {
            let expected = hash_of(elf);
            if found.sha256 != expected {
                let what = format!(
                    "the {name} program at {address} has SHA-256 {}, this version was built with {expected}: use the version that fits the cluster, or upgrade the program",
                    found.sha256
                );
                return Err(MigrationError::Conflict { what });
            }
        }
        if name == "verifier" && found.upgrade_authority.is_some() {
            let what = format!(
                "the verifier at {address} can still be changed by its upgrade authority, so no kernel of it can be registered: run `solana program set-upgrade-authority {address} --final`"
            );
            return Err(MigrationError::Conflict { what });
        }
        let authority =
            found.upgrade_authority.map_or("nobody can change it".to_owned(), |key| format!("upgrade authority {key}"));
        steps.push(Step {
            change: Change::AlreadyThere,
            ..Step::found(format!("program {name} ({authority})"), address)
        });
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zeros_that_fill_an_account_do_not_count() {
        assert_eq!(hash_of(b"elf\0\0\0"), hash_of(b"elf"));
        assert_ne!(hash_of(b"elf\0x"), hash_of(b"elf"));
        assert_eq!(hash_of(&[0; 3]), hash_of(b""));
    }
}
