//! Reading a chain over JSON-RPC: the few requests Assay needs, at commitment `confirmed`, repeated a bounded number
//! of times where the trouble is on the way and repeating changes nothing.

use std::{future::Future, sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use solana_account::Account;
use solana_account_decoder_client_types::{UiAccount, UiAccountEncoding};
use solana_commitment_config::{CommitmentConfig, CommitmentLevel};
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use solana_rpc_client::nonblocking::rpc_client::RpcClient;
use solana_rpc_client_api::{
    client_error::{Error as RpcClientError, ErrorKind, Result as RpcResult},
    config::{
        RpcAccountInfoConfig, RpcProgramAccountsConfig, RpcSendTransactionConfig, RpcSimulateTransactionConfig,
        RpcTransactionConfig,
    },
    filter::RpcFilterType,
    request::RpcError,
    response::RpcSimulateTransactionResult,
};
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_status_client_types::{
    TransactionStatus, UiTransactionEncoding, option_serializer::OptionSerializer,
};

use crate::{
    client_error::{ClientError, Trouble, told, trouble},
    cluster::Cluster,
};

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// Accounts that one getMultipleAccounts takes.
const ACCOUNTS_PER_REQUEST: usize = 100;
/// Newest transaction version a reader understands; without it v1 transactions come back empty.
const NEWEST_TRANSACTION_VERSION: u8 = 1;

/// A blockhash and how long it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentBlockhash {
    /// The hash.
    pub hash: Hash,
    /// Last block height at which a transaction with this hash can land.
    pub last_valid_block_height: u64,
}

/// What a landed transaction cost and said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Slot it landed in.
    pub slot: u64,
    /// Network fee in lamports, priority fee included.
    pub fee: u64,
    /// Compute units it used; None where the node does not say.
    pub compute_units: Option<u64>,
    /// The programs' logs; empty where the node does not keep them.
    pub logs: Vec<String>,
    /// Whether it succeeded.
    pub succeeded: bool,
}

/// Where the chain stands, in one answer of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Height {
    pub slot: u64,
    pub block_height: u64,
}

/// A JSON-RPC connection; cheap to clone.
#[derive(Clone)]
pub struct Rpc {
    inner: Arc<RpcClient>,
    shown: Arc<str>,
}

fn base64_confirmed() -> RpcAccountInfoConfig {
    RpcAccountInfoConfig {
        encoding: Some(UiAccountEncoding::Base64),
        commitment: Some(CommitmentConfig::confirmed()),
        ..RpcAccountInfoConfig::default()
    }
}

impl Rpc {
    /// Connects lazily: nothing is asked before the first request.
    pub fn new(cluster: &Cluster) -> Self {
        let inner = RpcClient::new_with_timeout_and_commitment(
            cluster.rpc_url.clone(),
            REQUEST_TIMEOUT,
            CommitmentConfig::confirmed(),
        );
        Self { inner: Arc::new(inner), shown: cluster.shown().into() }
    }

    /// The underlying client, for requests that are not here. What it sends is not retried, and its errors may
    /// show the whole URL.
    pub fn raw(&self) -> &RpcClient {
        &self.inner
    }

    /// Endpoint without path and query, for messages.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Repeats an idempotent request while the trouble is on the way: about 3 seconds in all, plus timeouts.
    async fn read<T, F>(&self, method: &str, mut request: impl FnMut() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = RpcResult<T>>,
    {
        (|| request())
            .retry(
                ExponentialBuilder::default()
                    .with_min_delay(Duration::from_millis(200))
                    .with_max_times(4)
                    .with_jitter(),
            )
            .when(|error| trouble(error) != Trouble::Refused)
            .await
            .map_err(|error| self.fault(method, &error))
    }

    pub(crate) fn fault(&self, method: &str, error: &RpcClientError) -> ClientError {
        let url = self.shown.to_string();
        let why = told(error);
        match error.kind() {
            ErrorKind::RpcError(RpcError::RpcResponseError { code, .. }) => {
                ClientError::RpcRefused { url, method: method.to_owned(), why, rpc_code: Some(*code) }
            }
            ErrorKind::RpcError(_) | ErrorKind::SerdeJson(_) | ErrorKind::Custom(_) => {
                ClientError::RpcRefused { url, method: method.to_owned(), why, rpc_code: None }
            }
            _ => ClientError::ChainUnreachable { url, why },
        }
    }

    /// Whether the node calls itself healthy; one question, no retries.
    ///
    /// # Errors
    /// [`ClientError::ChainUnreachable`] or [`ClientError::RpcRefused`].
    pub async fn health(&self) -> Result<(), ClientError> {
        self.inner.get_health().await.map_err(|error| self.fault("getHealth", &error))
    }

    /// The confirmed slot.
    ///
    /// # Errors
    /// [`ClientError::ChainUnreachable`] or [`ClientError::RpcRefused`].
    pub async fn slot(&self) -> Result<u64, ClientError> {
        self.read("getSlot", || self.inner.get_slot()).await
    }

    /// Balance in lamports; 0 for an account that does not exist.
    ///
    /// # Errors
    /// [`ClientError::ChainUnreachable`] or [`ClientError::RpcRefused`].
    pub async fn balance(&self, account: &Pubkey) -> Result<u64, ClientError> {
        self.read("getBalance", || self.inner.get_balance(account)).await
    }

    /// Lamports that make an account of `bytes` bytes rent-exempt on this chain now.
    ///
    /// # Errors
    /// [`ClientError::ChainUnreachable`] or [`ClientError::RpcRefused`].
    pub async fn minimum_balance(&self, bytes: usize) -> Result<u64, ClientError> {
        self.read("getMinimumBalanceForRentExemption", || self.inner.get_minimum_balance_for_rent_exemption(bytes))
            .await
    }

    /// One account; None where it does not exist.
    ///
    /// # Errors
    /// [`ClientError::ChainUnreachable`] or [`ClientError::RpcRefused`], or [`ClientError::UnexpectedAccount`] where the
    /// node sends data that can't be decoded.
    pub async fn account(&self, address: &Pubkey) -> Result<Option<Account>, ClientError> {
        Ok(self.accounts(core::slice::from_ref(address)).await?.pop().flatten())
    }

    /// Several accounts, in the order asked for. More than 100 take several requests, which may see different slots.
    ///
    /// # Errors
    /// As [`Rpc::account`].
    pub async fn accounts(&self, addresses: &[Pubkey]) -> Result<Vec<Option<Account>>, ClientError> {
        // Not the client's own helpers for whole accounts: they turn a dead connection into "account not found" and
        // panic on data that can't be decoded.
        let mut accounts = Vec::with_capacity(addresses.len());
        for part in addresses.chunks(ACCOUNTS_PER_REQUEST) {
            let found = self
                .read("getMultipleAccounts", || {
                    self.inner.get_multiple_ui_accounts_with_config(part, base64_confirmed())
                })
                .await?
                .value;
            if found.len() != part.len() {
                let what = format!("the node at {} sent {} accounts, not {}", self.shown, found.len(), part.len());
                return Err(ClientError::UnexpectedAccount { what });
            }
            for (address, account) in part.iter().zip(found) {
                accounts.push(account.map(|account| self.decoded(address, &account)).transpose()?);
            }
        }
        Ok(accounts)
    }

    fn decoded(&self, address: &Pubkey, account: &UiAccount) -> Result<Account, ClientError> {
        account.to_account().ok_or_else(|| ClientError::UnexpectedAccount {
            what: format!("the node at {} sent account {address} in a form that can't be decoded", self.shown),
        })
    }

    /// All accounts of a program that pass the filters.
    ///
    /// # Errors
    /// [`ClientError::ChainUnreachable`], [`ClientError::RpcRefused`], or [`ClientError::UnexpectedAccount`] where
    /// the node sends data that can't be decoded.
    pub async fn program_accounts(
        &self,
        program: &Pubkey,
        filters: Vec<RpcFilterType>,
    ) -> Result<Vec<(Pubkey, Account)>, ClientError> {
        let config = RpcProgramAccountsConfig {
            filters: if filters.is_empty() { None } else { Some(filters) },
            account_config: base64_confirmed(),
            ..RpcProgramAccountsConfig::default()
        };
        let found = self
            .read("getProgramAccounts", || self.inner.get_program_ui_accounts_with_config(program, config.clone()))
            .await?;
        found.into_iter().map(|(address, account)| Ok((address, self.decoded(&address, &account)?))).collect()
    }

    /// A blockhash to sign with.
    ///
    /// # Errors
    /// [`ClientError::ChainUnreachable`] or [`ClientError::RpcRefused`].
    pub async fn recent_blockhash(&self) -> Result<RecentBlockhash, ClientError> {
        let (hash, last_valid_block_height) = self
            .read("getLatestBlockhash", || {
                self.inner.get_latest_blockhash_with_commitment(CommitmentConfig::confirmed())
            })
            .await?;
        Ok(RecentBlockhash { hash, last_valid_block_height })
    }

    /// Asks the cluster's faucet for SOL, once; local chains and test clusters have one. Returns before it is
    /// confirmed.
    ///
    /// # Errors
    /// [`ClientError::ChainUnreachable`], or [`ClientError::RpcRefused`] where there is no faucet or it gives no more.
    pub async fn request_airdrop(&self, to: &Pubkey, lamports: u64) -> Result<Signature, ClientError> {
        self.inner.request_airdrop(to, lamports).await.map_err(|error| self.fault("requestAirdrop", &error))
    }

    /// What a landed transaction cost and logged. None: the node does not know it (not confirmed yet, never landed,
    /// or no longer kept).
    ///
    /// # Errors
    /// [`ClientError::ChainUnreachable`] or [`ClientError::RpcRefused`].
    pub async fn receipt(&self, signature: &Signature) -> Result<Option<Receipt>, ClientError> {
        let config = RpcTransactionConfig {
            encoding: Some(UiTransactionEncoding::Base64),
            commitment: Some(CommitmentConfig::confirmed()),
            max_supported_transaction_version: Some(NEWEST_TRANSACTION_VERSION),
        };
        let found = self
            .read("getTransaction", || async {
                match self.inner.get_transaction_with_config(signature, config).await {
                    Ok(found) => Ok(Some(found)),
                    // `null` for "not found" does not parse as a transaction; some nodes send an error object instead.
                    Err(error) if matches!(error.kind(), ErrorKind::SerdeJson(_)) => Ok(None),
                    Err(error) if told(&error).to_ascii_lowercase().contains("not found") => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .await?;
        let Some(found) = found else { return Ok(None) };
        let Some(meta) = found.transaction.meta else { return Ok(None) };
        Ok(Some(Receipt {
            slot: found.slot,
            fee: meta.fee,
            compute_units: match meta.compute_units_consumed {
                OptionSerializer::Some(units) => Some(units),
                _ => None,
            },
            logs: match meta.log_messages {
                OptionSerializer::Some(logs) => logs,
                _ => Vec::new(),
            },
            succeeded: meta.err.is_none(),
        }))
    }

    /// Runs a transaction without signatures on the confirmed state, with a fresh blockhash.
    pub(crate) async fn simulate(
        &self,
        transaction: &VersionedTransaction,
    ) -> Result<RpcSimulateTransactionResult, ClientError> {
        let config = RpcSimulateTransactionConfig {
            sig_verify: false,
            replace_recent_blockhash: true,
            commitment: Some(CommitmentConfig::confirmed()),
            encoding: Some(UiTransactionEncoding::Base64),
            ..RpcSimulateTransactionConfig::default()
        };
        let result = self
            .read("simulateTransaction", || self.inner.simulate_transaction_with_config(transaction, config.clone()))
            .await?;
        Ok(result.value)
    }

    /// Hands the node a signed transaction, once. The node's own rebroadcasting stays on.
    pub(crate) async fn send_once(&self, transaction: &VersionedTransaction, preflight: bool) -> RpcResult<()> {
        let config = RpcSendTransactionConfig {
            skip_preflight: !preflight,
            preflight_commitment: Some(CommitmentLevel::Confirmed),
            ..RpcSendTransactionConfig::default()
        };
        self.inner.send_transaction_with_config(transaction, config).await.map(|_| ())
    }

    /// Slot and block height at `confirmed`, once.
    pub(crate) async fn height(&self) -> RpcResult<Height> {
        let info = self.inner.get_epoch_info().await?;
        Ok(Height { slot: info.absolute_slot, block_height: info.block_height })
    }

    /// Status of one signature and the slot the node answered at, once. `history` also searches what left the
    /// node's recent memory.
    pub(crate) async fn status(
        &self,
        signature: &Signature,
        history: bool,
    ) -> RpcResult<(u64, Option<TransactionStatus>)> {
        let asked = [*signature];
        let answer = if history {
            self.inner.get_signature_statuses_with_history(&asked).await?
        } else {
            self.inner.get_signature_statuses(&asked).await?
        };
        Ok((answer.context.slot, answer.value.into_iter().next().flatten()))
    }
}
