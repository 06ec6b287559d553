//! Hits of an `align` job by name, as tab-separated lines: the names are in the renter's own files.

use crate::{
    args::Fetch,
    error::{CliError, Result},
    job::file::Made,
    work::alignment,
};
use assay_kernels::{
    align::{
        Align, Params,
        import::{self, Record},
        result::{self, HitError},
    },
    kernel::Kernel,
    registry::AnyKernel,
};
use std::path::Path;

/// What the file holds, as other parts of a result have their names.
pub const NAME: &str = "hits";
const OUTCOME: &str = "Nothing was written";

/// What is wanted of a result.
#[derive(Debug)]
pub struct Hits {
    params: Params,
    queries: Vec<Record>,
    database: Vec<Record>,
    top: usize,
    least: u32,
}

impl Hits {
    /// What the arguments want; none where they want no hits.
    ///
    /// # Errors
    /// A job of another kernel, and files that are not FASTA (exit code 3).
    pub fn wanted(made: &Made<'_>, args: &Fetch) -> Result<Option<Self>> {
        let (Some(queries), Some(database)) = (&args.queries, &args.database) else { return Ok(None) };
        if made.kernel != AnyKernel::Align {
            let kernel = made.kernel.name();
            return Err(CliError::usage(format!("a job of {kernel} has no hits, those of align have. {OUTCOME}")));
        }
        Self::of(made.params, queries, database, args.top, args.least).map(Some)
    }

    /// Hits of a job with these params, whose sequences are in these files.
    ///
    /// # Errors
    /// Files that are not FASTA (exit code 3).
    pub fn of(params: &[u8], queries: &Path, database: &Path, top: usize, least: u32) -> Result<Self> {
        let params = Align::parse(params).map_err(|e| CliError::internal(format!("the job's parameters: {e}")))?;
        let read = |path: &Path| {
            import::read(path, &params.scoring.matrix).map_err(|error| alignment::refused(&error, OUTCOME))
        };
        Ok(Self { params, queries: read(queries)?, database: read(database)?, top, least })
    }

    /// The lines, out of a whole result.
    ///
    /// # Errors
    /// Other files than those of the job (`wrong-files`), or a result that scores a hit otherwise than it does when computed
    /// here (`result-wrong`, exit code 8).
    pub fn encode(&self, result: &[u8]) -> Result<Vec<u8>> {
        let hits = result::hits(&self.params, result, &self.queries, &self.database, self.top, self.least);
        let hits = hits.map_err(|error| match error {
            HitError::OtherFiles => CliError::file("wrong-files", format!("{error}. {OUTCOME}.")),
            HitError::Wrong { .. } => CliError::verification("result-wrong", format!("{error}. {OUTCOME}.")),
        })?;
        Ok(result::tsv(&hits, &self.queries, &self.database).into_bytes())
    }
}

/// The file's ending says what the caller expects.
///
/// # Errors
/// Another one than that of lines parted by tabs.
pub fn check_name(path: &Path) -> Result<()> {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("tsv")) {
        return Ok(());
    }
    Err(CliError::usage(format!("{NAME} are written as .tsv: name the file so. {OUTCOME}")))
}
