//! `assay job fetch`: all shards, each checked against the chain, as one file.

use crate::{
    args::Fetch,
    context::Context,
    error::{CliError, Exit, Result},
    job::{find, results, status},
    npy, picture, store,
};
use assay_kernels::{escape_time::EscapeTime, gemm_i8::GemmI8, kernel::Kernel, registry::AnyKernel};
use assay_settlement::state::{JobTerms, ShardState};
use std::path::Path;

/// Runs the command.
///
/// # Errors
/// No such job, not all shards settled yet (exit code 9), a provider that does not serve, or bytes that are not the
/// committed ones (exit code 8). A file is written only when everything was right.
pub async fn run(context: &Context<'_>, args: &Fetch) -> Result<()> {
    let job = find(context, &args.job).await?;
    check_name(job.terms.kernel_id, &args.out)?;
    let mut shards = context.reader.shards_of_job(&args.job).await?;
    shards.sort_by_key(|(_, shard)| shard.index);
    let missing: Vec<_> = status::lines(&job, &shards).into_iter().filter(|line| line.state != "settled").collect();
    if !missing.is_empty() {
        let list = missing.iter().map(|line| format!("{} ({})", line.index, line.state)).collect::<Vec<_>>().join(", ");
        let lost = missing.iter().any(|line| line.state == "slashed");
        let advice = if lost {
            "Slashed shards were refunded with compensation: submit that part of the work again."
        } else {
            "Try again when `assay job status` shows them settled."
        };
        return Err(CliError::new(
            Exit::NotReady,
            "job-not-finished",
            format!("these shards are not settled: {list}. Nothing was written. {advice}"),
        ));
    }
    let client = store::http()?;
    let mut bytes = Vec::new();
    for (address, shard) in shards.iter().filter(|(_, shard)| shard.state() == Some(ShardState::Settled)) {
        bytes.extend(results::fetch(&client, &context.reader, &job, address, shard).await?);
        context.console.note(format!(
            "shard {} of {}: {} bytes so far, root as on the chain",
            shard.index,
            job.terms.shards,
            bytes.len()
        ));
    }
    write(&job.terms, &args.out, &bytes)?;
    context.console.say(format!("{} written: every shard's root is the one on the chain", args.out.display()));
    context.console.document(&serde_json::json!({
        "job": args.job.to_string(),
        "file": args.out.display().to_string(),
        "shards": job.terms.shards,
        "bytes": bytes.len(),
        "verified": true,
    }))
}

/// The file's ending says what the caller expects; a surprise should come before the download.
fn check_name(kernel: u16, path: &Path) -> Result<()> {
    let wanted = match AnyKernel::from_id(kernel) {
        Ok(AnyKernel::EscapeTime) => "png",
        Ok(AnyKernel::GemmI8) => "npy",
        Err(_) => {
            return Err(CliError::new(
                Exit::Other,
                "unknown-kernel",
                "this version does not know the job's kernel. Nothing was written. Use a newer version",
            ));
        }
    };
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    if ending.as_deref() == Some(wanted) {
        return Ok(());
    }
    Err(CliError::usage(format!(
        "the result of this job is written as .{wanted}: name the file so. Nothing was written"
    )))
}

/// Writes a whole result in the format of its kernel.
///
/// # Errors
/// A kernel that this version does not know, or a file that can't be written.
pub fn write(terms: &JobTerms, path: &Path, bytes: &[u8]) -> Result<()> {
    let broken = |e: assay_kernels::abi::ParamError| CliError::internal(format!("the job's parameters: {e}"));
    match AnyKernel::from_id(terms.kernel_id) {
        Ok(AnyKernel::EscapeTime) => {
            let params = EscapeTime::parse(terms.params()).map_err(broken)?;
            npy::write_file(path, &picture::png(&params, bytes)?)
        }
        Ok(AnyKernel::GemmI8) => {
            let params = GemmI8::parse(terms.params()).map_err(broken)?;
            npy::write(path, "<i4", params.m, params.n, bytes)
        }
        Err(_) => Err(CliError::internal("a kernel that this version does not know")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_what_is_inside() {
        assert!(check_name(1, Path::new("a.PNG")).is_ok());
        assert!(check_name(2, Path::new("a.npy")).is_ok());
        assert_eq!(check_name(2, Path::new("a.png")).unwrap_err().exit as u8, 2);
        assert_eq!(check_name(1, Path::new("a")).unwrap_err().exit as u8, 2);
        assert_eq!(check_name(99, Path::new("a.npy")).unwrap_err().code, "unknown-kernel");
    }
}
