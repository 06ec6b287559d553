//! The program's accounts, read and decoded.

use crate::{client_error::ClientError, rpc::Rpc};
use anchor_lang::Discriminator;
use assay_settlement::{
    Challenge, Delivery, DrawSeed, Job, JobTerms, Kernel, Market, Provider, Renter, Shard, rules::time::Now, seeds,
};
use bytemuck::Pod;
use core::mem::offset_of;
use solana_account::Account;
use solana_pubkey::Pubkey;
use solana_rpc_client_api::filter::{Memcmp, RpcFilterType};

const CLOCK: Pubkey = Pubkey::from_str_const("SysvarC1ock11111111111111111111111111111111");
const LAST_RESTART_SLOT: Pubkey = Pubkey::from_str_const("SysvarLastRestartS1ot1111111111111111111111");
const SLOT_HASHES: Pubkey = Pubkey::from_str_const("SysvarS1otHashes111111111111111111111111111");
const DISCRIMINATOR_BYTES: usize = 8;

fn unexpected(what: String) -> ClientError {
    ClientError::UnexpectedAccount { what }
}

/// Decodes an account of the settlement program. Checks owner, size and type.
///
/// # Errors
/// [`ClientError::UnexpectedAccount`].
pub fn decode<T: Pod + Discriminator>(address: &Pubkey, account: &Account) -> Result<T, ClientError> {
    if account.owner != assay_settlement::ID {
        return Err(unexpected(format!("{address} is not an account of the settlement program")));
    }
    decode_data(&account.data).ok_or_else(|| {
        let name = core::any::type_name::<T>().rsplit("::").next().unwrap_or_default();
        unexpected(format!("{address} is not a {name} account, or of a newer program than this client knows"))
    })
}

/// Decodes the data of an account whose owner is known to be the settlement program.
pub fn decode_data<T: Pod + Discriminator>(data: &[u8]) -> Option<T> {
    let body = data.strip_prefix(T::DISCRIMINATOR)?;
    bytemuck::try_pod_read_unaligned(body).ok()
}

fn is<T: Discriminator>() -> RpcFilterType {
    RpcFilterType::Memcmp(Memcmp::new_raw_bytes(0, T::DISCRIMINATOR.to_vec()))
}

fn holds(offset: usize, key: &Pubkey) -> RpcFilterType {
    RpcFilterType::Memcmp(Memcmp::new_raw_bytes(DISCRIMINATOR_BYTES.saturating_add(offset), key.to_bytes().to_vec()))
}

/// Reads the program's accounts through one node.
#[derive(Clone)]
pub struct Reader {
    rpc: Rpc,
}

impl Reader {
    /// Reads through `rpc`.
    pub fn new(rpc: Rpc) -> Self {
        Self { rpc }
    }

    /// The node.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    async fn find<T: Pod + Discriminator>(&self, address: &Pubkey) -> Result<Option<T>, ClientError> {
        match self.rpc.account(address).await? {
            Some(account) if account.lamports > 0 && !account.data.is_empty() => decode(address, &account).map(Some),
            _ => Ok(None),
        }
    }

    async fn get<T: Pod + Discriminator>(&self, address: &Pubkey, what: &str) -> Result<T, ClientError> {
        self.find(address).await?.ok_or_else(|| unexpected(format!("there is no {what} at {address}")))
    }

    async fn list<T: Pod + Discriminator>(&self, offset: usize, key: &Pubkey) -> Result<Vec<(Pubkey, T)>, ClientError> {
        let found = self.rpc.program_accounts(&assay_settlement::ID, vec![is::<T>(), holds(offset, key)]).await?;
        found.into_iter().map(|(address, account)| Ok((address, decode(&address, &account)?))).collect()
    }

    /// A market.
    ///
    /// # Errors
    /// Of [`Rpc::account`], or [`ClientError::UnexpectedAccount`] when there is none.
    pub async fn market(&self, address: &Pubkey) -> Result<Market, ClientError> {
        self.get(address, "market").await
    }

    /// A market, where there is one.
    ///
    /// # Errors
    /// Of [`Rpc::account`].
    pub async fn find_market(&self, address: &Pubkey) -> Result<Option<Market>, ClientError> {
        self.find(address).await
    }

    /// A kernel.
    ///
    /// # Errors
    /// As [`Reader::market`].
    pub async fn kernel(&self, address: &Pubkey) -> Result<Kernel, ClientError> {
        self.get(address, "kernel").await
    }

    /// A kernel, where there is one.
    ///
    /// # Errors
    /// Of [`Rpc::account`].
    pub async fn find_kernel(&self, address: &Pubkey) -> Result<Option<Kernel>, ClientError> {
        self.find(address).await
    }

    /// A provider.
    ///
    /// # Errors
    /// As [`Reader::market`].
    pub async fn provider(&self, address: &Pubkey) -> Result<Provider, ClientError> {
        self.get(address, "provider").await
    }

    /// A provider, where there is one.
    ///
    /// # Errors
    /// Of [`Rpc::account`].
    pub async fn find_provider(&self, address: &Pubkey) -> Result<Option<Provider>, ClientError> {
        self.find(address).await
    }

    /// A job.
    ///
    /// # Errors
    /// As [`Reader::market`].
    pub async fn job(&self, address: &Pubkey) -> Result<Job, ClientError> {
        self.get(address, "job").await
    }

    /// A job, where there is one.
    ///
    /// # Errors
    /// Of [`Rpc::account`].
    pub async fn find_job(&self, address: &Pubkey) -> Result<Option<Job>, ClientError> {
        self.find(address).await
    }

    /// A shard; None while nobody has claimed it, and after it was closed.
    ///
    /// # Errors
    /// Of [`Rpc::account`].
    pub async fn shard(&self, job: &Pubkey, index: u32) -> Result<Option<Shard>, ClientError> {
        self.find(&seeds::shard(job, index)).await
    }

    /// The number of the next job of `owner`.
    ///
    /// # Errors
    /// Of [`Rpc::account`].
    pub async fn next_nonce(&self, owner: &Pubkey) -> Result<u64, ClientError> {
        Ok(self.find::<Renter>(&seeds::renter(owner)).await?.map_or(0, |renter| renter.next_nonce))
    }

    /// The recorded seed of a draw window.
    ///
    /// # Errors
    /// Of [`Rpc::account`].
    pub async fn draw_seed(&self, window: u64) -> Result<Option<DrawSeed>, ClientError> {
        self.find(&seeds::draw_seed(window)).await
    }

    /// All jobs of a market.
    ///
    /// # Errors
    /// Of [`Rpc::program_accounts`].
    pub async fn jobs_of_market(&self, market: &Pubkey) -> Result<Vec<(Pubkey, Job)>, ClientError> {
        self.list(offset_of!(Job, terms).saturating_add(offset_of!(JobTerms, market)), market).await
    }

    /// All shards of a job that have an account.
    ///
    /// # Errors
    /// Of [`Rpc::program_accounts`].
    pub async fn shards_of_job(&self, job: &Pubkey) -> Result<Vec<(Pubkey, Shard)>, ClientError> {
        self.list(offset_of!(Shard, job), job).await
    }

    /// All shards whose last claim was of this provider.
    ///
    /// # Errors
    /// Of [`Rpc::program_accounts`].
    pub async fn shards_of_provider(&self, provider: &Pubkey) -> Result<Vec<(Pubkey, Shard)>, ClientError> {
        self.list(offset_of!(Shard, provider), provider).await
    }

    /// The challenge of cell `number` of the shard at `shard`, where there is one.
    ///
    /// # Errors
    /// Of [`Rpc::account`].
    pub async fn challenge(&self, shard: &Pubkey, number: u64) -> Result<Option<Challenge>, ClientError> {
        self.find(&seeds::challenge(shard, number)).await
    }

    /// All challenges of a shard that have an account, whatever became of them.
    ///
    /// # Errors
    /// Of [`Rpc::program_accounts`].
    pub async fn challenges_of_shard(&self, shard: &Pubkey) -> Result<Vec<(Pubkey, Challenge)>, ClientError> {
        self.list(offset_of!(Challenge, shard), shard).await
    }

    /// All challenges of a job's shards, likewise.
    ///
    /// # Errors
    /// Of [`Rpc::program_accounts`].
    pub async fn challenges_of_job(&self, job: &Pubkey) -> Result<Vec<(Pubkey, Challenge)>, ClientError> {
        self.list(offset_of!(Challenge, job), job).await
    }

    /// All challenges that a provider has to answer, or had to, likewise.
    ///
    /// # Errors
    /// Of [`Rpc::program_accounts`].
    pub async fn challenges_of_provider(&self, provider: &Pubkey) -> Result<Vec<(Pubkey, Challenge)>, ClientError> {
        self.list(offset_of!(Challenge, provider), provider).await
    }

    /// All challenges there are, likewise.
    ///
    /// # Errors
    /// Of [`Rpc::program_accounts`].
    pub async fn challenges(&self) -> Result<Vec<(Pubkey, Challenge)>, ClientError> {
        let found = self.rpc.program_accounts(&assay_settlement::ID, vec![is::<Challenge>()]).await?;
        found.into_iter().map(|(address, account)| Ok((address, decode(&address, &account)?))).collect()
    }

    /// The leaves that the renter demanded of the shard at `shard`, where it has.
    ///
    /// # Errors
    /// Of [`Rpc::account`].
    pub async fn delivery(&self, shard: &Pubkey) -> Result<Option<Delivery>, ClientError> {
        self.find(&seeds::delivery(shard)).await
    }

    /// All lists of demanded leaves of a job's shards.
    ///
    /// # Errors
    /// Of [`Rpc::program_accounts`].
    pub async fn deliveries_of_job(&self, job: &Pubkey) -> Result<Vec<(Pubkey, Delivery)>, ClientError> {
        self.list(offset_of!(Delivery, job), job).await
    }

    /// What the chain says about time, as the program will see it.
    ///
    /// # Errors
    /// Of [`Rpc::accounts`], or [`ClientError::UnexpectedAccount`].
    pub async fn now(&self) -> Result<Now, ClientError> {
        let sysvars = self.rpc.accounts(&[CLOCK, LAST_RESTART_SLOT]).await?;
        let bytes = |account: usize, at: usize| -> Option<[u8; 8]> {
            sysvars.get(account)?.as_ref()?.data.get(at..)?.first_chunk().copied()
        };
        let slot = bytes(0, 0).map(u64::from_le_bytes);
        let time = bytes(0, 32).map(i64::from_le_bytes);
        match (slot, time) {
            (Some(slot), Some(time)) => {
                // Clusters without the sysvar have never been restarted.
                let last_restart_slot = bytes(1, 0).map_or(0, u64::from_le_bytes);
                Ok(Now { time, slot, last_restart_slot })
            }
            _ => Err(unexpected("the chain has no clock sysvar".to_owned())),
        }
    }

    /// What the chain's slot hashes hold of a draw window.
    ///
    /// # Errors
    /// Of [`Rpc::account`], or [`ClientError::UnexpectedAccount`].
    pub async fn draw_window(&self, window: u64) -> Result<assay_settlement::rules::window::Window, ClientError> {
        let sysvar = self.rpc.account(&SLOT_HASHES).await?;
        let data = sysvar.map(|account| account.data).unwrap_or_default();
        window_in(&data, window).ok_or_else(|| unexpected("the chain's slot hashes can't be read".to_owned()))
    }
}

/// What the data of the SlotHashes sysvar holds of a draw window; None for data that is cut off.
pub fn window_in(slot_hashes: &[u8], window: u64) -> Option<assay_settlement::rules::window::Window> {
    assay_settlement::rules::window::find(
        |offset, out| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let found = slot_hashes.get(from..from.saturating_add(out.len()));
            out.copy_from_slice(found.ok_or(assay_settlement::error::AssayError::Overflow)?);
            Ok(())
        },
        window,
    )
    .ok()
}

/// A zero-padded text field, up to its first zero.
pub fn text(field: &[u8]) -> &str {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    field.get(..end).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or_default()
}
