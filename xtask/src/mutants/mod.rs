//! `cargo xtask mutants`: takes every check out of the settlement program in turn and shows that a test notices.
//!
//! The program is built once with its feature `mutants`, against a copy of Anchor: then the program's own `ensure`,
//! `same`, `expect` and `state_is`, and Anchor's checks of signers, owners, types, programs and seeds, look up a mark in
//! the file before they refuse. Writing the place of a check over the mark takes that one out. So a mutant costs no
//! build, only the tests on the real `.so`. What of Anchor's is left alone, and why, stands in `accounts.rs`.

mod accounts;
mod anchor_copy;
mod hash;
mod sites;
mod trial;
mod verdicts;

pub use anchor_copy::make as anchor_copy;

use std::{path::PathBuf, time::Instant};

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    mutants::{
        sites::{Kind, Site},
        trial::Trial,
        verdicts::Verdict,
    },
    paths, program,
    run::{say, spell},
};

#[derive(Args)]
pub struct Options {
    /// Only checks whose name contains this: `rules/shard`, `anchor:create_job`, `:signer`. More than once: any of them
    #[arg(long, value_name = "PART")]
    file: Vec<String>,
    /// Only from this number on, of those that --list prints
    #[arg(long, value_name = "N", default_value_t = 1)]
    from: usize,
    /// Only up to this number
    #[arg(long, value_name = "N")]
    to: Option<usize>,
    /// Only list the checks
    #[arg(long)]
    list: bool,
    /// Add each verdict to this file, as a line of JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Take the verdicts that --out has of this program, run the rest. Survivors run again when the tests have changed
    #[arg(long, requires = "out")]
    resume: bool,
    /// The binary of the settlement tests [default: built now]
    #[arg(long, value_name = "FILE")]
    tests: Option<PathBuf>,
    /// Tests that run at the same time
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

pub fn main(options: &Options) -> Result<()> {
    let workspace = paths::workspace()?;
    let sites = sites::all(&workspace)?;
    let chosen: Vec<(usize, &Site)> = (1..)
        .zip(&sites)
        .filter(|(n, _)| *n >= options.from && options.to.is_none_or(|to| *n <= to))
        .filter(|(_, site)| options.file.is_empty() || options.file.iter().any(|part| site.name.contains(part)))
        .collect();
    if options.list {
        for (n, site) in &chosen {
            println!("{n:>3}  {}  {}", site.name, site.text);
        }
        println!("{} checks", chosen.len());
        return Ok(());
    }
    let folder = paths::target()?.join("mutants");
    let original = program::with_mutants(&folder)?;
    let trial = Trial::new(&workspace, folder, original, options.tests.as_deref(), options.threads)?;
    let hashes = trial.hashes()?;
    let known = match &options.out {
        Some(file) if options.resume => verdicts::known(file, &hashes)?,
        _ => Default::default(),
    };
    say("the tests with every check in place");
    if let Some(test) = trial.plain()? {
        bail!("{test} fails without a mutant");
    }
    let (start, mut all) = (Instant::now(), Vec::new());
    for (n, site) in chosen {
        let begin = Instant::now();
        let (verdict, note) = match known.get(&site.name) {
            Some(verdict) => (verdict.clone(), "known".to_owned()),
            None => {
                let verdict = Verdict { caught_by: trial.without(site)? };
                if let Some(file) = &options.out {
                    verdicts::add(file, site, &verdict, &hashes, begin.elapsed().as_secs_f64())?;
                }
                (verdict, spell(begin.elapsed()))
            }
        };
        let told = verdict.caught_by.as_deref().map_or("SURVIVES".to_owned(), |test| format!("caught by {test}"));
        println!("{n:>3}/{}  {}  {told}  {}  ({note})", sites.len(), site.name, site.text);
        all.push((site, verdict));
    }
    summary(&all);
    println!("in {}", spell(start.elapsed()));
    Ok(())
}

/// How many of each kind were noticed, and which were not.
fn summary(all: &[(&Site, Verdict)]) {
    println!("\n{:<8} {:>6} {:>6} {:>8}", "kind", "checks", "caught", "survive");
    let line = |name: &str, of: &dyn Fn(Kind) -> bool| {
        let of_kind: Vec<_> = all.iter().filter(|(site, _)| of(site.kind)).collect();
        let survive = of_kind.iter().filter(|(_, verdict)| verdict.caught_by.is_none()).count();
        if !of_kind.is_empty() {
            println!("{name:<8} {:>6} {:>6} {survive:>8}", of_kind.len(), of_kind.len().saturating_sub(survive));
        }
    };
    for kind in Kind::ALL {
        line(kind.name(), &|k| k == kind);
    }
    line("all", &|_| true);
    for (site, _) in all.iter().filter(|(_, verdict)| verdict.caught_by.is_none()) {
        println!("SURVIVES  {}  {}", site.name, site.text);
    }
}
