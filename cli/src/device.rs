//! What computes: graphics cards in processes of their own, started from this very program, or the CPU.

use crate::{
    args::DeviceArgs,
    console::Console,
    error::{CliError, Exit, Result},
};
use assay_device::{Choice, Devices, Found, Limits, Program};
use assay_kernels::executor::{Backend, Cpu, Finding};
use std::sync::Arc;

/// The hidden command of the process that computes.
pub const COMMAND: &str = "device-process";

/// What computes.
pub enum Computing {
    /// Graphics cards, and what else was found.
    Cards(Devices, Found),
    /// The CPU, and why no card does.
    Cpu(Option<Finding>),
}

impl Computing {
    /// Takes what is asked for; blocks while drivers start.
    ///
    /// # Errors
    /// Cards were asked for and can't be used: `no-device`, exit code 6.
    pub async fn take(args: &DeviceArgs) -> Result<Self> {
        if args.cpu {
            return Ok(Self::Cpu(None));
        }
        let choice = args.gpu.as_ref().map_or(Choice::All, |cards| cards.0.clone());
        let program = Program::this([COMMAND]).map_err(|error| CliError::io("looking for this program", &error))?;
        let open = move || Devices::open(&program, &choice, Limits::default());
        let opened = tokio::task::spawn_blocking(open).await;
        match opened.map_err(|error| CliError::internal(format!("taking a device: {error}")))? {
            Ok((devices, found)) => Ok(Self::Cards(devices, found)),
            Err(finding) if args.gpu.is_none() => Ok(Self::Cpu(Some(finding))),
            Err(finding) => {
                let text = format!("the graphics cards asked for can't be used: {finding}. Or compute with --cpu");
                Err(CliError::new(Exit::NotFound, "no-device", text))
            }
        }
    }

    /// Says what was found.
    pub fn tell(&self, console: &Console) {
        match self {
            Self::Cards(_, found) => found.unused.iter().chain(&found.notes).for_each(|note| console.note(note)),
            Self::Cpu(Some(finding)) => console.note(format!("computing on the CPU: {finding}")),
            Self::Cpu(None) => {}
        }
    }

    /// All of it as one.
    pub fn backend(self) -> Arc<dyn Backend> {
        match self {
            Self::Cards(devices, _) => Arc::new(devices),
            Self::Cpu(_) => Arc::new(Cpu),
        }
    }
}
