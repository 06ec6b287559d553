//! `assay job`: what a renter does.

pub mod end;
pub mod fetch;
pub mod results;
pub mod status;
pub mod submit;

use crate::{
    context::Context,
    error::{CliError, Result},
};
use assay_settlement::state::Job;
use solana_pubkey::Pubkey;

/// Reads a job.
///
/// # Errors
/// `no-such-job`, exit code 6.
pub async fn find(context: &Context<'_>, address: &Pubkey) -> Result<Job> {
    let refused = |why: &str| {
        let text = format!(
            "{why} on the chain at {}. Nothing was sent or paid. Check the address and --url; a job that was closed is gone.",
            context.cluster.shown()
        );
        CliError::not_found("no-such-job", text)
    };
    context.reach().await?;
    let Some(account) = context.reader.rpc().account(address).await? else {
        return Err(refused(&format!("there is no job {address}")));
    };
    assay_client::accounts::decode(address, &account).map_err(|_| refused(&format!("{address} is not a job")))
}
