//! Showing the demo while it runs: moving lines on a terminal, plain lines elsewhere. Always on stderr.

use crate::{amount, console::Console, daemon::words, demo::tally::Tally, localnet::DECIMALS};
use assay_worker::{Event, Events, What};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::broadcast::error::RecvError, task::JoinHandle};

/// What is shown, and what was counted while showing it. Cheap to clone.
#[derive(Clone)]
pub struct Display {
    bars: Option<MultiProgress>,
    tally: Arc<Mutex<Tally>>,
    listeners: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Display {
    /// Moving lines when stderr is a terminal.
    pub fn new() -> Self {
        let moving = std::io::stderr().is_terminal() && std::env::var_os("NO_DNA").is_none();
        Self { bars: moving.then(MultiProgress::new), tally: Arc::default(), listeners: Arc::default() }
    }

    /// A line that stays.
    pub fn line(&self, console: &Console, text: &str) {
        match &self.bars {
            // A terminal that has gone away shows nothing, which is fine.
            Some(bars) if bars.println(text).is_ok() => {}
            _ => console.note(text),
        }
    }

    /// A bar for a job: `shards` to settle.
    pub fn bar(&self, name: &str, shards: u32) -> ProgressBar {
        let bar = match &self.bars {
            Some(bars) => bars.insert(0, ProgressBar::new(u64::from(shards))),
            None => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("  {prefix:12} {bar:20} {wide_msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        bar
    }

    /// Shows and counts a daemon's events until it stops.
    pub fn listen(&self, name: &'static str, events: &Events) {
        let mut receiver = events.subscribe();
        let bar = self.bars.as_ref().map(|bars| bars.add(ProgressBar::new_spinner()));
        if let Some(bar) = &bar {
            bar.set_prefix(name);
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix:12} {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        let display = self.clone();
        let task = tokio::spawn(async move {
            loop {
                match receiver.recv().await {
                    Ok(event) => {
                        display.show(name, bar.as_ref(), &event);
                        if event.what == What::Stopped {
                            break;
                        }
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                }
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        });
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    fn show(&self, name: &str, bar: Option<&ProgressBar>, event: &Event) {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).count(event);
        // Unavailable: a validator that is faster than the provider's server asks again, and what it can't have in the
        // end shows in the checks.
        if matches!(
            event.what,
            What::Skipped { .. }
                | What::Computed { .. }
                | What::Started { .. }
                | What::Stopped
                | What::Unavailable { .. }
        ) {
            return;
        }
        let Some(text) = words(event, |units| amount::show(units, DECIMALS)) else { return };
        match (bar, &self.bars) {
            (Some(bar), Some(bars)) => {
                bar.set_message(text.clone());
                let stays = matches!(
                    event.what,
                    What::Forged { .. }
                        | What::Convicted { .. }
                        | What::Slashed { .. }
                        | What::BountyPaid { .. }
                        | What::Trouble { .. }
                );
                if stays && bars.println(format!("  {name}: {text}")).is_err() {
                    tracing::debug!("the terminal is gone");
                }
            }
            _ => eprintln_safe(&format!("  {name}: {text}")),
        }
    }

    /// What was counted so far.
    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Removes what moves. Call when the daemons have stopped.
    pub fn finish(&self) {
        for task in self.listeners.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
        if let Some(bars) = &self.bars
            && bars.clear().is_err()
        {
            tracing::debug!("the terminal is gone");
        }
    }
}

impl Default for Display {
    fn default() -> Self {
        Self::new()
    }
}

/// A line on stderr that a closed stream can't turn into a panic.
fn eprintln_safe(text: &str) {
    use std::io::Write;
    if writeln!(std::io::stderr(), "{text}").is_err() {
        tracing::debug!("stderr is closed");
    }
}
