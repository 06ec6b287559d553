//! What the arguments of `assay job submit` ask for. Nothing is sent here.

use crate::{
    args::{self, EscapeTime, GemmI8, Offer, StoreAt, SubmitCommand},
    error::{CliError, Result},
    npy, view,
    work::{Input, MAX_INPUT_BYTES, Work, alignment, network, refused, risk, search},
};
use assay_kernels::{
    abi::MAX_PARAMS_BYTES,
    align::{Matrix, Scoring},
    registry::AnyKernel,
};
use assay_settlement::constants::URL_BYTES;
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// A job and its offer.
pub struct Asked<'a> {
    /// What is to be computed.
    pub work: Work,
    /// URL of the store that has its inputs; empty where it has none.
    pub locator: &'a str,
    /// What is offered for it.
    pub offer: &'a Offer,
}

/// Works a job out of arguments and files.
///
/// # Errors
/// Files that can't be used (exit code 3), and what no kernel computes.
pub fn asked(command: &SubmitCommand) -> Result<Asked<'_>> {
    let (work, store, offer) = match command {
        SubmitCommand::EscapeTime(args) => (image(args)?, None, &args.offer),
        SubmitCommand::GemmI8(args) => (product(args)?, Some(&args.store), &args.offer),
        SubmitCommand::Search(args) => (a_search(args)?, None, &args.offer),
        SubmitCommand::MlpI8(args) => (a_network(args)?, Some(&args.store), &args.offer),
        SubmitCommand::OptionRisk(args) => (a_portfolio(args)?, Some(&args.store), &args.offer),
        SubmitCommand::Align(args) => (an_alignment(args)?, Some(&args.store), &args.offer),
        SubmitCommand::Kernel(args) => (any(args)?, Some(&args.store), &args.offer),
    };
    let store = store.filter(|_| !work.inputs.is_empty());
    Ok(Asked { locator: store.map_or(Ok(""), locator)?, work, offer })
}

fn locator(store: &StoreAt) -> Result<&str> {
    if store.store.len() > URL_BYTES {
        return Err(CliError::usage(format!(
            "the URL of the content store may have {URL_BYTES} bytes at most. Nothing was sent or paid"
        )));
    }
    Ok(&store.store)
}

fn image(args: &EscapeTime) -> Result<Work> {
    let params = view::picture(args.width, args.height, args.max_iter, (args.x, args.y), args.span)?;
    Work::image(&params, args.offer.shards)
}

fn product(args: &GemmI8) -> Result<Work> {
    Work::product(&npy::read_int8(&args.a)?, &npy::read_int8(&args.b)?, args.offer.shards)
}

fn a_search(args: &args::Search) -> Result<Work> {
    let most = assay_kernels::search::MAX_MESSAGE_BYTES;
    let range = search::Range {
        message: hex_or_file("the message", args.message.as_deref(), args.message_file.as_deref(), most)?,
        nonce_at: args.nonce_at,
        start: args.start,
        count: args.count,
        cell: args.cell,
        double: args.double,
        wide: args.wide,
        big_endian: args.big_endian,
        reversed: args.reversed,
    };
    range.work(args.offer.shards)
}

fn a_network(args: &args::MlpI8) -> Result<Work> {
    network::work(&args.weights, &args.samples, !args.no_answers, args.offer.shards)
}

fn a_portfolio(args: &args::OptionRisk) -> Result<Work> {
    let paths = risk::Paths { count: args.paths, steps: args.steps, seed: args.seed, sums: args.sums };
    risk::work(&args.model, paths, args.offer.shards)
}

fn an_alignment(args: &args::Align) -> Result<Work> {
    let mut scoring = if args.dna { Scoring::DNA } else { Scoring::PROTEIN };
    if let Matrix::Nucleotides { equal, different } = &mut scoring.matrix {
        *equal = args.equal.unwrap_or(*equal);
        *different = args.different.unwrap_or(*different);
    }
    scoring.open = args.open.unwrap_or(scoring.open);
    scoring.extend = args.extend.unwrap_or(scoring.extend);
    alignment::work(&args.queries, &args.database, scoring, args.offer.shards)
}

/// A job of any kernel, from bytes.
fn any(args: &args::AnyKernel) -> Result<Work> {
    let kernel = AnyKernel::from_name(&args.name.replace('-', "_")).ok_or_else(|| {
        let known: Vec<&str> = AnyKernel::ALL.iter().map(|kernel| kernel.name()).collect();
        CliError::usage(format!(
            "there is no kernel {}; there are {}. Nothing was sent or paid",
            args.name,
            known.join(", ")
        ))
    })?;
    let params = hex_or_file("the params", args.params.as_deref(), args.param_file.as_deref(), MAX_PARAMS_BYTES)?;
    let geometry = kernel.geometry(&params).map_err(|e| refused(kernel, &e))?;
    let wanted = geometry.input_bytes.get(..usize::from(geometry.inputs)).unwrap_or_default();
    if wanted.len() != args.input.len() {
        return Err(CliError::usage(format!(
            "a job of {} has {} inputs and {} are given: --input for each, in their order. Nothing was sent or paid",
            kernel.name(),
            wanted.len(),
            args.input.len()
        )));
    }
    if wanted.iter().fold(0u64, |sum, bytes| sum.saturating_add(*bytes)) > MAX_INPUT_BYTES {
        return Err(CliError::file(
            "file-too-large",
            format!(
                "the inputs have more than {MAX_INPUT_BYTES} bytes. Nothing was sent or paid. Cut the job into several."
            ),
        ));
    }
    let inputs = args.input.iter().zip(wanted).map(|(path, bytes)| input(path, *bytes)).collect::<Result<_>>()?;
    Work::new(kernel, params, inputs, args.offer.shards.into())
}

fn input(path: &PathBuf, bytes: u64) -> Result<Input> {
    let found = fs::metadata(path).map_err(|e| npy::missing(path, &e))?.len();
    if found != bytes {
        return Err(CliError::file(
            "wrong-length",
            format!(
                "{} has {found} bytes; with these params this input has {bytes}, padding included. Nothing was sent or paid.",
                path.display()
            ),
        ));
    }
    Ok(Input::new(fs::read(path).map_err(|e| npy::missing(path, &e))?))
}

/// At most `most` bytes, out of hexadecimal digits or a file.
fn hex_or_file(what: &str, digits: Option<&str>, file: Option<&Path>, most: usize) -> Result<Vec<u8>> {
    let too_long = format!("{what} may have {most} bytes at most. Nothing was sent or paid");
    if let Some(digits) = digits {
        let bytes = hex::decode(digits.trim().trim_start_matches("0x"))
            .map_err(|e| CliError::usage(format!("{what} is not hexadecimal: {e}. Nothing was sent or paid")))?;
        return if bytes.len() > most { Err(CliError::usage(too_long)) } else { Ok(bytes) };
    }
    let path = file.ok_or_else(|| CliError::usage(format!("{what} is missing")))?;
    let mut bytes = Vec::new();
    let limit = (most as u64).saturating_add(1);
    let file = fs::File::open(path).map_err(|e| npy::missing(path, &e))?;
    file.take(limit).read_to_end(&mut bytes).map_err(|e| npy::missing(path, &e))?;
    if bytes.len() > most {
        return Err(CliError::file("file-too-large", format!("{}: {too_long}", path.display())));
    }
    Ok(bytes)
}
