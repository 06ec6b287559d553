//! `assay provider run` and `assay validator run`: the worker's daemons in the foreground, their events as lines.

use crate::{
    args::{Attested, DeviceArgs, RunProvider, RunValidator},
    console::Console,
    context::{Context, MarketAt},
    device::Computing,
    error::{CliError, Exit, Result},
    stopped,
};
use assay_kernels::executor::Backend;
use assay_migrations::programs::VERIFIER;
use assay_worker::{
    AcceptAttested, Event, Events, Provider, ProviderConfig, Validator, ValidatorConfig, What, WorkerError,
};
use solana_signer::Signer;
use std::sync::Arc;
use tokio::sync::broadcast::{Receiver, error::RecvError};

impl From<WorkerError> for CliError {
    fn from(error: WorkerError) -> Self {
        let code = error.code();
        let exit = match &error {
            WorkerError::Chain(_) => None,
            WorkerError::NoAccount { .. } => Some(Exit::NotFound),
            WorkerError::Config { .. } => Some(Exit::Usage),
            WorkerError::FetchMismatch { .. } | WorkerError::SelfCheck { .. } => Some(Exit::Verification),
            _ => Some(Exit::Other),
        };
        match (error, exit) {
            (WorkerError::Chain(error), _) => error.into(),
            (error, exit) => Self::new(exit.unwrap_or(Exit::Other), code, error.to_string()),
        }
    }
}

/// Cards where they work, else the CPU; says which and why.
async fn backend(console: &Console, args: &DeviceArgs) -> Result<Arc<dyn Backend>> {
    let computing = Computing::take(args).await?;
    computing.tell(console);
    Ok(computing.backend())
}

/// One event in words; none for those that only machines need.
pub fn words(event: &Event, show: impl Fn(u64) -> String) -> Option<String> {
    let text = match &event.what {
        What::Started { backend } => format!("runs on {backend}"),
        What::Sent { .. } => return None,
        What::Skipped { job, reason } => format!("leaves job {job} alone: {reason}"),
        What::Claimed { price, collateral } => {
            format!("claimed for {} under {} of collateral", show(*price), show(*collateral))
        }
        What::Found => "found on the chain, not in the journal: goes on with it".to_owned(),
        What::Computed { bytes, milliseconds } => format!("computed {bytes} bytes in {milliseconds} ms"),
        What::Committed { root, window } => {
            format!("committed root {}..., to be drawn in window {window}", root.get(..16).unwrap_or(root))
        }
        What::Drawn { cells } => format!("the chain drew cells {cells:?}"),
        What::Rolled { window, owed } => format!("draw window missed: owes {}, new window {window}", show(*owed)),
        What::Answered { leaf, cell, evidence: 0 } => format!("cell {cell} of leaf {leaf} re-executed on chain: right"),
        What::Answered { leaf, cell, evidence } => {
            format!("cell {cell} of leaf {leaf} re-executed on chain from {evidence} bytes of evidence: right")
        }
        What::Challenged { leaf, cell, bond, due } => {
            format!(
                "CHALLENGED: cell {cell} of leaf {leaf} under a bond of {}, to be proven by unix time {due}",
                show(*bond)
            )
        }
        What::Posted { leaf, evidence: 0 } => format!("leaf {leaf} posted to the chain"),
        What::Posted { leaf, evidence } => format!("leaf {leaf} posted to the chain from {evidence} bytes of evidence"),
        What::ChallengePaid { amount } => format!("half of an answered challenge's bond received: {}", show(*amount)),
        What::Settled { price } => format!("settled at {}", show(*price)),
        What::Slashed { fault } => format!("SLASHED: {}", fault_words(*fault)),
        What::GivenBack { reason } => format!("given back: {reason}"),
        What::Trouble { code, message } => format!("trouble [{code}]: {message}"),
        What::Checked { leaves } => format!("{leaves} leaves computed again: right"),
        What::Unavailable { message } => format!("result not available: {message}"),
        What::Forged { leaf, cell } => format!("FORGED: cell {cell} of leaf {leaf}; takes it to adjudication"),
        What::Bonded { leaf, cell, bond } => {
            format!("challenges cell {cell} of leaf {leaf} under a bond of {} first", show(*bond))
        }
        What::BondReturned { amount } => format!("bond of {} came back", show(*amount)),
        What::Convicted { bounty } => format!("convicted by re-execution on chain; bounty {}", show(*bounty)),
        What::BountyPaid { amount } => format!("bounty of {} received", show(*amount)),
        What::Draining { obligations } => format!("claims no more; {obligations} shards left to finish"),
        What::Stopped => "stopped".to_owned(),
    };
    let shard = event
        .shard
        .map(|shard| format!("shard {} of {}: ", shard.index, short(&shard.job.to_string())))
        .unwrap_or_default();
    Some(format!("{shard}{text}"))
}

fn fault_words(fault: u8) -> &'static str {
    match fault {
        1 => "a wrong cell",
        2 => "a cell not proven in time",
        3 => "draw windows missed",
        _ => "for a reason that this version does not know",
    }
}

/// The first characters of an address, enough to tell a few apart.
pub fn short(address: &str) -> String {
    address.chars().take(6).collect()
}

/// Prints events until the daemon is gone: text lines, or with `--json` one document per line.
async fn tell(console: &Console, market: &MarketAt, mut events: Receiver<Event>) -> Result<()> {
    loop {
        match events.recv().await {
            Ok(event) => {
                if console.json() {
                    console.document(&event)?;
                } else if let Some(text) = words(&event, |amount| market.show(amount)) {
                    console.say(text);
                }
                if event.what == What::Stopped {
                    return Ok(());
                }
            }
            Err(RecvError::Lagged(missed)) => console.note(format!("{missed} events were too fast to be shown")),
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

/// Runs `assay provider run`: the first Ctrl-C claims no more and finishes what is owed, the second ends at once.
///
/// # Errors
/// Whatever keeps the worker from starting or ends it.
pub async fn provider(context: &Context<'_>, args: &RunProvider) -> Result<()> {
    let operator = context.keypair()?;
    let market = context.market().await?;
    let owner = args.owner.unwrap_or_else(|| operator.pubkey());
    let mut config = ProviderConfig::new(context.cluster.clone(), operator, owner, market.address, args.data.clone());
    config.accepted_verifiers = if args.verifier.is_empty() { vec![VERIFIER] } else { args.verifier.clone() };
    config.min_price = market.parse(&args.min_price)?.max(1);
    config.min_price_per_load_second = market.parse(&args.min_price_per_load_second)?;
    let backend = backend(context.console, &args.device).await?;
    config.max_claims = args.max_claims.unwrap_or_else(|| backend.lanes());
    config.min_execute_seconds = args.min_execute;
    config.max_result_bytes = u64::from(args.max_result_mib).saturating_mul(1 << 20);
    config.accept_attested = match args.accept_attested {
        Attested::None => AcceptAttested::No,
        Attested::PayOnSilence => AcceptAttested::PayOnSilence,
        Attested::All => AcceptAttested::All,
    };
    config.bind = args.bind;
    config.allow_experimental = args.allow_experimental;
    config.allow_local_urls = args.allow_local_urls;
    let events = Events::default();
    let listener = events.subscribe();
    let handle = Provider::start_with(config, backend, events).await?;
    context.console.note(format!(
        "provider {} serves results at {}. Ctrl-C: claim no more, finish what is owed; again: end now",
        handle.provider(),
        handle.serving()
    ));
    let signals = async {
        loop {
            stopped().await?;
            handle.shut_down();
        }
    };
    let ended = async {
        tell(context.console, &market, listener).await?;
        Ok(handle.join().await?)
    };
    tokio::select! {
        failed = signals => failed,
        ended = ended => ended,
    }
}

/// Runs `assay validator run` until Ctrl-C.
///
/// # Errors
/// Whatever keeps the validator from starting or ends it.
pub async fn validator(context: &Context<'_>, args: &RunValidator) -> Result<()> {
    if !(args.rate > 0.0 && args.rate <= 1.0) {
        return Err(CliError::usage("--rate must be above 0 and at most 1"));
    }
    let keypair = context.keypair()?;
    let market = context.market().await?;
    let mut config = ValidatorConfig::new(context.cluster.clone(), keypair, market.address);
    config.accepted_verifiers = if args.verifier.is_empty() { vec![VERIFIER] } else { args.verifier.clone() };
    config.jobs = args.job.clone();
    config.rate = args.rate;
    config.challenge_first = !args.no_challenge;
    config.max_bonds = market.parse(&args.max_bonds)?;
    config.allow_local_urls = args.allow_local_urls;
    let events = Events::default();
    let listener = events.subscribe();
    let backend = backend(context.console, &args.device).await?;
    let handle = Validator::start_with(config, backend, events).await?;
    context.console.note("validator runs; Ctrl-C ends it");
    let ended = async {
        tell(context.console, &market, listener).await?;
        Ok(handle.join().await?)
    };
    tokio::pin!(ended);
    tokio::select! {
        signal = stopped() => signal?,
        ended = &mut ended => return ended,
    }
    handle.stop();
    ended.await
}
