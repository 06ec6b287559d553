//! Kernels on a graphics card, beside the processor, libraries on the card, and what others have published.

use anyhow::{Context, Result};
use assay_kernels::{
    executor::{Backend, Cpu},
    gemm_i8,
    registry::AnyKernel,
};
use serde_json::json;

use crate::{
    peer::{Peer, Python},
    report::{Section, ratio},
    round::{alone, turns},
    work::{KNOWN, Work, known, spell, unit},
};

/// How large what is measured is.
pub struct Sizes {
    /// Sides of the products that are measured beside cuBLASLt.
    pub products: &'static [u32],
    /// Seconds that a kernel's own job takes at least, where it has one so large.
    pub least: f64,
    /// Side of the image whose pixels are hashed.
    pub image: u32,
}

/// What says something about a card.
pub const SIZES: Sizes = Sizes { products: &[4_096, 8_192, 16_384], least: 0.3, image: 8_192 };
/// Inner nodes that the arithmetic of an H200 allows in a second: two compressions each.
const NODES: f64 = 8e9;

const TEXT: &str = "\
From inputs in the machine's memory to results in it, as a worker runs: copies to and from the card are in the time.
**Hashed**: with the Merkle tree of the result's leaves, over it without. No kernel's result is a requantised int8 matrix,
so there is nothing to put beside cuBLASLt's. **Over the processor**: of the same machine, all
cores, the same job or the largest that it computes in a second. **Published**: the kernel's units a second over others'
on such a card.
";

/// What would be measured, where it is not.
pub fn not_measured(why: &str) -> Section {
    let mut section = Section::new("card", "On a graphics card", TEXT);
    section.columns(&["What", "Beside", "Ratio"]);
    let mut add = |what: &str, beside: &str| {
        let json = json!({ "what": what, "beside": beside, "ratio": null, "not_measured": why });
        section.add(&[what, beside, "not measured"], json);
    };
    for kernel in AnyKernel::ALL {
        let Some(known) = known(*kernel) else { continue };
        add(&format!("{}, {}", kernel.name(), known.unit), "the processor's cores");
        for (_, name) in known.card_peers {
            let sizes =
                if *kernel == AnyKernel::GemmI8 { format!(" at {:?}, hashed", SIZES.products) } else { String::new() };
            add(&format!("{}{sizes}", kernel.name()), name);
        }
        for (card, speed, whose) in known.published {
            add(&format!("{} on {card}", kernel.name()), &format!("{}/s, {whose}", spell(*speed)));
        }
    }
    add("hashing of leaves and nodes", &format!("{} nodes/s, the limit of an H200's arithmetic", spell(NODES)));
    section.note = format!("Not measured: {why}.");
    section
}

/// Measures these kernels on a card, and how fast it hashes.
///
/// # Errors
/// The card failed.
pub fn section(card: &dyn Backend, kernels: &[AnyKernel], sizes: &Sizes) -> Result<Section> {
    let mut section = Section::new("card", "On a graphics card", TEXT);
    section.note = format!("Measured on {}.", card.name());
    section.columns(&["What", "Size", "Units/s", "Hashed", "Beside", "Its units/s", "Ratio"]);
    for kernel in kernels {
        eprintln!("{} on {}", kernel.name(), card.name());
        one(&mut section, card, *kernel, sizes.least)?;
    }
    let products = if kernels.contains(&AnyKernel::GemmI8) { sizes.products } else { &[] };
    for side in products {
        eprintln!("a product of {side} x {side} x {side} on {}", card.name());
        product(&mut section, card, *side)?;
    }
    hashing(&mut section, card, sizes.image)?;
    Ok(section)
}

/// A line: what of what size, units a second, hashed over not, beside what, its units a second, the ratio.
fn line(
    section: &mut Section,
    texts: [&str; 4],
    ours: f64,
    hashed: Option<f64>,
    theirs: Option<f64>,
    shown: Option<&str>,
) {
    let [what, unit, size, beside] = texts;
    let hashed_text = hashed.map_or(String::new(), |hashed| format!("{hashed:.2}"));
    let theirs_text = theirs.map_or("not measured".to_owned(), spell);
    let ratio = theirs.map(|theirs| ours / theirs);
    let ratio_text = shown.map_or_else(|| ratio.map_or(String::new(), |ratio| format!("{ratio:.3}")), str::to_owned);
    let json = json!({
        "what": what,
        "unit": unit,
        "size": size,
        "units_per_second": ours,
        "hashed_ratio": hashed,
        "beside": beside,
        "beside_units_per_second": theirs,
        "ratio": ratio,
    });
    section
        .add(&[&format!("{what}, {unit}"), size, &spell(ours), &hashed_text, beside, &theirs_text, &ratio_text], json);
}

fn one(section: &mut Section, card: &dyn Backend, kernel: AnyKernel, least: f64) -> Result<()> {
    let work = Work::of_seconds(card, kernel, least)?;
    let hashed = turns(|| work.run_hashed(card), || work.run(card))?;
    let ours = hashed.theirs;
    let small = Work::of_seconds(&Cpu, kernel, least)?;
    let cores = alone(|| small.run(&Cpu))?;
    let size = format!("{} units, {} bytes", spell(work.units), spell(work.bytes as f64));
    let unit = unit(kernel);
    line(section, [kernel.name(), unit, &size, "the processor's cores"], ours, Some(hashed.ratio), Some(cores), None);
    // Products have sizes of their own, below.
    for (key, peer) in known(kernel).filter(|_| kernel != AnyKernel::GemmI8).map_or(&[][..], |known| known.card_peers) {
        match Peer::ready(key, &work).and_then(|mut peer| turns(|| work.run(card), || peer.run())) {
            Ok(turns) => {
                let texts = [kernel.name(), unit, &size, peer];
                line(section, texts, turns.ours, Some(hashed.ratio), Some(turns.theirs), Some(&ratio(&turns)));
            }
            Err(error) => {
                let beside = format!("{peer}: {error:#}");
                line(section, [kernel.name(), unit, &size, &beside], ours, Some(hashed.ratio), None, None);
            }
        }
    }
    let name = card.name();
    let published = known(kernel).into_iter().flat_map(|known| known.published);
    for (_, speed, whose) in published.filter(|(part, _, _)| name.contains(part)) {
        line(section, [kernel.name(), unit, &size, whose], ours, Some(hashed.ratio), Some(*speed), None);
    }
    Ok(())
}

/// A square product with its commitment, in turns with others on the same card.
fn product(section: &mut Section, card: &dyn Backend, side: u32) -> Result<()> {
    let params = gemm_i8::Params { m: side, n: side, k: side }.to_bytes().to_vec();
    let work = Work::new(AnyKernel::GemmI8, params, 0x5eed)?;
    let unit = unit(AnyKernel::GemmI8);
    let size = format!("{side} x {side} x {side}");
    let known = KNOWN.iter().find(|known| known.kernel == "gemm_i8").context("gemm_i8 is known")?;
    for (key, name) in known.card_peers {
        let measured = Python::ready(&[key, &side.to_string()])
            .and_then(|mut peer| turns(|| work.run_hashed(card), || peer.run()));
        match measured {
            Ok(turns) => {
                let texts = ["gemm_i8 with its commitment", unit, &size, name];
                line(section, texts, turns.ours, None, Some(turns.theirs), Some(&ratio(&turns)));
            }
            Err(error) => {
                let ours = alone(|| work.run_hashed(card))?;
                let beside = format!("{name}: {error:#}");
                line(section, ["gemm_i8 with its commitment", unit, &size, &beside], ours, None, None, None);
            }
        }
    }
    Ok(())
}

/// The tree of a result that is nearly free to compute.
fn hashing(section: &mut Section, card: &dyn Backend, side: u32) -> Result<()> {
    let image = assay_kernels::escape_time::Params { width: side, height: side, max_iter: 1, x0: 0, y0: 0, step: 1 };
    let work = Work::new(AnyKernel::EscapeTime, image.to_bytes().to_vec(), 1)?;
    let nodes = (2 * work.leaves - 1) as f64;
    let speed = alone(|| Ok(work.run_hashed(card)? / work.units * nodes))?;
    let size = format!("{} leaves of 256 bytes", work.leaves);
    let beside = "the limit of an H200's arithmetic";
    line(section, ["computing, hashing and fetching leaves", "nodes", &size, beside], speed, None, Some(NODES), None);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_measured_says_why() {
        let section = not_measured("there is no card");
        assert!(section.page().contains("not measured") && section.page().contains("there is no card"));
        assert!(section.rows.len() > AnyKernel::ALL.len());
    }

    #[test]
    fn the_harness_runs_on_any_backend() {
        let section = section(&Cpu, AnyKernel::ALL, &Sizes { products: &[64], least: 0.0, image: 256 }).unwrap();
        for kernel in AnyKernel::ALL {
            assert!(section.rows.iter().any(|row| row[0].starts_with(kernel.name())), "{}", kernel.name());
        }
        // Without PyTorch the peer is not measured, and says so.
        let products: Vec<_> = section.rows.iter().filter(|row| row[1] == "64 x 64 x 64").collect();
        assert_eq!(products.len(), 2);
    }
}
