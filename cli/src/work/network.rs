//! A network's batch as a job, out of a renter's files.

use super::{Input, Shards, Work};
use crate::{
    error::{CliError, Result},
    npy,
};
use assay_kernels::{
    mlp_i8::{
        MAX_CLASSES, Output,
        import::{ImportError, Network, read_int8, samples_input},
    },
    registry::AnyKernel,
};
use std::path::Path;

fn refused(error: &ImportError) -> CliError {
    let code = match error {
        ImportError::Unreadable { path, error } => return npy::missing(path, error),
        ImportError::TooLong { .. } => "file-too-large",
        ImportError::NotNpy { .. } => "not-npy",
        ImportError::ElementType { .. } => "wrong-dtype",
        ImportError::Shape { .. } | ImportError::SampleWidth { .. } => "wrong-shape",
        ImportError::Damaged { .. } => "file-damaged",
        ImportError::Requantisation { .. } | ImportError::Scale(_) => "wrong-requantisation",
        ImportError::Layers(_) => "not-a-network",
        ImportError::BiasTooLarge { .. } => "bias-too-large",
        ImportError::Params(_) => return CliError::usage(format!("{error}. Nothing was sent or paid")),
    };
    CliError::file(code, format!("{error}. Nothing was sent or paid."))
}

/// The samples of a file through the network of a folder, with answers or with sums alone, in about so many shards.
///
/// # Errors
/// Files that are not a network or samples for it (exit code 3), a batch that the kernel does not compute, or more shards
/// than there can be.
pub fn work(folder: &Path, samples: &Path, answers: bool, shards: impl Into<Shards>) -> Result<Work> {
    let network = Network::read(folder).map_err(|e| refused(&e))?;
    let samples = read_int8(samples).map_err(|e| refused(&e))?;
    let output = if answers { Output::Argmax } else { Output::Sums };
    // A shard is a group of samples with all of their stages, and groups times stages are limited.
    let stages = network.layers().len().saturating_add(usize::from(answers));
    let groups = MAX_CLASSES.checked_div(stages).unwrap_or(0) as u64;
    let what = format!("{} samples through {stages} stages", samples.rows);
    let wanted = shards.into().within(groups.min(samples.rows.into()), &what)?;
    let size = samples.rows.div_ceil(wanted.max(1)).max(1);
    let groups = u8::try_from(samples.rows.div_ceil(size)).map_err(|_| CliError::internal("too many groups"))?;
    let params = network.params(&samples, groups, output).map_err(|e| refused(&e))?;
    let inputs = vec![Input::new(samples_input(&params, &samples)), Input::new(network.weights_input(&params))];
    Work::new(AnyKernel::MlpI8, params.to_vec(), inputs, Shards::About(u32::from(groups)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::file::Made;
    use assay_kernels::{
        executor::{Backend, Cpu, Inputs},
        mlp_i8::import::read_int32,
    };
    use std::{fs, path::PathBuf};

    /// The network that the kernel's own tests know: trained, with NumPy's answers and logits.
    fn digits() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../kernels/mlp_i8/digits")
    }

    #[test]
    fn files_become_a_job_and_its_result_numpys_files() {
        let folder = digits();
        let samples = folder.join("samples.npy");
        for (answers, shards, cut) in [(true, None, 4), (true, Some(3), 3), (false, Some(5), 5), (true, Some(1), 1)] {
            let work = work(&folder, &samples, answers, shards).unwrap();
            assert_eq!(work.shards, cut);
            let mut inputs = Inputs::default();
            for (slot, input) in inputs.inputs.iter_mut().zip(&work.inputs) {
                *slot = &input.bytes;
            }
            let mut result = Vec::new();
            for shard in 0..u64::from(work.shards) {
                let first = shard * work.shard_leaves;
                let end = (first + work.shard_leaves).min(work.leaves);
                result.extend(Cpu.run(work.kernel.id(), &work.params, &inputs, first..end).unwrap());
            }
            let made = Made { kernel: work.kernel, params: &work.params };
            for name in if answers { &["answers", "logits"][..] } else { &["logits"] } {
                let file = made.encode(&made.part(Some(name)).unwrap(), &result).unwrap();
                let (known, ours) = (folder.join(format!("{name}.npy")), npyz::NpyFile::new(file.as_slice()).unwrap());
                if *name == "logits" {
                    let known = read_int32(&known).unwrap();
                    assert_eq!(ours.shape(), [known.rows, known.columns].map(u64::from));
                    assert_eq!(ours.into_vec::<i32>().unwrap(), known.data);
                } else {
                    let known: Vec<u16> = read_int8(&known).unwrap().data.iter().map(|n| u16::from(*n as u8)).collect();
                    assert_eq!(ours.shape(), [known.len() as u64]);
                    assert_eq!(ours.into_vec::<u16>().unwrap(), known);
                }
            }
            assert_eq!(made.part(None).unwrap().name, if answers { "answers" } else { "logits" });
        }
    }

    #[test]
    fn every_fault_has_its_code() {
        let folder = digits();
        let samples = folder.join("samples.npy");
        let refused = |folder: &Path, samples: &Path, shards: u32| {
            let error = work(folder, samples, true, shards).unwrap_err();
            assert!(error.message.contains("Nothing was sent or paid"), "{error}");
            (error.code, error.exit as u8)
        };
        let file = |code: &str| (code.to_owned(), 3);
        assert_eq!(refused(&folder.join("none"), &samples, 1), file("not-a-network"));
        assert_eq!(refused(&folder, &folder.join("none.npy"), 1), file("file-not-found"));
        assert_eq!(refused(&folder, &folder.join("biases_0.npy"), 1), file("wrong-dtype"));
        assert_eq!(refused(&folder, &folder.join("weights_1.npy"), 1), file("wrong-shape"));
        assert_eq!(refused(&folder, &folder.join("golden.txt"), 1), file("not-npy"));
        // Four stages, 16 classes.
        assert_eq!(refused(&folder, &samples, 5), ("usage".to_owned(), 2));
        assert_eq!(refused(&folder, &samples, 0), ("usage".to_owned(), 2));
        // Each file of a network is needed.
        for missing in ["requantise", "weights_0", "biases_1", "weights_2"] {
            let folder = tempfile::tempdir().unwrap();
            for name in ["weights_0", "weights_1", "weights_2", "biases_0", "biases_1", "biases_2", "requantise"] {
                let file = format!("{name}.npy");
                if name != missing {
                    fs::copy(digits().join(&file), folder.path().join(&file)).unwrap();
                }
            }
            let code = match missing {
                "weights_0" => "not-a-network",
                // Two layers are left, and a requantisation too many.
                "weights_2" => "wrong-shape",
                _ => "file-not-found",
            };
            assert_eq!(refused(folder.path(), &samples, 1), file(code), "{missing}");
        }
    }
}
