//! `assay demo`: a whole market in one process. A renter, three providers of which one forges, a validator; a real
//! chain with JSON-RPC, the real programs, the real worker. Everything that is claimed at the end is checked.

pub mod check;
pub mod display;
pub mod forger;
pub mod jobs;
pub mod ledger;
pub mod parties;
pub mod report;
pub mod tally;

use crate::{
    args::{Demo, Global},
    console::Console,
    context::Context,
    error::{CliError, Exit, Result},
    job::file::Made,
    localnet::{DECIMALS, start_chain},
    npy, provider, stopped,
    store::{Store, StoreOptions},
    view,
};
use assay_kernels::{escape_time::Params, registry::AnyKernel};
use display::Display;
use jobs::{Ended, Submitted, Task};
use parties::{Daemons, Parties};
use report::{Check, Report, SlashedShard};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Time of a slot: draw windows then stay in the chain's slot hashes for 50 seconds, however busy the machine is.
const SLOT: Duration = Duration::from_millis(100);
const MAX_ITER: u32 = 1_000;
/// How often, and after which pause, the demo tries to remove its folder.
const REMOVALS: u32 = 40;
const REMOVE_AGAIN: Duration = Duration::from_millis(50);

/// How large the demo's work is.
#[derive(Clone, Copy, Debug)]
struct Size {
    width: u32,
    height: u32,
    matrix: u32,
}

const FULL: Size = Size { width: 1920, height: 1080, matrix: 1024 };
/// Shards of these are whole rows, too.
const FAST: Size = Size { width: 512, height: 256, matrix: 256 };
const PICTURE_SHARDS: u32 = 8;
const PRODUCT_SHARDS: u32 = 4;

/// Runs the command.
///
/// # Errors
/// Anything that does not go as it must; what was found so far lies in report.json where it got that far.
pub async fn run(console: &Console, args: &Demo) -> Result<()> {
    std::fs::create_dir_all(&args.out).map_err(|e| CliError::io(&format!("making {}", args.out.display()), &e))?;
    let display = Display::new();
    let scratch = Scratch::make()?;
    let report = tokio::select! {
        report = play(console, &display, args, &scratch.0) => report,
        signal = stopped() => signal.and(Err(CliError::new(Exit::Other, "interrupted", "the demo was interrupted; its chain is gone"))),
    };
    display.finish();
    scratch.remove().await;
    let report = report?;
    npy::write_file(
        &args.out.join("report.json"),
        &serde_json::to_vec_pretty(&report).map_err(|e| CliError::internal(e.to_string()))?,
    )?;
    console.say(format!("{}\n\n{}\n", report.token_table(), report.step_table()));
    console.say(format!(
        "{} shards settled, {} slashed, {} cells re-executed on chain and right, {:.0} s",
        report.shards_settled, report.shards_slashed, report.cells_answered, report.seconds
    ));
    console.say(report.verdict());
    console.say(format!("files: {}", args.out.display()));
    console.document(&report)?;
    if report.holds() {
        return Ok(());
    }
    let failed: Vec<_> = report.checks.iter().filter(|check| !check.holds).map(|check| check.what.as_str()).collect();
    Err(CliError::new(Exit::Verification, "demo-failed", format!("this is not so: {}", failed.join("; "))))
}

/// The folder of the daemons' data.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn make() -> Result<Self> {
        let path =
            std::env::temp_dir().join(format!("assay-demo-{}-{:08x}", std::process::id(), rand::random::<u32>()));
        std::fs::create_dir(&path).map_err(|e| CliError::io(&format!("making {}", path.display()), &e))?;
        Ok(Self(path))
    }

    /// Removes it. Daemons that were interrupted may write a moment longer, so this tries for a while.
    async fn remove(self) {
        for _ in 0..REMOVALS {
            match std::fs::remove_dir_all(&self.0) {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, "the demo's folder can't be removed yet"),
            }
            tokio::time::sleep(REMOVE_AGAIN).await;
        }
    }
}

async fn play(console: &Console, display: &Display, args: &Demo, scratch: &Path) -> Result<Report> {
    let started = Instant::now();
    let say = |text: &str| display.line(console, &format!("[{:>5.1} s] {text}", started.elapsed().as_secs_f64()));
    let size = if args.fast { FAST } else { FULL };

    say("starts a chain with JSON-RPC and both programs in this process");
    let chain = start_chain(None, SLOT).await?;
    let global = Global {
        url: Some(chain.rpc_url().to_owned()),
        ws: Some(chain.ws_url().to_owned()),
        keypair: None,
        market: None,
        json: false,
        v0_only: false,
    };
    let quiet = parties::silent();
    let context = Context::new(&global, &quiet)?;
    let bind = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let store = Store::start(StoreOptions {
        bind,
        folder: scratch.join("store"),
        max_input_bytes: 1 << 28,
        max_total_bytes: 1 << 30,
    })
    .await?;

    say("makes a token, a market with short windows, and six wallets");
    let parties = Parties::gather(&context, &chain).await?;
    let before = ledger::balances(context.reader.rpc(), &parties.mint, &parties.purses(&[])).await?;
    parties.enrol(&context).await?;
    let daemons = Daemons::start(&context, &parties, scratch, |name, events| display.listen(name, events)).await?;

    let matrices = write_matrices(&args.out, args.seed, size.matrix)?;
    let params = view::picture(size.width, size.height, MAX_ITER, view::CENTRE, view::SPAN)?;
    say(&format!(
        "the renter submits a {} x {} picture in {PICTURE_SHARDS} shards and a {m} x {m} int8 product in {PRODUCT_SHARDS}",
        size.width,
        size.height,
        m = size.matrix
    ));
    let url = store.url();
    let main = [
        jobs::submit(&context, &parties, &url, "picture", Task::Picture(params), PICTURE_SHARDS, None).await?,
        jobs::submit(
            &context,
            &parties,
            &url,
            "product",
            Task::Product(Box::new(matrices.clone())),
            PRODUCT_SHARDS,
            None,
        )
        .await?,
    ];
    let ended = jobs::wait(&context, display, &main).await?;

    let mut again: Vec<(usize, u32, Submitted)> = Vec::new();
    for (which, (job, end)) in main.iter().zip(&ended).enumerate() {
        for one in &end.slashed {
            let honest = parties.honest(again.len())?;
            say(&format!(
                "shard {} of the {} was forged and is refunded: the renter submits it again, for {}",
                one.index, job.name, honest.name
            ));
            again.push((
                which,
                one.index,
                jobs::submit_again(&context, &parties, &url, job, one, honest.account).await?,
            ));
        }
    }
    let follow_ups: Vec<Submitted> = again.iter().map(|(_, _, job)| job.clone()).collect();
    let ended_again = jobs::wait(&context, display, &follow_ups).await?;

    say("fetches every shard from its provider and compares its root with the chain");
    let mut results = Vec::new();
    for (which, job) in main.iter().enumerate() {
        let mine: Vec<(u32, Submitted)> =
            again.iter().filter(|(of, _, _)| *of == which).map(|(_, index, job)| (*index, job.clone())).collect();
        results.push(jobs::collect(&context, job, &mine).await?);
    }
    say("closes the jobs; the providers withdraw their stakes and what they earned");
    daemons.stop().await?;
    let all: Vec<&Submitted> = main.iter().chain(&follow_ups).collect();
    jobs::close(&context, &parties, &all).await?;
    for worker in &parties.workers {
        let (_, data) =
            provider::own(&context, &solana_signer::Signer::pubkey(&*worker.owner), &parties.market).await?;
        let free = data.staked.saturating_sub(data.locked);
        if free > 0 {
            provider::unstake(&context, &worker.owner, &parties.market, free).await?;
        }
    }
    let escrows: Vec<(String, _)> = all.iter().map(|job| (job.name.clone(), job.address)).collect();
    let after = ledger::balances(context.reader.rpc(), &parties.mint, &parties.purses(&escrows)).await?;
    let spent = parties.lamports_spent(context.reader.rpc()).await?;
    let steps = ledger::steps(context.reader.rpc(), &[assay_settlement::ID, parties.mint], &parties.wallets()).await?;

    say("computes both results again, by itself, and compares");
    let [picture_bytes, product_bytes] = results.as_slice() else {
        return Err(CliError::internal("two jobs have two results"));
    };
    let (picture_right, product_right) =
        (check::picture(&params)? == *picture_bytes, check::product(&matrices[0], &matrices[1]) == *product_bytes);
    write_results(&args.out, &params, picture_bytes, size.matrix, product_bytes)?;
    store.stop().await?;
    let stop = tokio::task::spawn_blocking(move || chain.stop());
    stop.await.map_err(|e| CliError::internal(format!("stopping the chain: {e}")))?;

    let convicted = named(&parties, &main, &ended);
    let sum = |part: fn(&Ended) -> u32| ended.iter().chain(&ended_again).map(part).fold(0u32, u32::saturating_add);
    let mut report = Report {
        version: 1,
        seed: args.seed,
        picture: [size.width, size.height],
        matrix: size.matrix,
        seconds: started.elapsed().as_secs_f64(),
        shards_settled: sum(|end| end.settled),
        shards_slashed: sum(|end| u32::try_from(end.slashed.len()).unwrap_or(u32::MAX)),
        slashed: convicted,
        cells_drawn: sum(|end| end.drawn),
        cells_answered: sum(|end| end.answered),
        lamports_spent: spent,
        follow_up_jobs: u32::try_from(follow_ups.len()).unwrap_or(u32::MAX),
        decimals: DECIMALS,
        tokens: report::pair(&before, &after),
        tokens_before: before.sum,
        tokens_after: after.sum,
        supply: after.supply,
        counts: display.tally(),
        steps,
        checks: Vec::new(),
        files: ["picture.png", "a.npy", "b.npy", "product.npy", "report.json"]
            .map(|name| args.out.join(name).display().to_string())
            .to_vec(),
    };
    let honest_slashed = ended_again.iter().any(|end| !end.slashed.is_empty());
    let expected: u32 = all.iter().map(|job| job.shards).sum();
    report.checks = checks(&report, expected, honest_slashed, picture_right, product_right);
    Ok(report)
}

fn named(parties: &Parties, jobs: &[Submitted], ended: &[Ended]) -> Vec<SlashedShard> {
    jobs.iter()
        .zip(ended)
        .flat_map(|(job, end)| {
            end.slashed.iter().map(|one| SlashedShard {
                job: job.name.clone(),
                index: one.index,
                provider: parties::name_of(parties, &one.provider),
                fault: one.fault,
            })
        })
        .collect()
}

/// Everything that the demo promises.
fn checks(
    report: &Report,
    expected_shards: u32,
    honest_slashed: bool,
    picture_right: bool,
    product_right: bool,
) -> Vec<Check> {
    let check = |what: &str, holds: bool| Check { what: what.to_owned(), holds };
    let by_forger = |one: &SlashedShard| one.provider == "forger" && one.fault == 1;
    let kept_back = |party: &report::PartyTokens| {
        (party.name.starts_with("escrow") || party.name.ends_with("stake")) && party.after != 0
    };
    let in_steps =
        report.steps.values().map(|cost| i128::from(cost.fees).saturating_add(i128::from(cost.rent))).sum::<i128>();
    vec![
        check(
            "the forger was slashed, by adjudication on chain",
            report.shards_slashed > 0 && report.slashed.iter().all(by_forger) && report.counts.convictions > 0,
        ),
        check("no honest provider was slashed", !honest_slashed && report.slashed.iter().all(by_forger)),
        check(
            "every other shard was settled",
            report.shards_settled.checked_add(report.shards_slashed) == Some(expected_shards),
        ),
        check(
            "every cell that the chain drew of them was re-executed on chain and is right",
            report.cells_drawn > 0 && report.cells_answered == report.cells_drawn,
        ),
        check(
            "the tokens of everybody add up to the token unit, before and after",
            report.tokens_before == report.supply && report.tokens_after == report.supply,
        ),
        check("no escrow and no stake is left behind", !report.tokens.iter().any(kept_back)),
        check(
            "the lamports of everybody add up to the lamport: what they spent is what the steps cost",
            in_steps == i128::from(report.lamports_spent),
        ),
        check("the product equals A x B, computed independently", product_right),
        check("the picture equals the reference", picture_right),
    ]
}

/// Makes the two matrices, writes them, and reads them back as a renter would.
fn write_matrices(folder: &Path, seed: u64, size: u32) -> Result<[npy::Matrix<i8>; 2]> {
    for (matrix, name) in check::matrices(seed, size).iter().zip(["a.npy", "b.npy"]) {
        let bytes: Vec<u8> = matrix.data.iter().map(|x| x.cast_unsigned()).collect();
        npy::write(&folder.join(name), "|i1", matrix.rows, matrix.columns, &bytes)?;
    }
    Ok([npy::read_int8(&folder.join("a.npy"))?, npy::read_int8(&folder.join("b.npy"))?])
}

fn write_results(folder: &Path, params: &Params, image: &[u8], size: u32, product: &[u8]) -> Result<()> {
    let params = params.to_bytes();
    let picture = Made { kernel: AnyKernel::EscapeTime, params: &params };
    npy::write_file(&folder.join("picture.png"), &picture.encode(&picture.part(None)?, image)?)?;
    npy::write(&folder.join("product.npy"), "<i4", size, size, product)
}
