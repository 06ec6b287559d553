//! `cargo xtask invariants` runs this: see the library.

#![allow(clippy::arithmetic_side_effects, reason = "test code")]

use assay_invariants::{
    run::{Options, Report, run},
    tally::Tally,
};
use clap::Parser;
use std::{process::ExitCode, time::Duration};

#[derive(Parser)]
#[command(about = "Random sequences of every instruction against a model")]
struct Arguments {
    /// Everything random follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Instructions at least; the last episode is finished
    #[arg(long, default_value_t = 100_000)]
    steps: u64,
    /// Only this episode of the run
    #[arg(long)]
    episode: Option<u64>,
    /// Threads
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let a = Arguments::parse();
    let options = Options { seed: a.seed, steps: a.steps, episode: a.episode, threads: a.threads };
    let report = run(options, |tally: &Tally, took: Duration| {
        if tally.episodes.is_multiple_of(50) && tally.episodes > 0 {
            eprintln!("   {} instructions, {} s", tally.instructions, took.as_secs());
        }
    });
    if a.json {
        println!("{}", json(a.seed, &report));
    } else {
        table(a.seed, &report);
    }
    let Some(failure) = &report.failure else { return ExitCode::SUCCESS };
    eprintln!("\nseed {}, episode {}, step {}: {}", a.seed, failure.episode, failure.step, failure.what);
    eprintln!("the last actions:");
    for line in &failure.log {
        eprintln!("   {line}");
    }
    eprintln!("again: cargo xtask invariants --seed {} --episode {}", a.seed, failure.episode);
    ExitCode::FAILURE
}

fn rate(report: &Report) -> f64 {
    report.tally.instructions as f64 / report.took.as_secs_f64()
}

fn table(seed: u64, report: &Report) {
    let t = &report.tally;
    println!("{:<20} {:>12} {:>12}", "instruction", "landed", "refused");
    for (name, [landed, refused]) in &t.kinds {
        println!("{name:<20} {landed:>12} {refused:>12}");
    }
    println!("seed {seed}: {} instructions in {} episodes, {} exits", t.instructions, t.episodes, t.exits);
    let [wrong, late, rolled] = t.slashed;
    println!(
        "{} jobs; shards: {} settled; slashed: {wrong} wrong, {late} late, {rolled} rolled out",
        t.jobs, t.settled
    );
    println!("{} days of cluster time", t.seconds / 86_400);
    println!("{:.1} s, {:.0} instructions a second", report.took.as_secs_f64(), rate(report));
}

fn json(seed: u64, report: &Report) -> serde_json::Value {
    let t = &report.tally;
    serde_json::json!({
        "seed": seed,
        "instructions": t.instructions,
        "episodes": t.episodes,
        "exits": t.exits,
        "jobs": t.jobs,
        "settled": t.settled,
        "slashed": { "wrong": t.slashed[0], "late": t.slashed[1], "rolled": t.slashed[2] },
        "kinds": t.kinds.iter().map(|(name, [landed, refused])| (*name, serde_json::json!({ "landed": landed, "refused": refused }))).collect::<std::collections::BTreeMap<_, _>>(),
        "refusals": t.codes,
        "cluster_seconds": t.seconds,
        "seconds": report.took.as_secs_f64(),
        "rate": rate(report),
        "failure": report.failure.as_ref().map(|f| serde_json::json!({ "episode": f.episode, "step": f.step, "what": f.what, "log": f.log })),
    })
}
