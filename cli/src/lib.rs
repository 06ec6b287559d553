//! The command line program `assay`, as a library so that tests and tools can run it in their own process.
//!
//! - `args`, `console`, `error`: how it talks. `context`: chain, wallet, market. `amount`, `tables`: how numbers look.
//! - `job`, `provider`, `market`, `program`, `kernel`, `daemon`: the commands. `device`: what computes. `localnet`, `demo`: those that bring a chain (feature
//!   `localnet`).
//! - `work`: what a job asks for. `npy`, `view`, `picture`: files and pictures. `store`: the content store.
// Tests count as they like; the program itself is linted in its build without them.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod amount;
pub mod args;
pub mod console;
pub mod context;
pub mod daemon;
#[cfg(feature = "localnet")]
pub mod demo;
pub mod device;
pub mod error;
pub mod job;
pub mod kernel;
#[cfg(feature = "localnet")]
pub mod localnet;
pub mod market;
pub mod npy;
pub mod picture;
pub mod program;
pub mod provider;
pub mod store;
pub mod tables;
pub mod view;
pub mod work;

use args::{
    Cli, Command, JobCommand, KernelCommand, MarketCommand, ProgramCommand, ProviderCommand, ServeStore, StoreCommand,
    ValidatorCommand,
};
use clap::Parser;
use console::Console;
use context::Context;
use error::{CliError, Exit, Result};
use futures_util::future::BoxFuture;
use std::future::ready;

/// Reads the process's command line, runs the command, and returns the exit code.
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are not errors; clap knows which stream each belongs to. A closed one is no news.
            drop(error.print());
            return if error.use_stderr() { Exit::Usage as u8 } else { 0 };
        }
    };
    if matches!(cli.command, Command::DeviceProcess) {
        // Before anything else is started: this process has no keys, asks no chain and does one thing.
        return assay_device::child::main();
    }
    log_to_stderr();
    let console = Console::process(cli.global.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            console.fail(&CliError::internal(format!("threads can't be started: {error}")));
            return Exit::Other as u8;
        }
    };
    runtime.block_on(run(&cli, &console))
}

/// Runs a command and reports its error, if any. Returns the exit code.
pub async fn run(cli: &Cli, console: &Console) -> u8 {
    match dispatch(cli, console).await {
        Ok(()) => 0,
        Err(error) => {
            console.fail(&error);
            error.exit as u8
        }
    }
}

async fn dispatch(cli: &Cli, console: &Console) -> Result<()> {
    let context = Context::new(&cli.global, console)?;
    start(&context, console, &cli.command).await
}

/// The command as a future on the heap. One function that awaits all of them would hold room for each on the stack.
fn start<'a>(context: &'a Context<'a>, console: &'a Console, command: &'a Command) -> BoxFuture<'a, Result<()>> {
    match command {
        #[cfg(feature = "localnet")]
        Command::Demo(args) => Box::pin(demo::run(console, args)),
        #[cfg(feature = "localnet")]
        Command::Localnet(args) => Box::pin(localnet::run(console, args)),
        #[cfg(not(feature = "localnet"))]
        Command::Demo(_) | Command::Localnet(_) => Box::pin(ready(Err(without_chain()))),
        Command::Job(JobCommand::Submit(command)) => Box::pin(job::submit::run(context, command)),
        Command::Job(JobCommand::Status(args)) => Box::pin(job::status::run(context, &args.job)),
        Command::Job(JobCommand::Challenge(args)) => Box::pin(job::challenge::run(context, args)),
        Command::Job(JobCommand::Name(args)) => Box::pin(job::name::run(context, args)),
        Command::Job(JobCommand::Accept(args)) => Box::pin(job::accept::run(context, args)),
        Command::Job(JobCommand::DemandLeaves(args)) => Box::pin(job::deliver::demand(context, args)),
        Command::Job(JobCommand::Attest(args)) => Box::pin(job::deliver::attest(context, args)),
        Command::Job(JobCommand::WatchKeys(args)) => Box::pin(job::watch::run(context, args)),
        Command::Job(JobCommand::Fetch(args)) => Box::pin(job::fetch::run(context, args)),
        Command::Job(JobCommand::Cancel(args)) => Box::pin(job::end::cancel(context, &args.job)),
        Command::Job(JobCommand::Close(args)) => Box::pin(job::end::close(context, args)),
        Command::Provider(ProviderCommand::Register(args)) => Box::pin(provider::register(context, args)),
        Command::Provider(ProviderCommand::Deposit(args)) => Box::pin(provider::deposit(context, args)),
        Command::Provider(ProviderCommand::Withdraw(args)) => Box::pin(provider::withdraw(context, args)),
        Command::Provider(ProviderCommand::Close(args)) => Box::pin(provider::close(context, args)),
        Command::Provider(ProviderCommand::Run(args)) => Box::pin(daemon::provider(context, args)),
        Command::Validator(ValidatorCommand::Run(args)) => Box::pin(daemon::validator(context, args)),
        Command::Kernel(KernelCommand::List) => Box::pin(ready(kernel::list(console))),
        Command::Kernel(KernelCommand::Selftest(args)) => Box::pin(kernel::selftest(console, args)),
        Command::DeviceProcess => Box::pin(ready(Err(CliError::usage("this command is a process of its own")))),
        Command::Market(MarketCommand::Open(args)) => Box::pin(market::open(context, args)),
        Command::Market(MarketCommand::ProposeAuthority(args)) => Box::pin(market::propose_authority(context, args)),
        Command::Market(MarketCommand::AcceptAuthority) => Box::pin(market::accept_authority(context)),
        Command::Market(MarketCommand::Close(args)) => Box::pin(market::close(context, args)),
        Command::Program(ProgramCommand::Deploy(args)) => Box::pin(program::deploy(context, args)),
        Command::Program(ProgramCommand::Upgrade(args)) => Box::pin(program::upgrade(context, args)),
        Command::Program(ProgramCommand::Show(args)) => Box::pin(program::show(context, args)),
        Command::Program(ProgramCommand::Reclaim(args)) => Box::pin(program::reclaim(context, args)),
        Command::Store(StoreCommand::Serve(args)) => Box::pin(serve_store(console, args)),
    }
}

#[cfg(not(feature = "localnet"))]
fn without_chain() -> CliError {
    let text = "this assay was built without a chain of its own, which keeps its build small. \
        For the demo run `cargo xtask demo` in the repository; for both commands build with \
        `cargo build -p assay-cli --features localnet`.";
    CliError::new(Exit::Usage, "built-without-localnet", text)
}

async fn serve_store(console: &Console, args: &ServeStore) -> Result<()> {
    let mib = |count: u32| u64::from(count).saturating_mul(1 << 20);
    let store = store::Store::start(store::StoreOptions {
        bind: args.bind,
        folder: args.folder.clone(),
        max_input_bytes: usize::try_from(mib(args.max_input_mib)).unwrap_or(usize::MAX),
        max_total_bytes: mib(args.max_total_mib),
    })
    .await?;
    console.say(format!("content store at {}, files in {}; Ctrl-C ends it", store.url(), args.folder.display()));
    console.document(&serde_json::json!({"store": store.url(), "folder": args.folder.display().to_string()}))?;
    stopped().await?;
    store.stop().await
}

/// Waits for Ctrl-C or SIGTERM.
///
/// # Errors
/// The system gives no signals.
pub async fn stopped() -> Result<()> {
    let failed = |e: std::io::Error| CliError::io("waiting for Ctrl-C", &e);
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result.map_err(failed),
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map_err(failed)
}

/// Logs go to stderr; `RUST_LOG` chooses which. Quiet unless asked: commands tell what matters themselves.
fn log_to_stderr() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error,assay=warn"));
    let started = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    if started.is_err() {
        // Whoever runs us in their own process logs in their own way.
        tracing::debug!("logging is set up already");
    }
}
