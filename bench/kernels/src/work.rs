//! Jobs to measure with: those of each kernel's own making, with random inputs, as zeros and the like run faster.

use anyhow::{Context, Result};
use assay_kernels::{
    executor::{Backend, Commit, Cpu},
    handling::Trial,
    random::Random,
    registry::AnyKernel,
};

use crate::round::seconds;

/// What people call a kernel's unit of work, and which others do the same.
pub struct Known {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// What [`work_of_cost_one`](assay_kernels::handling::Handling::work_of_cost_one) counts.
    pub unit: &'static str,
    /// Others on a processor: their key in `peers/peers.py` (or here, for those of this program), and what they are.
    pub peers: &'static [(&'static str, &'static str)],
    /// Others on a card, in `peers/peers.py`.
    pub card_peers: &'static [(&'static str, &'static str)],
    /// Published speeds on cards, in units a second: part of the card's name, speed, whose.
    pub published: &'static [(&'static str, f64, &'static str)],
}

/// Every kernel that something is known of. A kernel that is not here is measured without a peer.
pub const KNOWN: [Known; 6] = [
    Known {
        kernel: "escape_time",
        unit: "iterations",
        peers: &[("rust:escape_time", "a plain loop over pixels in Rust, all cores")],
        card_peers: &[],
        published: &[],
    },
    Known {
        kernel: "gemm_i8",
        unit: "multiplications",
        peers: &[
            ("gemm_onnx", "ONNX Runtime 1.22.1, MatMulInteger (int8 with a zero point, MLAS)"),
            ("gemm_f32", "OpenBLAS in NumPy 2.2.6, float32: other arithmetic, not exact"),
            ("gemm_numpy", "NumPy 2.2.6, int32 matmul"),
        ],
        card_peers: &[
            ("cuda_int_mm", "cuBLASLt alone (torch._int_mm, int8 to int32), operands and result on the card"),
            ("cuda_int_mm_copied", "the same with operands copied to the card and the result back"),
        ],
        published: &[],
    },
    Known {
        kernel: "search",
        unit: "SHA-256 blocks",
        peers: &[("rust:search", "RustCrypto's sha2, one header after the other, all cores")],
        card_peers: &[],
        published: &[
            ("H100", 15.1e9, "hashcat -m 1400"),
            ("H200", 15.1e9, "hashcat -m 1400 on an H100, the same processor"),
            ("L40S", 20.5e9, "hashcat -m 1400"),
            ("A100", 9.5e9, "hashcat -m 1400"),
        ],
    },
    Known {
        kernel: "mlp_i8",
        unit: "multiplications",
        peers: &[(
            "mlp_onnx",
            "ONNX Runtime 1.22.1, QGemm three times (int8, requantised in float: not the same bits)",
        )],
        card_peers: &[],
        published: &[],
    },
    Known {
        kernel: "align",
        unit: "cell updates",
        peers: &[("align_parasail", "parasail 1.3.4, Smith-Waterman, striped, BLOSUM62, open 11, extend 1")],
        card_peers: &[],
        published: &[
            ("A100", 1.94e12, "CUDASW++4.0"),
            ("L40S", 5.01e12, "CUDASW++4.0"),
            ("H100", 5.71e12, "CUDASW++4.0"),
            ("H200", 5.71e12, "CUDASW++4.0 on an H100, the same processor"),
        ],
    },
    Known {
        kernel: "option_risk",
        unit: "compute units that the chain would need",
        peers: &[("risk_numpy", "NumPy 2.2.6, Philox, float64, the same example (not the same bits)")],
        card_peers: &[("cuda_paths", "a straightforward CUDA kernel: float32, a thread for each path")],
        published: &[],
    },
];

/// What is known of a kernel.
pub fn known(kernel: AnyKernel) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.kernel == kernel.name())
}

/// What a kernel's units are called.
pub fn unit(kernel: AnyKernel) -> &'static str {
    known(kernel).map_or("units of its own", |known| known.unit)
}

/// A job with its size.
pub struct Work {
    /// Its kernel.
    pub kernel: AnyKernel,
    /// Params and inputs.
    pub job: Trial,
    /// Leaves.
    pub leaves: u64,
    /// Units of work.
    pub units: f64,
    /// Bytes of its result.
    pub bytes: u64,
}

impl Work {
    /// A job of these params with random inputs.
    ///
    /// # Errors
    /// No job has these params.
    pub fn new(kernel: AnyKernel, params: Vec<u8>, seed: u64) -> Result<Self> {
        let geometry = kernel.geometry(&params).context("params that no job has")?;
        let weight = geometry.weight().context("too large")? as f64;
        let units = weight * kernel.handling().work_of_cost_one(&params).context("params that no job has")? as f64;
        let mut random = Random::new(seed);
        let inputs = geometry.input_bytes.map(|len| (0..len / 8).flat_map(|_| random.bits().to_le_bytes()).collect());
        let (leaves, bytes) = (geometry.leaves().context("too large")?, geometry.bytes().context("too large")?);
        Ok(Self { kernel, job: Trial { params, inputs }, leaves, units, bytes })
    }

    /// The first of a kernel's trials on which the backend takes so many seconds, or the largest that it has.
    ///
    /// # Errors
    /// What the backend says.
    pub fn of_seconds(backend: &dyn Backend, kernel: AnyKernel, least: f64) -> Result<Self> {
        let mut largest = None;
        for size in 0.. {
            let Some(trial) = kernel.handling().trial(size) else { break };
            let work = Self::new(kernel, trial.params, 0x5eed)?;
            // The first run of all counts nothing: it wakes the machine.
            if size == 0 {
                work.run(backend)?;
            }
            let speed = work.run(backend)?;
            let enough = work.units / speed >= least;
            largest = Some(work);
            if enough {
                break;
            }
        }
        largest.with_context(|| format!("{} has no trial", kernel.name()))
    }

    /// Computes all of it: units a second.
    ///
    /// # Errors
    /// What the backend says.
    pub fn run(&self, backend: &dyn Backend) -> Result<f64> {
        let (result, time) =
            seconds(|| backend.run(self.kernel.id(), &self.job.params, &self.job.inputs(), 0..self.leaves));
        result?;
        Ok(self.units / time)
    }

    /// Computes and hashes all of it, as a worker does: units a second.
    ///
    /// # Errors
    /// What the backend says.
    pub fn run_hashed(&self, backend: &dyn Backend) -> Result<f64> {
        // Nodes of 1,024 leaves each, as shards are kept.
        let commit = Commit { salt: [7; 32], level: 10 };
        let inputs = self.job.inputs();
        let run = || backend.run_hashed(self.kernel.id(), &self.job.params, &inputs, 0..self.leaves, &commit);
        let (result, time) = seconds(run);
        result?;
        Ok(self.units / time)
    }

    /// Its result, by the processor.
    ///
    /// # Errors
    /// What the executor says.
    pub fn result(&self) -> Result<Vec<u8>> {
        Ok(Cpu.run(self.kernel.id(), &self.job.params, &self.job.inputs(), 0..self.leaves)?)
    }
}

/// `12.3 G`.
pub fn spell(number: f64) -> String {
    let steps = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];
    let (by, letter) = steps.into_iter().find(|(by, _)| number >= *by).unwrap_or((1.0, ""));
    let number = number / by;
    let digits = if number >= 100.0 {
        0
    } else if number >= 10.0 {
        1
    } else {
        2
    };
    format!("{number:.digits$}{letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_with_three_digits() {
        let spelled = [1.234e12, 15.1e9, 999.4e6, 1_000.0, 12.34, 0.5].map(spell);
        assert_eq!(spelled, ["1.23 T", "15.1 G", "999 M", "1.00 k", "12.3", "0.50"]);
    }

    #[test]
    fn every_kernel_has_a_name_for_its_units() {
        for kernel in AnyKernel::ALL {
            assert!(known(*kernel).is_some(), "{}: say in KNOWN what its units are", kernel.name());
        }
    }

    #[test]
    fn every_peer_is_one() {
        let script = include_str!("peers/peers.py");
        for (key, name) in KNOWN.iter().flat_map(|known| known.peers.iter().chain(known.card_peers)) {
            let is_here = key.starts_with("rust:") || script.contains(&format!("\ndef {key}("));
            assert!(is_here && !name.is_empty(), "there is no peer {key}");
        }
    }

    #[test]
    fn a_trial_is_found_and_its_units_counted() {
        let work = Work::of_seconds(&Cpu, AnyKernel::GemmI8, 0.0).unwrap();
        assert_eq!(work.units, 16.0 * 16.0 * 1_024.0);
        assert!(work.job.inputs[0].iter().any(|byte| *byte != work.job.inputs[0][0]));
        assert!(work.run_hashed(&Cpu).unwrap() > 0.0);
    }
}
