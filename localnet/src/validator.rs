//! The genuine Agave test validator as a child process: what depends on fees, rent, preflight, finality or real
//! SlotHashes is settled here.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use assay_client::{cluster::Cluster, rpc::Rpc};
use base64::{Engine, prelude::BASE64_STANDARD};
use solana_account::Account;
use solana_pubkey::Pubkey;
use tempfile::TempDir;
use tracing::{debug, warn};

use crate::{LocalnetError, healthy, ports, program::Program};

/// Names the binary of the test validator to use.
pub const PATH_VARIABLE: &str = "ASSAY_TEST_VALIDATOR";

/// A loaded machine takes a while over the genesis ledger and the first programs.
const START_PATIENCE: Duration = Duration::from_secs(90);
/// Somebody else can take a port between its choice and its use.
const ATTEMPTS: usize = 3;
/// JSON-RPC, its WebSocket, the faucet and gossip, then the range for everything else (which has to hold 25 at least).
const FIXED_PORTS: u16 = 4;
const PORTS: u16 = 44;
/// 8 of the usual 64 ticks: about 15 slots a second.
const TICKS_PER_SLOT: &str = "8";
/// Bytes of the log that an error shows.
const TAIL_BYTES: u64 = 4_000;

/// A running test validator. Dropping it kills the process and removes its ledger.
pub struct TestValidator {
    cluster: Cluster,
    child: Child,
    folder: TempDir,
}

impl TestValidator {
    /// The binary that the environment names, if it names one.
    pub fn from_environment() -> Option<PathBuf> {
        std::env::var_os(PATH_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// Starts a chain with these programs loaded, on free ports, with its ledger in a temporary folder; returns once
    /// it is healthy.
    ///
    /// # Errors
    /// [`LocalnetError::Validator`] with the end of its log, [`LocalnetError::NoPorts`], or [`LocalnetError::Io`].
    pub async fn start(binary: &Path, programs: &[Program<'_>]) -> Result<Self, LocalnetError> {
        let mut attempt = 1;
        loop {
            match Self::start_once(binary, programs).await {
                Err(LocalnetError::Validator { tail, .. })
                    if attempt < ATTEMPTS && tail.to_lowercase().contains("in use") =>
                {
                    warn!(attempt, "a port of the test validator was taken meanwhile");
                    attempt = attempt.saturating_add(1);
                }
                result => return result,
            }
        }
    }

    async fn start_once(binary: &Path, programs: &[Program<'_>]) -> Result<Self, LocalnetError> {
        let folder = tempfile::Builder::new()
            .prefix("assay-validator-")
            .tempdir()
            .map_err(|source| io("making a folder for the ledger", source))?;
        let first = ports::free_block(PORTS)?;
        let port = |offset: u16| first.saturating_add(offset);
        let output = folder.path().join("output.log");
        let log = File::create(&output).map_err(|source| io("making the validator's log", source))?;
        let errors = log.try_clone().map_err(|source| io("making the validator's log", source))?;

        let mut command = Command::new(binary);
        command
            .args(["--reset", "--quiet", "--ticks-per-slot", TICKS_PER_SLOT])
            .arg("--ledger")
            .arg(folder.path().join("ledger"))
            .args([
                "--rpc-port",
                &port(0).to_string(),
                "--faucet-port",
                &port(2).to_string(),
                "--gossip-port",
                &port(3).to_string(),
            ])
            .args(["--dynamic-port-range", &format!("{}-{}", port(FIXED_PORTS), port(PORTS))])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        for (address, account) in programs.iter().flat_map(|program| program.accounts(rent)) {
            let path = folder.path().join(format!("{address}.json"));
            fs::write(&path, as_json(&address, &account))
                .map_err(|source| io("writing a program for the validator", source))?;
            command.arg("--account").arg(address.to_string()).arg(path);
        }
        let cluster = Cluster::parse(&format!("http://127.0.0.1:{}", port(0)))?;
        let child = command.spawn().map_err(|source| io(&format!("starting {}", binary.display()), source))?;
        let mut chain = Self { cluster, child, folder };

        let rpc = Rpc::new(&chain.cluster);
        let mut ended = None;
        let is_healthy = healthy(&rpc, START_PATIENCE, || {
            ended = chain.child.try_wait().ok().flatten();
            ended.is_some()
        })
        .await;
        if is_healthy.is_some() {
            return Ok(chain);
        }
        let what = match ended {
            Some(status) => format!("ended ({status}) before it was healthy"),
            None => format!("was not healthy within {} seconds", START_PATIENCE.as_secs()),
        };
        Err(chain.failure(what))
    }

    /// Where it answers.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Stops it and waits until it is gone, its ledger with it.
    pub fn stop(self) {
        drop(self);
    }

    /// The validator's own log inside its ledger, or what it printed where it got no further.
    fn log(&self) -> PathBuf {
        let own = self.folder.path().join("ledger").join("validator.log");
        if own.exists() { own } else { self.folder.path().join("output.log") }
    }

    fn failure(&self, what: String) -> LocalnetError {
        let log = self.log();
        let printed = tail(&self.folder.path().join("output.log"));
        let logged = if log.ends_with("output.log") { String::new() } else { tail(&log) };
        LocalnetError::Validator { what, log, tail: [logged, printed].concat() }
    }
}

impl Drop for TestValidator {
    fn drop(&mut self) {
        // The validator starts no processes of its own: killing it is enough.
        if let Err(error) = self.child.kill() {
            debug!(%error, "the test validator had ended already");
        }
        if let Err(error) = self.child.wait() {
            warn!(%error, "the test validator could not be waited for");
        }
    }
}

/// Lamports for a genesis account of this many bytes: the highest rate any cluster asks, so that it is rent-exempt.
fn rent(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(128).saturating_mul(6_960)
}

/// An account as `--account` reads it. The validator's own `--upgradeable-program ID FILE none` is of no use here: it
/// writes the default public key as upgrade authority instead of none at all, which is what a chain has after
/// `solana program set-upgrade-authority --final` and what the settlement program asks of a verifier.
fn as_json(address: &Pubkey, account: &Account) -> String {
    format!(
        r#"{{"pubkey":"{address}","account":{{"lamports":{},"data":["{}","base64"],"owner":"{}","executable":{},"rentEpoch":{},"space":{}}}}}"#,
        account.lamports,
        BASE64_STANDARD.encode(&account.data),
        account.owner,
        account.executable,
        account.rent_epoch,
        account.data.len(),
    )
}

fn io(what: &str, source: std::io::Error) -> LocalnetError {
    LocalnetError::Io { what: what.to_owned(), source }
}

/// The last lines of a file, as far as it can be read.
fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_else(|error| format!("(the log can't be read: {error})"))
}
