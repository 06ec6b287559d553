//! `assay market open`: makes a cluster ready (see migrations/README.md).

use crate::{
    args::OpenMarket,
    context::Context,
    error::{CliError, Exit, Result},
};
use assay_kernels::registry::AnyKernel;
use assay_migrations::{
    Change, MigrationError,
    setup::{MintPlan, Plan, Report, initialise},
    terms,
};

impl From<MigrationError> for CliError {
    fn from(error: MigrationError) -> Self {
        match error {
            MigrationError::Client(error) => error.into(),
            MigrationError::NoProgram { .. } | MigrationError::NothingToReplace { .. } => {
                Self::not_found(error.code(), error.to_string())
            }
            MigrationError::BadElf { .. } => Self::file(error.code(), error.to_string()),
            MigrationError::Unfinished { .. } => Self::new(Exit::Chain, error.code(), error.to_string()),
            MigrationError::Conflict { .. }
            | MigrationError::NotAuthority { .. }
            | MigrationError::LoaderRefused { .. } => Self::new(Exit::Refused, error.code(), error.to_string()),
        }
    }
}

/// Shows what a migration found and did.
pub fn show(context: &Context<'_>, report: &Report) {
    for step in &report.steps {
        let change = match step.change {
            Change::AlreadyThere => "there",
            Change::Made => "made ",
        };
        context.console.say(format!("{change}  {:<44} {}", step.address.to_string(), step.what));
    }
}

/// Runs the command.
///
/// # Errors
/// See [`MigrationError`].
pub async fn open(context: &Context<'_>, args: &OpenMarket) -> Result<()> {
    let payer = context.keypair()?;
    context.reach().await?;
    let kernels: Vec<u16> = AnyKernel::ALL.iter().map(|kernel| kernel.id()).collect();
    let plan = Plan {
        known_programs: None,
        mint: MintPlan::Existing(args.mint),
        kernels: &kernels,
        market_id: args.id,
        terms: terms::standard(),
        experimental: false,
    };
    let report = initialise(&context.sender, &payer, &plan).await?;
    show(context, &report);
    context.console.document(&report)
}
