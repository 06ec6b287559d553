//! The programs on a cluster: where they are, whether they are there, whether they are the ones we know, and who can
//! change them.
//!
//! No secret key of the declared addresses is published, so on any other cluster both programs have addresses of their
//! own. This crate and whoever links it takes them from the environment when it is compiled: `ASSAY_SETTLEMENT_ID`
//! (read by the settlement crate) and `ASSAY_VERIFIER_ID`.

use crate::{Change, MigrationError, Step};
use assay_client::{Rpc, ix::program_data_address};
use assay_kernels::hash::sha256;
use serde::Serialize;
use solana_pubkey::Pubkey;

/// The verifier's address: the one in `ASSAY_VERIFIER_ID` when this was compiled, else the declared one. It must have no
/// upgrade authority, so that its judgement can't be changed. Its bytes are the same at every address.
pub const VERIFIER: Pubkey = Pubkey::from_str_const(match option_env!("ASSAY_VERIFIER_ID") {
    Some(id) => id,
    None => "CkbT5ZwGQo51LGcYCBCQMHhzmgad5VUAsadGWk8ZEuyv",
});
/// The settlement program's address, see [`assay_settlement::ADDRESS`].
pub const SETTLEMENT: Pubkey = assay_settlement::ID;
/// Owner of programs and of their data.
const UPGRADEABLE_LOADER: Pubkey = assay_settlement::constants::UPGRADEABLE_LOADER;
/// ProgramData: tag u32, slot u64, authority flag u8 and key, then the ELF.
const SLOT_AT: usize = 4;
const AUTHORITY_AT: usize = 12;
pub(crate) const ELF_AT: usize = 45;

/// A program as a cluster holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deployed {
    /// Who may replace it; none when nobody can.
    #[serde(serialize_with = "crate::optional_text")]
    pub upgrade_authority: Option<Pubkey>,
    /// SHA-256 of its ELF without the zeros that fill the account, hex: what `sha256sum` says of the file.
    pub sha256: String,
    /// Bytes that an ELF may have without the account being extended.
    pub capacity: usize,
    /// Slot of its deployment, or of the last change of its bytes.
    pub slot: u64,
    /// Lamports in its ProgramData account.
    pub lamports: u64,
}

/// What lies at the address of a program.
pub(crate) enum At {
    /// Nothing, or lamports only, so many.
    Nothing(u64),
    /// A program, and the bytes after ProgramData's header: its ELF and zeros.
    Program(Deployed, Vec<u8>),
    /// A program that was closed; its address can't be used again.
    Closed,
    /// An account of this owner that is no program of the upgradeable loader.
    Other(Pubkey),
}

/// SHA-256 of an ELF, hex: what `sha256sum` says of the file, also where zeros that fill an account follow it.
pub fn hash_of(elf: &[u8]) -> String {
    let last = elf.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
    let end = last.max(end_of_elf(elf).unwrap_or(0)).min(elf.len());
    sha256(&[elf.get(..end).unwrap_or_default()]).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where a 64-bit little-endian ELF ends by its own headers: behind its last segment and its section table. A file may
/// end in zeros, which nothing else tells from those that fill the account.
fn end_of_elf(elf: &[u8]) -> Option<usize> {
    let long = |at: usize| {
        let bytes = elf.get(at..)?.first_chunk::<8>()?;
        usize::try_from(u64::from_le_bytes(*bytes)).ok()
    };
    let short = |at: usize| Some(usize::from(u16::from_le_bytes(*elf.get(at..)?.first_chunk::<2>()?)));
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    // e_phoff, e_shoff; e_phentsize, e_phnum, e_shentsize, e_shnum; p_offset, p_filesz.
    let sections = long(40)?.checked_add(short(58)?.checked_mul(short(60)?)?)?;
    let mut end = sections;
    for index in 0..short(56)? {
        let header = long(32)?.checked_add(index.checked_mul(short(54)?)?)?;
        let segment = long(header.checked_add(8)?)?.checked_add(long(header.checked_add(32)?)?)?;
        end = end.max(segment);
    }
    Some(end)
}

/// Whether the bytes of a ProgramData account are this ELF: after it only zeros.
pub(crate) fn same(found: &[u8], elf: &[u8]) -> bool {
    found.strip_prefix(elf).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

/// Reads what lies at the address of a program.
///
/// # Errors
/// The chain can't be read.
pub(crate) async fn at(rpc: &Rpc, program: &Pubkey) -> Result<At, MigrationError> {
    let accounts = rpc.accounts(&[*program, program_data_address(program)]).await?;
    let mut accounts = accounts.into_iter();
    let Some(account) = accounts.next().flatten() else { return Ok(At::Nothing(0)) };
    if account.owner == solana_system_interface::program::ID && account.data.is_empty() {
        return Ok(At::Nothing(account.lamports));
    }
    if !account.executable || account.owner != UPGRADEABLE_LOADER {
        return Ok(At::Other(account.owner));
    }
    let Some(data) = accounts.next().flatten().filter(|data| data.owner == UPGRADEABLE_LOADER) else {
        return Ok(At::Closed);
    };
    let key = data.data.get(AUTHORITY_AT.saturating_add(1)..).and_then(|rest| rest.first_chunk::<32>());
    let upgrade_authority = match (data.data.get(AUTHORITY_AT), key) {
        (Some(1), Some(key)) => Some(Pubkey::new_from_array(*key)),
        _ => None,
    };
    let slot = data.data.get(SLOT_AT..).and_then(|rest| rest.first_chunk::<8>()).copied().unwrap_or_default();
    let bytes = data.data.get(ELF_AT..).unwrap_or_default().to_vec();
    let deployed = Deployed {
        upgrade_authority,
        sha256: hash_of(&bytes),
        capacity: bytes.len(),
        slot: u64::from_le_bytes(slot),
        lamports: data.lamports,
    };
    Ok(At::Program(deployed, bytes))
}

/// Reads what is deployed at an address; none when there is no program of the upgradeable loader.
///
/// # Errors
/// The chain can't be read.
pub async fn deployed(rpc: &Rpc, program: &Pubkey) -> Result<Option<Deployed>, MigrationError> {
    match at(rpc, program).await? {
        At::Program(deployed, _) => Ok(Some(deployed)),
        At::Nothing(_) | At::Closed | At::Other(_) => Ok(None),
    }
}

/// What to do where a program is missing.
fn todo(name: &str) -> String {
    format!(
        "On a local chain start it with `assay localnet`. On a cluster of your own deploy it first: \
         assay program deploy --elf assay_{name}.so --program-keypair <keypair of the address>{}; see migrations/README.md",
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
                "the verifier at {address} can still be changed by its upgrade authority, so no kernel of it can be registered: that authority has to run `assay program upgrade --final` with the same ELF"
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
    fn bytes_are_the_same_up_to_the_zeros_that_fill_the_account() {
        assert!(same(b"elf\0\0", b"elf") && same(b"elf", b"elf"));
        assert!(!same(b"elf\0x", b"elf") && !same(b"el", b"elf") && !same(b"fle", b"elf"));
    }

    #[test]
    fn the_zeros_that_fill_an_account_do_not_count() {
        assert_eq!(hash_of(b"elf\0\0\0"), hash_of(b"elf"));
        assert_ne!(hash_of(b"elf\0x"), hash_of(b"elf"));
        assert_eq!(hash_of(&[0; 3]), hash_of(b""));
    }
}
