//! What is printed and committed.

use std::fs::read_to_string;

use serde_json::{Value, json};

use crate::{flood::Flood, run::Run};

/// What was measured on.
pub struct Conditions {
    processor: String,
    cores: usize,
    load: String,
    shards: u32,
}

impl Conditions {
    /// This machine, before the first run.
    pub fn of_this_machine(shards: u32) -> Self {
        let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            processor: name.map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load: read_to_string("/proc/loadavg")
                .ok()
                .and_then(|load| load.split(' ').next().map(str::to_owned))
                .unwrap_or_default(),
            shards,
        }
    }
}

/// See the module.
pub struct Report {
    /// What was measured on.
    pub conditions: Conditions,
    /// In the order asked for.
    pub runs: Vec<Run>,
}

impl Run {
    /// All phases together.
    fn sent(&self) -> Flood {
        self.phases.iter().fold(Flood::default(), |sum, (_, flood)| sum + *flood)
    }

    /// Of the phases with these names.
    fn of(&self, names: &[&str]) -> Flood {
        let these = self.phases.iter().filter(|(name, _)| names.contains(name));
        these.fold(Flood::default(), |sum, (_, flood)| sum + *flood)
    }

    /// Shards a second in so many seconds.
    fn rate(&self, seconds: f64) -> f64 {
        self.shards as f64 / seconds
    }
}

fn per_second(flood: &Flood) -> f64 {
    flood.transactions as f64 / flood.seconds
}

const FRONT: [&str; 2] = ["claim", "commit"];
const BACK: [&str; 3] = ["draw", "answer", "settle"];

impl Report {
    /// Of the first run, for the ratios.
    fn first(&self, figure: impl Fn(&Run) -> f64) -> f64 {
        self.runs.first().map_or(1.0, figure)
    }

    /// For programs. Times are seconds.
    pub fn json(&self) -> Value {
        let run = |run: &Run| {
            let phase = |(name, flood): &(&str, Flood)| {
                json!({
                    "phase": name,
                    "transactions": flood.transactions,
                    "seconds": flood.seconds,
                    "transactions_per_second": per_second(flood),
                    "shards_per_second": run.rate(flood.seconds),
                    "sent_again": flood.again,
                })
            };
            let sent = run.sent();
            json!({
                "renters": run.renters,
                "shards": run.shards,
                "transactions": sent.transactions,
                "seconds": run.seconds,
                "seconds_sending": sent.seconds,
                "seconds_waiting_for_the_draw": run.waited,
                "slots": run.slots,
                "draw_windows": run.windows,
                "shards_per_second": run.rate(run.seconds),
                "shards_per_second_sending": run.rate(sent.seconds),
                "transactions_per_second_sending": per_second(&sent),
                "plain_transfers_per_second": per_second(&run.plain),
                "ratio_to_the_first": run.rate(sent.seconds) / self.first(|first| first.rate(first.sent().seconds)),
                "phases": run.phases.iter().map(phase).collect::<Vec<_>>(),
            })
        };
        let Conditions { processor, cores, load, shards } = &self.conditions;
        json!({
            "processor": processor,
            "cores": cores,
            "load_before": load,
            "shards_per_renter": shards,
            "runs": self.runs.iter().map(run).collect::<Vec<_>>(),
        })
    }

    /// The whole page.
    pub fn page(&self) -> String {
        let Conditions { processor, cores, load, shards } = &self.conditions;
        let mut text = HEAD.to_owned();
        text += &format!(
            "\nMeasured on {processor}, {cores} cores for validator and clients together, load average {load} before. \
             {shards} shards for each renter.\n"
        );
        text += "\n## Shards a second\n\n";
        text += "| Renters | Shards | Transactions | Claim + commit, shards/s | Draw + answer + settle, shards/s | Both, \
                 shards/s | Ratio | Transactions/s | Plain transfers/s | Seconds sending | Seconds waiting | Seconds in all | Slots |\n";
        text += &"| --- ".repeat(13);
        text += "|\n";
        for run in &self.runs {
            let sent = run.sent();
            let rate = run.rate(sent.seconds);
            text += &format!(
                "| {} | {} | {} | {:.1} | {:.1} | **{rate:.1}** | {:.2} | {:.0} | {:.0} | {:.1} | {:.1} | {:.1} | {} |\n",
                run.renters,
                run.shards,
                sent.transactions,
                run.rate(run.of(&FRONT).seconds),
                run.rate(run.of(&BACK).seconds),
                rate / self.first(|first| first.rate(first.sent().seconds)),
                per_second(&sent),
                per_second(&run.plain),
                sent.seconds,
                run.waited,
                run.seconds,
                run.slots,
            );
        }
        text += "\n## Phases\n\n";
        text += "| Renters | Phase | Transactions | Seconds | Transactions/s | Shards/s | Sent again |\n";
        text += &"| --- ".repeat(7);
        text += "|\n";
        for run in &self.runs {
            for (name, flood) in &run.phases {
                text += &format!(
                    "| {} | {name} | {} | {:.2} | {:.0} | {:.1} | {} |\n",
                    run.renters,
                    flood.transactions,
                    flood.seconds,
                    per_second(flood),
                    run.rate(flood.seconds),
                    flood.again,
                );
            }
        }
        text
    }
}

const HEAD: &str = "# How many shards a second a validator settles

Written by `cargo xtask bench throughput --write`, which starts the genuine Agave test validator that
`ASSAY_TEST_VALIDATOR` names. It prints figures and checks none: they are those of one machine.

- Each renter has one job, reserved for one provider of its own: no account that two renters write is left (section 4 of
  docs/protocol.md). One leaf of 64 pixels to a shard, three cells drawn, answered inline.
- One transaction each for claim, commit, draw, every answer and settlement, with limits of compute units and without a price.
  Those of a phase are sent over JSON-RPC, without preflight, at most 1,500 of them unconfirmed; the next phase begins when
  the node calls all confirmed. Signing is not in the measured time. Every shard is seen settled in the end.
- 8 ticks to a slot, about 15 slots a second, where a cluster has 2.5: waits are shorter, and so many more compute units a
  second fit the blocks. What limits here is the machine: **plain
  transfers**, of SOL from a wallet to itself and as many as there are shards, went in just before in the same way.
- **Both**: shards over the seconds of all five phases, without the wait for the draw window (44 to 108 slots from the commit
  to its twelfth hash; recording of a window's seed, one transaction for all its shards, goes on beside). **Seconds in
  all**: from the first claim to the last settlement, with the wait and with reading what was drawn.
";
