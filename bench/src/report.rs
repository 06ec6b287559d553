//! Everything that is measured.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    cases::{self, Case},
    measure::{Figure, measure},
    whole::{self, Whole},
};

/// See the module.
pub struct Report {
    /// Every case with its figure.
    pub instructions: Vec<(Case, Figure)>,
    /// Whole shards.
    pub wholes: Vec<Whole>,
}

/// Measures everything.
///
/// # Errors
/// Something does not land.
pub fn run() -> Result<Report> {
    let mut instructions = Vec::new();
    for case in cases::all() {
        let (mut world, shot) = (case.take)();
        let figure =
            measure(&mut world, shot).with_context(|| format!("{}, {}: refused", case.instruction, case.name))?;
        instructions.push((case, figure));
    }
    Ok(Report { instructions, wholes: whole::all()? })
}

impl Report {
    /// For programs. Units are compute units.
    pub fn json(&self) -> Value {
        let instructions: Vec<Value> = self
            .instructions
            .iter()
            .map(|(case, figure)| {
                let calls: Vec<Value> =
                    figure.sent.calls.iter().map(|c| json!({ "program": c.program, "units": c.units })).collect();
                json!({
                    "instruction": case.instruction,
                    "case": case.name,
                    "units": figure.sent.units,
                    "own_units": figure.own(),
                    "calls": calls,
                    "hand_written_units": case.floor,
                    "aim_units": case.aim,
                    "accounts": figure.accounts,
                    "transaction_bytes": figure.sent.bytes,
                    "transaction_version": figure.wire.name(),
                    "data_bytes": figure.data,
                    "signatures": figure.sent.signatures,
                    "address_tries": figure.tries,
                })
            })
            .collect();
        let wholes: Vec<Value> = self
            .wholes
            .iter()
            .map(|whole| {
                let transactions: Vec<Value> = whole
                    .transactions
                    .iter()
                    .map(|t| {
                        json!({
                            "instructions": t.names,
                            "units": t.sent.units,
                            "bytes": t.sent.bytes,
                            "signatures": t.sent.signatures,
                        })
                    })
                    .collect();
                json!({
                    "run": whole.name,
                    "transaction_version": whole.wire.name(),
                    "transactions": transactions,
                })
            })
            .collect();
        json!({ "instructions": instructions, "whole_shards": wholes })
    }
}
