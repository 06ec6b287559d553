//! Surfpool inside this process, offline: real JSON-RPC and PubSub in front of a real SVM, started in under a second.
//!
//! What differs from a cluster: one node that is never wrong about the tip, so confirmations never roll back;
//! blockhashes and SlotHashes follow from the slot number, so anyone can predict a draw; the newest SlotHashes entry
//! is the current slot, where Agave's is the one before; no leader schedule, no forks, no restarts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use assay_client::{cluster::Cluster, rpc::Rpc};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use surfpool_core::{
    runloops::start_local_surfnet_runloop,
    surfnet::{
        GeyserEvent,
        locker::SurfnetSvmLocker,
        svm::{SurfnetSvm, SurfnetSvmConfig},
    },
};
use surfpool_types::{
    BlockProductionMode, ClockCommand, RpcConfig, SimnetCommand, SimnetConfig, SimnetEvent, SurfpoolConfig,
};
use tracing::{debug, warn};

use crate::{LocalnetError, healthy, ports, program::Program};

/// How long the chain may take to start, and to answer.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How often chain time is brought back to real time.
const CLOCK_CARE: Duration = Duration::from_millis(500);
/// The clock thread outlives its chain (Surfpool has no way to end it); told this slot time, it sleeps for good.
const SLEEP_FOR_GOOD_MS: u64 = 24 * 3_600 * 1_000;

/// How to run an embedded chain.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedOptions {
    /// Port of JSON-RPC on 127.0.0.1; the WebSocket gets the next one. None: free ones.
    pub rpc_port: Option<u16>,
    /// Time per slot, at least 1 ms.
    pub slot_time: Duration,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { rpc_port: None, slot_time: Duration::from_millis(50) }
    }
}

/// A running embedded chain. Dropping it stops it.
pub struct Embedded {
    cluster: Cluster,
    commands: Sender<SimnetCommand>,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Embedded {
    /// Starts a chain with these programs loaded; returns once JSON-RPC answers.
    ///
    /// # Errors
    /// [`LocalnetError::PortTaken`], [`LocalnetError::NoPorts`] or [`LocalnetError::NotStarted`], also for a program
    /// that is no valid ELF.
    pub async fn start(options: EmbeddedOptions, programs: &[Program<'_>]) -> Result<Self, LocalnetError> {
        let rpc_port = match options.rpc_port {
            Some(port) => port,
            None => ports::free_block(2)?,
        };
        let ws_port = rpc_port.checked_add(1).ok_or(LocalnetError::NoPorts)?;
        ports::check(rpc_port)?;
        ports::check(ws_port)?;
        let cluster = Cluster::parse(&format!("http://127.0.0.1:{rpc_port}"))?;

        let slot_time = u64::try_from(options.slot_time.as_millis()).unwrap_or(u64::MAX).max(1);
        let (config, svm_config) = configs(rpc_port, ws_port, slot_time);
        let (mut svm, events, geyser) = SurfnetSvm::new(svm_config).map_err(not_started)?;
        for program in programs {
            let rent = |bytes: usize| svm.inner.minimum_balance_for_rent_exemption(bytes);
            for (address, account) in program.accounts(rent) {
                svm.set_account(&address, account).map_err(|error| LocalnetError::NotStarted {
                    why: format!("program {} could not be loaded: {error}", program.id),
                })?;
            }
        }

        let (commands, received) = unbounded();
        let stopping = Arc::new(AtomicBool::new(false));
        let locker = SurfnetSvmLocker::new(svm);
        let chain = spawn_chain(locker.clone(), config, (commands.clone(), received), geyser)?;
        let mut chain = Self { cluster, commands, stopping, threads: vec![chain] };
        chain.wait_for_core(&events)?;
        let caretaker = spawn_caretaker(locker, events, chain.stopping.clone())?;
        chain.threads.push(caretaker);

        let rpc = Rpc::new(&chain.cluster);
        match healthy(&rpc, START_PATIENCE, || chain.ended()).await {
            Some(()) => Ok(chain),
            None => Err(LocalnetError::NotStarted { why: format!("JSON-RPC on port {rpc_port} does not answer") }),
        }
    }

    /// Where it answers.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Stops it and waits until it is gone, its state with it.
    pub fn stop(self) {
        drop(self);
    }

    fn ended(&self) -> bool {
        self.threads.first().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the servers to be bound, which takes well under a second.
    fn wait_for_core(&self, events: &Receiver<SimnetEvent>) -> Result<(), LocalnetError> {
        let started = Instant::now();
        while started.elapsed() < START_PATIENCE {
            match events.recv_timeout(CLOCK_CARE) {
                Ok(SimnetEvent::CoreStarted(_)) => return Ok(()),
                Ok(SimnetEvent::Aborted(why)) => return Err(LocalnetError::NotStarted { why }),
                Ok(SimnetEvent::ErrorLog(_, why)) => warn!(%why, "embedded chain"),
                Ok(_) | Err(RecvTimeoutError::Timeout) if self.ended() => break,
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Err(LocalnetError::NotStarted { why: "its servers did not come up".to_owned() })
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        let clock = SimnetCommand::CommandClock(None, ClockCommand::UpdateSlotInterval(SLEEP_FOR_GOOD_MS));
        for command in [clock, SimnetCommand::Terminate(None)] {
            if self.commands.send(command).is_err() {
                debug!("the embedded chain had ended already");
            }
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                warn!("a thread of the embedded chain had panicked");
            }
        }
    }
}

fn not_started(error: impl std::fmt::Display) -> LocalnetError {
    LocalnetError::NotStarted { why: error.to_string() }
}

fn configs(rpc_port: u16, ws_port: u16, slot_time: u64) -> (SurfpoolConfig, SurfnetSvmConfig) {
    let simnet = SimnetConfig {
        offline_mode: true,
        remote_rpc_url: None,
        slot_time,
        block_production_mode: BlockProductionMode::Clock,
        // Profiling runs every transaction a second time and more: 100 instead of 2,000 transactions a second.
        instruction_profiling_enabled: false,
        ..SimnetConfig::default()
    };
    let svm = SurfnetSvmConfig {
        surfnet_id: simnet.surfnet_id.clone(),
        slot_time,
        instruction_profiling_enabled: false,
        max_profiles: simnet.max_profiles,
        log_bytes_limit: simnet.log_bytes_limit,
        ..SurfnetSvmConfig::default()
    };
    let rpc = RpcConfig { bind_host: "127.0.0.1".to_owned(), bind_port: rpc_port, ws_port, ..RpcConfig::default() };
    (SurfpoolConfig { simnets: vec![simnet], rpc, ..SurfpoolConfig::default() }, svm)
}

/// Surfpool blocks its own threads and builds runtimes, so it gets a thread with a runtime of its own.
fn spawn_chain(
    locker: SurfnetSvmLocker,
    config: SurfpoolConfig,
    (commands, received): (Sender<SimnetCommand>, Receiver<SimnetCommand>),
    geyser: Receiver<GeyserEvent>,
) -> Result<JoinHandle<()>, LocalnetError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(not_started)?;
    thread::Builder::new()
        .name("embedded-chain".to_owned())
        .spawn(move || {
            if let Err(error) =
                runtime.block_on(start_local_surfnet_runloop(locker, config, commands, received, geyser))
            {
                warn!(%error, "the embedded chain ended");
            }
        })
        .map_err(not_started)
}

/// Drains the chain's events (their channel is bounded: a full one would stop the chain) and keeps its clock from
/// falling behind: Surfpool adds one slot time per slot, however late the slot was.
fn spawn_caretaker(
    locker: SurfnetSvmLocker,
    events: Receiver<SimnetEvent>,
    stopping: Arc<AtomicBool>,
) -> Result<JoinHandle<()>, LocalnetError> {
    thread::Builder::new()
        .name("embedded-chain-care".to_owned())
        .spawn(move || {
            let mut cared = Instant::now();
            while !stopping.load(Ordering::Relaxed) {
                match events.recv_timeout(CLOCK_CARE) {
                    Ok(SimnetEvent::ErrorLog(_, why)) => debug!(%why, "embedded chain"),
                    Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if cared.elapsed() >= CLOCK_CARE {
                    cared = Instant::now();
                    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.as_millis());
                    let now = u64::try_from(now).unwrap_or(0);
                    // Forward only: a chain that was sent ahead in time stays there.
                    locker.with_svm_writer(move |svm| svm.updated_at = svm.updated_at.max(now));
                }
            }
        })
        .map_err(not_started)
}
