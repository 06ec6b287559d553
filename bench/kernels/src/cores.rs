//! Kernels on the processor's cores, beside others' libraries for the same work.

use anyhow::Result;
use assay_kernels::{executor::Cpu, registry::AnyKernel};
use serde_json::{Value, json};

use crate::{
    peer::Peer,
    report::{Section, ratio},
    round::{Turns, alone, turns},
    work::{Work, known, spell, unit},
};

/// Seconds that a job takes at least.
const LEAST: f64 = 0.15;

const TEXT: &str = "\
All cores, results in memory. **Ratio**: kernel over library, the median of seven rounds in which each goes first in turn,
and the least and most of them. Jobs are the kernel's own trials with random inputs; libraries do about as much work of the
same kind. **Hashed**: the same job with the Merkle tree of its leaves, which a worker commits to, over it without.
";

/// Measures every kernel.
///
/// # Errors
/// A kernel's own executor failed. What a library cannot is written down.
pub fn section() -> Result<Section> {
    let mut section = Section::new("cores", "On the processor, beside libraries", TEXT);
    section.columns(&["Kernel", "Unit", "Units of the job", "Units/s", "Hashed", "Library", "Its units/s", "Ratio"]);
    for kernel in AnyKernel::ALL {
        eprintln!("{} on the processor", kernel.name());
        let work = Work::of_seconds(&Cpu, *kernel, LEAST)?;
        let hashed = turns(|| work.run_hashed(&Cpu), || work.run(&Cpu))?;
        let peers = known(*kernel).map_or(&[][..], |known| known.peers);
        if peers.is_empty() {
            let speed = alone(|| work.run(&Cpu))?;
            add(&mut section, &work, &hashed, speed, "none for the same work", &Err("no library".into()));
        }
        for (key, name) in peers {
            let measured = Peer::ready(key, &work)
                .and_then(|mut peer| turns(|| work.run(&Cpu), || peer.run()))
                .map_err(|error| format!("not measured: {error:#}"));
            let speed = match &measured {
                Ok(turns) => turns.ours,
                Err(_) => alone(|| work.run(&Cpu))?,
            };
            add(&mut section, &work, &hashed, speed, name, &measured);
        }
    }
    Ok(section)
}

fn add(section: &mut Section, work: &Work, hashed: &Turns, speed: f64, name: &str, peer: &Result<Turns, String>) {
    let unit = unit(work.kernel);
    let (theirs, shown) = match peer {
        Ok(turns) => (spell(turns.theirs), ratio(turns)),
        Err(why) => (why.clone(), String::new()),
    };
    let row = [work.kernel.name(), unit, &spell(work.units), &spell(speed), &ratio(hashed), name, &theirs, &shown];
    let json = json!({
        "kernel": work.kernel.name(),
        "unit": unit,
        "units": work.units,
        "units_per_second": speed,
        "hashed_ratio": hashed.ratio,
        "library": name,
        "library_units_per_second": peer.as_ref().ok().map(|turns| turns.theirs),
        "ratio": peer.as_ref().ok().map(|turns| turns.ratio),
        "ratio_least": peer.as_ref().ok().map(|turns| turns.least),
        "ratio_most": peer.as_ref().ok().map(|turns| turns.most),
        "not_measured": peer.as_ref().err().map_or(Value::Null, |why| json!(why)),
    });
    section.add(&row, json);
}
