//! `assay kernel`: what can be computed, and whether this machine computes it right.

use crate::{
    args::Selftest,
    console::Console,
    device::Computing,
    error::{CliError, Result},
    tables::{numbers, table},
};
use assay_kernels::{
    executor::{Backend, Compared, Cpu, Limit, check, compare},
    registry::AnyKernel,
};
use serde::Serialize;
use serde_json::json;
use std::time::{Duration, Instant};

/// What a test of one kernel on one device showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Tested {
    device: String,
    kernel: &'static str,
    /// What went wrong; none where nothing did.
    wrong: Option<String>,
    /// Random jobs that came out right.
    jobs: u64,
    /// Cells of them, each byte compared with the CPU.
    cells: u64,
    /// Cells that the reference computed, too.
    reference_cells: u64,
}

/// Runs `assay kernel list`.
///
/// # Errors
/// None.
pub fn list(console: &Console) -> Result<()> {
    let mut rows = table([
        "kernel",
        "number",
        "version",
        "A",
        "inputs",
        "stages",
        "cost classes",
        "cell bytes",
        "leaf bytes",
        "cell CU",
        "answer txs",
        "evidence bytes",
    ]);
    let mut documents = Vec::new();
    for kernel in AnyKernel::ALL {
        let of = kernel.describe();
        let amplification = f64::from(of.amplification_bps) / 10_000.0;
        rows.add_row([
            kernel.name().to_owned(),
            of.kernel.to_string(),
            of.version.to_string(),
            format!("{amplification:.2}"),
            of.inputs.to_string(),
            of.stages.to_string(),
            of.max_cost_classes.to_string(),
            of.cell_bytes_max.to_string(),
            of.leaf_bytes_max.to_string(),
            of.cell_cu_max.to_string(),
            of.answer_transactions.to_string(),
            of.evidence_bytes_max.to_string(),
        ]);
        documents.push(json!({
            "kernel": kernel.name(),
            "number": of.kernel,
            "version": of.version,
            "abi": of.abi,
            "amplification": amplification,
            "inputs": of.inputs,
            "stages": of.stages,
            "cost_classes": of.max_cost_classes,
            "cell_bytes": of.cell_bytes_max,
            "leaf_bytes": of.leaf_bytes_max,
            "cell_compute_units": of.cell_cu_max,
            "answer_transactions": of.answer_transactions,
            "evidence_bytes": of.evidence_bytes_max,
        }));
    }
    numbers(&mut rows);
    console.say(rows.to_string());
    console.say(
        "A: what share of the work somebody can leave out for each share of the draws that would find it; collateral grows \
         with it. Limits are the most of any job.",
    );
    console.document(&json!({ "kernels": documents }))
}

/// Runs `assay kernel selftest`.
///
/// # Errors
/// An unknown kernel, a card that was asked for and is not there, or anything that is not computed right
/// (`selftest-failed`, exit code 8).
pub async fn selftest(console: &Console, args: &Selftest) -> Result<()> {
    let named = |name: &String| {
        AnyKernel::from_name(name).ok_or_else(|| {
            let known: Vec<&str> = AnyKernel::ALL.iter().map(|kernel| kernel.name()).collect();
            CliError::usage(format!("there is no kernel {name}; there are {}", known.join(", ")))
        })
    };
    let kernels = match args.kernel.as_slice() {
        [] => AnyKernel::ALL.to_vec(),
        names => names.iter().map(named).collect::<Result<_>>()?,
    };
    let computing = Computing::take(&args.device).await?;
    computing.tell(console);
    let (time, seed) = (Duration::from_secs(args.seconds), args.seed.unwrap_or_else(rand::random));
    let unused = match &computing {
        Computing::Cards(_, found) => found.unused.clone(),
        Computing::Cpu(_) => Vec::new(),
    };
    let testing = tokio::task::spawn_blocking(move || match &computing {
        Computing::Cards(devices, _) => {
            let devices = devices.devices().iter();
            devices.flat_map(|card| test(card, card.label(), &kernels, time, seed)).collect::<Vec<_>>()
        }
        Computing::Cpu(_) => test(&Cpu, &Cpu.name(), &kernels, time, seed),
    });
    let tested = testing.await.map_err(|error| CliError::internal(format!("the test ended: {error}")))?;
    report(console, &tested, &unused, seed)
}

/// Known answers and random jobs of each kernel on one device.
fn test(backend: &dyn Backend, label: &str, kernels: &[AnyKernel], time: Duration, seed: u64) -> Vec<Tested> {
    let one = |kernel: &AnyKernel| {
        let mark = backend.mark();
        let limit = Instant::now().checked_add(time).map_or(Limit::jobs(1), Limit::until);
        let ran = check(backend, *kernel)
            .map_err(|why| format!("known answers: {why}"))
            .and_then(|()| compare(backend, *kernel, limit, seed).map_err(|mismatch| mismatch.to_string()))
            .and_then(|compared| backend.verify(mark).map(|()| compared).map_err(|error| error.to_string()));
        let (compared, wrong) = match ran {
            Ok(compared) => (compared, None),
            Err(why) => (Compared::default(), Some(why)),
        };
        let Compared { jobs, cells, reference_cells, .. } = compared;
        Tested { device: label.to_owned(), kernel: kernel.name(), wrong, jobs, cells, reference_cells }
    };
    kernels.iter().map(one).collect()
}

fn report(console: &Console, tested: &[Tested], unused: &[String], seed: u64) -> Result<()> {
    let mut rows = table(["kernel", "known answers and random jobs", "jobs", "cells", "by reference", "device"]);
    for row in tested {
        rows.add_row([
            row.kernel.to_owned(),
            if row.wrong.is_some() { "WRONG" } else { "right" }.to_owned(),
            row.jobs.to_string(),
            row.cells.to_string(),
            row.reference_cells.to_string(),
            row.device.clone(),
        ]);
    }
    console.say(rows.to_string());
    let wrong =
        tested.iter().filter_map(|row| Some(format!("{} on {}: {}", row.kernel, row.device, row.wrong.as_ref()?)));
    let wrong: Vec<String> = wrong.chain(unused.iter().cloned()).collect();
    if !wrong.is_empty() {
        let text = format!(
            "{}. Don't provide or validate with this device. Check it with nvidia-smi and its log of Xid errors; --seed {seed} \
             repeats the random jobs",
            wrong.join("; ")
        );
        return Err(CliError::verification("selftest-failed", text));
    }
    console.say(format!("all right; random jobs began at seed {seed}"));
    console.document(&json!({ "passed": true, "seed": seed, "tests": tested }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_kernels::executor::{ExecError, Inputs};
    use std::ops::Range;

    /// Wrong from the second run on.
    struct Wrong(std::sync::atomic::AtomicBool);

    impl Backend for Wrong {
        fn name(&self) -> String {
            "wrong".to_owned()
        }

        fn run(
            &self,
            kernel: u16,
            params: &[u8],
            inputs: &Inputs,
            leaves: Range<u64>,
        ) -> std::result::Result<Vec<u8>, ExecError> {
            let mut bytes = Cpu.run(kernel, params, inputs, leaves)?;
            if self.0.swap(true, std::sync::atomic::Ordering::Relaxed) {
                bytes[0] ^= 1;
            }
            Ok(bytes)
        }
    }

    fn console() -> Console {
        Console::new(true, false, Box::new(std::io::sink()), Box::new(std::io::sink()))
    }

    #[test]
    fn wrong_bits_fail_the_test_and_are_named() {
        let tested = test(&Wrong(Default::default()), "card 7", &[AnyKernel::GemmI8], Duration::ZERO, 3);
        let error = report(&console(), &tested, &[], 3).unwrap_err();
        assert_eq!((error.code.as_str(), error.exit as u8), ("selftest-failed", 8));
        assert!(error.message.contains("gemm_i8 on card 7") && error.message.contains("--seed 3"), "{error}");
        // A card that can't be used is no card that passed.
        assert!(report(&console(), &[], &["card 1 is not used".to_owned()], 3).is_err());
    }

    #[test]
    fn this_machine_computes_right() {
        let tested = test(&Cpu, "cpu", AnyKernel::ALL, Duration::ZERO, 9);
        assert!(tested.iter().all(|row| row.wrong.is_none() && row.jobs >= 1 && row.cells >= 1), "{tested:?}");
        report(&console(), &tested, &[], 9).unwrap();
    }
}
