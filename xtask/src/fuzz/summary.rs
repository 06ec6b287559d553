//! What the fuzzer counted (`fuzz/src/stats.rs` writes it), in words.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Result};

use crate::{run::spell, sbf::files};

/// Counts of all processes of one run.
#[derive(Default)]
pub struct Summary {
    time: Duration,
    /// What adds up from process to process.
    inputs: u64,
    sent: u64,
    landed: u64,
    executed: u64,
    /// What the last process reached: it begins with all inputs that those before it kept.
    edges: u64,
    counters: u64,
    slots: u64,
    /// Calls that landed, by instruction.
    calls: BTreeMap<String, u64>,
}

impl Summary {
    /// Adds what a process wrote down.
    pub fn add(&mut self, file: &Path, time: Duration) -> Result<()> {
        let text = String::from_utf8(files::read(file)?).with_context(|| format!("{} is broken", file.display()))?;
        self.add_text(&text).with_context(|| format!("{} is broken:\n{text}", file.display()))?;
        self.time = self.time.saturating_add(time);
        Ok(())
    }

    fn add_text(&mut self, text: &str) -> Option<()> {
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let value: u64 = words.last()?.parse().ok()?;
            let sum = match *words.first()? {
                "inputs" => &mut self.inputs,
                "sent" => &mut self.sent,
                "landed" => &mut self.landed,
                "executed" => &mut self.executed,
                "call" => self.calls.entry((*words.get(1)?).to_owned()).or_default(),
                reached => {
                    *match reached {
                        "edges" => &mut self.edges,
                        "counters" => &mut self.counters,
                        "slots" => &mut self.slots,
                        _ => return None,
                    } = value;
                    continue;
                }
            };
            *sum = sum.saturating_add(value);
        }
        Some(())
    }

    /// For people.
    pub fn lines(&self) -> Vec<String> {
        let seconds = self.time.as_secs().max(1);
        let rate = |count: u64| count.checked_div(seconds).unwrap_or_default();
        let share = self.counters.saturating_mul(100).checked_div(self.slots).unwrap_or_default();
        let refused = self.sent.saturating_sub(self.landed);
        let (landed, never): (Vec<_>, Vec<_>) = self.calls.iter().partition(|(_, landed)| **landed > 0);
        let never: Vec<&str> = never.into_iter().map(|(name, _)| name.as_str()).collect();
        let mut lines = vec![
            format!("time          {}", spell(self.time)),
            format!("inputs        {} ({} a second)", self.inputs, rate(self.inputs)),
            format!(
                "instructions  {} ({} a second): {} landed, {refused} refused",
                self.sent,
                rate(self.sent),
                self.landed
            ),
            format!("machine code  {} million instructions of the .so executed", self.executed / 1_000_000),
            format!(
                "coverage      {} jumps; {} of {} places in the code ({share} %)",
                self.edges, self.counters, self.slots
            ),
            format!("landed        {} of {} kinds of instruction", landed.len(), self.calls.len()),
        ];
        if !never.is_empty() {
            lines.push(format!("never landed  {}", never.join(", ")));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_adds_up_and_coverage_does_not() {
        let mut summary = Summary { time: Duration::from_secs(10), ..Summary::default() };
        for _ in 0..2 {
            let text = "inputs 100\nsent 500\nlanded 200\nexecuted 4000000\nedges 40\ncounters 30\nslots 60\n\
                call seize 300 200\ncall settle_shard 200 0\n";
            summary.add_text(text).expect("it is whole");
        }
        let lines = summary.lines().join("\n");
        for part in
            ["200 (20 a second)", "1000 (100 a second): 400 landed, 600 refused", "8 million", "40 jumps; 30 of 60"]
        {
            assert!(lines.contains(part), "{part} in\n{lines}");
        }
        assert!(
            lines.contains("(50 %)") && lines.contains("1 of 2 kinds") && lines.contains("never landed  settle_shard")
        );
        assert!(summary.add_text("what 3").is_none() && summary.add_text("inputs many").is_none());
    }
}
