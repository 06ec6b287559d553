//! What the demo found, as tables and as report.json.

use crate::{
    amount,
    demo::{
        ledger::{Balances, StepCost},
        tally::Tally,
    },
    localnet::DECIMALS,
    tables,
};
use comfy_table::Table;
use serde::Serialize;
use std::collections::BTreeMap;

/// Something that must be so, and whether it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What must be so.
    pub what: String,
    /// Whether it was.
    pub holds: bool,
}

/// A shard's end, for the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SlashedShard {
    /// Its job.
    pub job: String,
    /// Its number.
    pub index: u32,
    /// Who computed it.
    pub provider: String,
    /// 1 a wrong cell, 2 a cell not proven in time, 3 missed draw windows.
    pub fault: u8,
}

/// Tokens of a party, base units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartyTokens {
    /// The party and what the account is.
    pub name: String,
    /// Before anything was staked or paid.
    pub before: u64,
    /// After everything was settled, closed and withdrawn.
    pub after: u64,
}

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this layout.
    pub version: u32,
    /// Seed of the matrices.
    pub seed: u64,
    /// Pixels of the picture.
    pub picture: [u32; 2],
    /// Rows and columns of each matrix.
    pub matrix: u32,
    /// Seconds from start to end.
    pub seconds: f64,
    /// Shards paid, follow-up jobs included.
    pub shards_settled: u32,
    /// Shards slashed.
    pub shards_slashed: u32,
    /// The slashed ones.
    pub slashed: Vec<SlashedShard>,
    /// Cells that the chain drew of settled shards.
    pub cells_drawn: u32,
    /// Of these, the ones that were re-executed on chain and are right.
    pub cells_answered: u32,
    /// Lamports that the parties gave out in fees and rent, less rent that came back.
    pub lamports_spent: u64,
    /// Jobs that took the place of slashed shards.
    pub follow_up_jobs: u32,
    /// Decimals of the token.
    pub decimals: u8,
    /// Tokens of everybody, base units.
    pub tokens: Vec<PartyTokens>,
    /// Sum of all balances before, base units.
    pub tokens_before: u64,
    /// Sum of all balances after, base units.
    pub tokens_after: u64,
    /// Supply of the mint, base units.
    pub supply: u64,
    /// What the daemons did.
    pub counts: Tally,
    /// Transactions, compute units and lamports for each kind of step.
    pub steps: BTreeMap<String, StepCost>,
    /// What must be so.
    pub checks: Vec<Check>,
    /// Files that were written.
    pub files: Vec<String>,
}

/// Pairs balances before and after by their names.
pub fn pair(before: &Balances, after: &Balances) -> Vec<PartyTokens> {
    after
        .of
        .iter()
        .map(|(name, after)| {
            let before = before.of.iter().find(|(other, _)| other == name).map_or(0, |(_, held)| *held);
            PartyTokens { name: name.clone(), before, after: *after }
        })
        .collect()
}

impl Report {
    /// True when everything that must be so is so.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }

    /// Tokens of everybody before and after.
    pub fn token_table(&self) -> Table {
        let mut table = tables::table(["tokens", "before", "after", "change"]);
        let show = |units| amount::show(units, DECIMALS);
        for party in &self.tokens {
            table.add_row([
                party.name.clone(),
                show(party.before),
                show(party.after),
                amount::show_change(party.before, party.after, DECIMALS),
            ]);
        }
        table.add_row([
            "sum".to_owned(),
            show(self.tokens_before),
            show(self.tokens_after),
            amount::show_change(self.tokens_before, self.tokens_after, DECIMALS),
        ]);
        tables::numbers(&mut table);
        table
    }

    /// Transactions, compute units and lamports per kind of step.
    pub fn step_table(&self) -> Table {
        let mut table = tables::table([
            "step",
            "transactions",
            "failed",
            "CU, mean",
            "CU, most",
            "fees, lamports",
            "rent, lamports",
        ]);
        for (name, cost) in &self.steps {
            let mean = cost.compute_units.checked_div(cost.transactions).unwrap_or(0);
            table.add_row([
                name.clone(),
                cost.transactions.to_string(),
                cost.failed.to_string(),
                mean.to_string(),
                cost.compute_units_max.to_string(),
                cost.fees.to_string(),
                cost.rent.to_string(),
            ]);
        }
        tables::numbers(&mut table);
        table
    }

    /// The checks, one line each.
    pub fn verdict(&self) -> String {
        self.checks
            .iter()
            .map(|check| format!("{} {}", if check.holds { "ok  " } else { "FAIL" }, check.what))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_that_were_not_there_before_had_nothing() {
        let before = Balances { of: vec![("a".into(), 5)], sum: 5, supply: 5 };
        let after = Balances { of: vec![("a".into(), 3), ("b".into(), 2)], sum: 5, supply: 5 };
        let paired = pair(&before, &after);
        assert_eq!(paired[1], PartyTokens { name: "b".into(), before: 0, after: 2 });
    }
}
