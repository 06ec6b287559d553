//! `assay program`: deploys the programs to any cluster, replaces them, shows them (see migrations/README.md).

use crate::{
    amount,
    args::{DeployProgram, ReclaimBuffers, Sending, ShowProgram, UpgradeProgram},
    context::{Context, read_keypair},
    error::{CliError, Exit, Result},
};
use assay_migrations::{
    Change,
    buffer::{self, CHUNK},
    deploy::{Action, Goal, Quote, Report, Settings, carry_out, quote},
    programs::{self, Deployed, SETTLEMENT, VERIFIER},
};
use serde::Serialize;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Decimals of SOL.
const SOL_DECIMALS: u8 = 9;

fn sol(lamports: u64) -> String {
    amount::show(lamports, SOL_DECIMALS)
}

fn read_elf(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        CliError::file(
            "elf-unreadable",
            format!("the program {} can't be read: {error}. Nothing was sent or paid. Check --elf.", path.display()),
        )
    })
}

/// Who may replace the program afterwards.
fn authority(last: bool, named: Option<Pubkey>, payer: &Keypair) -> Option<Pubkey> {
    if last { None } else { Some(named.unwrap_or_else(|| payer.pubkey())) }
}

/// Runs `assay program deploy`.
///
/// # Errors
/// A file that can't be used, an address that is taken, too little SOL, or the chain.
pub async fn deploy(context: &Context<'_>, args: &DeployProgram) -> Result<()> {
    let payer = context.keypair()?;
    let (elf, key) = (read_elf(&args.elf)?, read_keypair(&args.program_keypair)?);
    let goal = Goal::deploy(&elf, &key, authority(args.last, args.authority, &payer));
    reach(context, &payer, &goal, args.sending).await
}

/// Runs `assay program upgrade`.
///
/// # Errors
/// As [`deploy`], or the keypair is not the program's upgrade authority.
pub async fn upgrade(context: &Context<'_>, args: &UpgradeProgram) -> Result<()> {
    let payer = context.keypair()?;
    let elf = read_elf(&args.elf)?;
    let goal = Goal::upgrade(&elf, args.program, authority(args.last, args.authority, &payer));
    reach(context, &payer, &goal, args.sending).await
}

/// Quote, question, deed.
async fn reach(context: &Context<'_>, payer: &Keypair, goal: &Goal<'_>, sending: Sending) -> Result<()> {
    context.reach().await?;
    let settings = Settings { priority_micro_lamports: sending.priority_fee };
    let quote = quote(context.sender.rpc(), &payer.pubkey(), goal, settings).await?;
    if quote.action != Action::Nothing {
        tell_quote(context, &quote);
        let held = context.sender.rpc().balance(&payer.pubkey()).await?;
        if held < quote.needed_lamports {
            let text = format!(
                "this takes {} SOL and {} has {}. Nothing was sent or paid. Fund it and try again.",
                sol(quote.needed_lamports),
                payer.pubkey(),
                sol(held),
            );
            return Err(CliError::new(Exit::Funds, "insufficient-sol", text));
        }
        context.console.confirm("Go ahead?", sending.yes)?;
    }
    // Told at every tenth of the way.
    let told = AtomicUsize::new(0);
    let progress = |done: usize, total: usize| {
        let tenth = done.saturating_mul(10).checked_div(total).unwrap_or(10);
        if told.fetch_max(tenth, Ordering::Relaxed) < tenth {
            let kib = |pieces: usize| pieces.saturating_mul(CHUNK).div_ceil(1_024);
            context.console.note(format!("uploaded {} of {} KiB", kib(done), kib(total)));
        }
    };
    let report = carry_out(&context.sender, payer, goal, settings, &progress).await?;
    tell(context, &report);
    context.console.document(&Document { report: &report, quote: &quote })
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    report: &'a Report,
    quote: &'a Quote,
}

fn words(authority: Option<Pubkey>) -> String {
    authority.map_or("nobody, ever: it is final".to_owned(), |key| key.to_string())
}

fn tell_quote(context: &Context<'_>, quote: &Quote) {
    let action = match quote.action {
        Action::Nothing => "nothing to do for",
        Action::Deploy => "deploy",
        Action::Extend { .. } => "extend and replace",
        Action::Upgrade => "replace",
        Action::SetAuthority => "set who may replace",
    };
    context.console.say(format!(
        "{action} program {}\n{} bytes, room for {}; {} transactions by way of buffer {}\nwho may replace it: {}\n\
         cost: {} SOL of rent, which stays in the program, and at most {} SOL of fees; {} SOL are needed meanwhile",
        quote.program,
        quote.elf_bytes,
        quote.capacity,
        quote.transactions,
        quote.buffer,
        words(quote.authority),
        sol(quote.rent_lamports),
        sol(quote.fee_lamports),
        sol(quote.needed_lamports),
    ));
}

fn tell(context: &Context<'_>, report: &Report) {
    let change = match report.change {
        Change::AlreadyThere => "nothing to do: the program is there, with these bytes and this authority",
        Change::Made => "done: the bytes on chain are those of the file",
    };
    context.console.say(change);
    tell_program(context, &report.program, &report.deployed);
}

fn tell_program(context: &Context<'_>, address: &Pubkey, deployed: &Deployed) {
    context.console.say(format!(
        "program {address}\n  SHA-256 {}\n  room for {} bytes, {} SOL, changed last in slot {}\n  who may replace it: {}",
        deployed.sha256,
        deployed.capacity,
        sol(deployed.lamports),
        deployed.slot,
        words(deployed.upgrade_authority),
    ));
}

/// Runs `assay program show`. The SHA-256 is the one that `sha256sum` gives for the file.
///
/// # Errors
/// The chain can't be read, or there is no program where one was asked for.
pub async fn show(context: &Context<'_>, args: &ShowProgram) -> Result<()> {
    context.reach().await?;
    let usual = [SETTLEMENT, VERIFIER];
    let addresses = if args.program.is_empty() { &usual[..] } else { &args.program };
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for address in addresses {
        match programs::deployed(context.sender.rpc(), address).await? {
            Some(deployed) => {
                tell_program(context, address, &deployed);
                found.push(serde_json::json!({"program": address.to_string(), "deployed": deployed}));
            }
            None => missing.push(address.to_string()),
        }
    }
    if missing.is_empty() {
        return context.console.document(&serde_json::json!({"programs": found}));
    }
    Err(CliError::not_found(
        "program-missing",
        format!(
            "no program of the upgradeable loader is at {} on this chain. Check the address and --url",
            missing.join(", ")
        ),
    ))
}

/// Runs `assay program reclaim`.
///
/// # Errors
/// The chain can't be read or refuses, or nobody confirmed.
pub async fn reclaim(context: &Context<'_>, args: &ReclaimBuffers) -> Result<()> {
    let payer = context.keypair()?;
    context.reach().await?;
    let left = buffer::left(context.sender.rpc(), &payer.pubkey()).await?;
    let lamports = left.iter().fold(0u64, |sum, buffer| sum.saturating_add(buffer.lamports));
    let mut signatures = Vec::new();
    if left.is_empty() {
        context.console.say("no buffer is left: nothing to do");
    } else {
        for buffer in &left {
            context.console.say(format!(
                "buffer {}  {} bytes  {} SOL",
                buffer.address,
                buffer.bytes,
                sol(buffer.lamports)
            ));
        }
        context.console.confirm(&format!("Close them and take back {} SOL?", sol(lamports)), args.yes)?;
        signatures = buffer::reclaim(&context.sender, &payer, &left).await?;
        context.console.say(format!("closed: {} SOL are back", sol(lamports)));
    }
    let signatures: Vec<String> = signatures.iter().map(ToString::to_string).collect();
    context.console.document(&serde_json::json!({"buffers": left, "lamports": lamports, "signatures": signatures}))
}
