//! A program as the upgradeable loader keeps it: the two accounts that a local chain starts with, byte for byte as a
//! deployment leaves them. The settlement program reads the authority of a verifier out of them.

use solana_account::Account;
use solana_pubkey::{Pubkey, pubkey};

/// The upgradeable BPF loader, owner of both accounts.
pub const LOADER: Pubkey = pubkey!("BPFLoaderUpgradeab1e11111111111111111111111");

/// Bytes before the ELF in a ProgramData account: state tag (u32), slot (u64), authority (1 + 32). The ELF begins
/// there with and without an authority.
pub const PROGRAM_DATA_HEADER: usize = 45;

/// Tags of the loader's account states.
const PROGRAM: u32 = 2;
const PROGRAM_DATA: u32 = 3;

/// A program to load when a local chain starts.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its declared id.
    pub id: Pubkey,
    /// The `.so`.
    pub elf: &'a [u8],
    /// Who may replace it; None makes it immutable.
    pub upgrade_authority: Option<Pubkey>,
}

impl Program<'_> {
    /// Address of the account that holds the ELF.
    pub fn data_address(&self) -> Pubkey {
        Pubkey::find_program_address(&[self.id.as_ref()], &LOADER).0
    }

    /// The program account and its ProgramData, each with the lamports that `rent` asks for its size in bytes.
    /// Deployed in slot 0.
    pub(crate) fn accounts(&self, rent: impl Fn(usize) -> u64) -> [(Pubkey, Account); 2] {
        let mut program = PROGRAM.to_le_bytes().to_vec();
        program.extend_from_slice(self.data_address().as_ref());

        let mut data = PROGRAM_DATA.to_le_bytes().to_vec();
        data.extend_from_slice(&0u64.to_le_bytes());
        if let Some(authority) = self.upgrade_authority {
            data.push(1);
            data.extend_from_slice(authority.as_ref());
        }
        data.resize(PROGRAM_DATA_HEADER, 0);
        data.extend_from_slice(self.elf);

        let account = |data: Vec<u8>, executable: bool| Account {
            lamports: rent(data.len()),
            data,
            owner: LOADER,
            executable,
            rent_epoch: u64::MAX,
        };
        // ProgramData first: the program account can't be loaded without it.
        [(self.data_address(), account(data, false)), (self.id, account(program, true))]
    }
}
