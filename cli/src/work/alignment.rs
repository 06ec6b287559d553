//! Sequences against a database as a job, out of a renter's FASTA files.

use super::{Input, Shards, Work};
use crate::{
    error::{CliError, Result},
    npy,
};
use assay_kernels::{
    align::{
        Scoring,
        import::{self, ImportError, database_input, queries_input},
    },
    registry::AnyKernel,
};
use std::path::Path;

/// What is wrong with the files; `outcome` is what that means for the money.
pub(crate) fn refused(error: &ImportError, outcome: &str) -> CliError {
    let code = match error {
        ImportError::Unreadable { path, error } => return npy::missing(path, error),
        ImportError::TooLong(_) => "file-too-large",
        ImportError::Empty(_)
        | ImportError::NoHeader { .. }
        | ImportError::NoName { .. }
        | ImportError::NoSymbols { .. }
        | ImportError::Symbol { .. } => "not-fasta",
        ImportError::TooLongPair { .. } | ImportError::Ragged { .. } => "wrong-length",
        ImportError::Shards(_) | ImportError::Params(_) => return CliError::usage(format!("{error}. {outcome}")),
    };
    CliError::file(code, format!("{error}. {outcome}."))
}

/// The sequences of one file against those of another, in about so many shards.
///
/// # Errors
/// Files that are not FASTA, or sequences too long or too different in length for one job (exit code 3), scores that the
/// kernel does not have, or more shards than there can be.
pub fn work(queries: &Path, database: &Path, scoring: Scoring, shards: impl Into<Shards>) -> Result<Work> {
    const OUTCOME: &str = "Nothing was sent or paid";
    let refused = |error: ImportError| refused(&error, OUTCOME);
    let queries = import::read(queries, &scoring.matrix).map_err(refused)?;
    let database = import::read(database, &scoring.matrix).map_err(refused)?;
    let (params, shards) = match shards.into() {
        // As many as there can be, up to the usual number.
        Shards::Some => (1..=super::SHARDS)
            .rev()
            .map(|shards| (import::params(scoring, &queries, &database, shards), shards))
            .find(|(params, shards)| *shards == 1 || !matches!(params, Err(ImportError::Shards(_))))
            .ok_or_else(|| CliError::internal("no number of shards"))?,
        Shards::About(0) => return Err(CliError::usage(format!("a job has 1 shard at least. {OUTCOME}."))),
        Shards::About(shards) => (import::params(scoring, &queries, &database, shards), shards),
    };
    let params = params.map_err(refused)?;
    let inputs = vec![Input::new(queries_input(&params, &queries)), Input::new(database_input(&params, &database))];
    // Groups are the shards where there are stages.
    let shards = if params.stages() > 1 { u32::from(params.groups) } else { shards };
    Work::new(AnyKernel::Align, params.to_bytes().to_vec(), inputs, Shards::About(shards))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::hits::Hits;
    use assay_kernels::executor::{Backend, Cpu, Inputs};
    use std::path::PathBuf;

    /// The files that the kernel's own tests know.
    fn data(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../kernels/align/data").join(name)
    }

    #[test]
    fn files_become_a_job_and_its_result_lines_of_hits() {
        let (reads, genome) = (data("reads.fasta"), data("phix174.fasta"));
        for (shards, cut) in [(None, 3), (Some(1), 1)] {
            let work = work(&reads, &genome, Scoring::DNA, shards).unwrap();
            assert_eq!(work.shards, cut);
            let mut inputs = Inputs::default();
            for (slot, input) in inputs.inputs.iter_mut().zip(&work.inputs) {
                *slot = &input.bytes;
            }
            let result = Cpu.run(work.kernel.id(), &work.params, &inputs, 0..work.leaves).unwrap();
            let hits = Hits::of(&work.params, &reads, &genome, 3, 1).unwrap();
            let text = String::from_utf8(hits.encode(&result).unwrap()).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 4, "a line of names, and one for each read");
            assert!(lines[1].starts_with("read-0\tNC_001422.1\t"), "{}", lines[1]);
            assert_eq!(hits.encode(&result[1..]).unwrap_err().code, "wrong-files");
            let others = Hits::of(&work.params, &reads, &reads, 3, 1).unwrap();
            assert_eq!(others.encode(&result).unwrap_err().code, "wrong-files");
        }
        assert_eq!(work(&reads, &genome, Scoring::DNA, 100).unwrap_err().exit as u8, 2);
        assert_eq!(work(&reads, &genome, Scoring::DNA, 0).unwrap_err().exit as u8, 2);
        let protein = work(&data("proteins.fasta"), &genome, Scoring::DNA, None).unwrap_err();
        assert_eq!((protein.code.as_str(), protein.exit as u8), ("not-fasta", 3));
    }
}
