//! The page docs/bench-cells.md, and the same for programs.

use serde_json::{Value, json};

use crate::{measure::Figure, spell::spell};

const HEAD: &str = "\
# What a cell costs on chain

Written by `cargo xtask bench cells --write`; `cargo xtask test` fails when a figure has moved and this page has not. The
committed verifier in LiteSVM, called alone; what settlement takes besides is in [bench-cu.md](bench-cu.md) (`adjudicate`,
`step_cell`). Inputs are noise, every cell came out as the processor's.

- **CU**: compute units of the verifier for the cell, or for the dearest of its steps. **Crowded**: with as many openings in
  the request as fit that it does not need, which a hostile answerer may send. Never more than **Most**, what the kernel
  declares. **All**: of all steps.
- **Reads**: bytes of inputs and earlier leaves that have to be brought, in all steps; the cell's own leaf and Merkle paths
  come on top. **Transactions**: what proving the cell takes at most, as the kernel states it for such a job.

| Kernel | Cell | CU | Crowded | Most | Steps | All | Reads | Transactions |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
";

/// The page.
pub fn text(figures: &[Figure]) -> String {
    let mut text = HEAD.to_owned();
    for figure in figures {
        let numbers = [
            figure.units,
            figure.crowded,
            u64::from(figure.kernel.describe().cell_cu_max),
            figure.steps,
            figure.all,
            figure.read as u64,
            u64::from(figure.answer_transactions),
        ];
        let numbers = numbers.map(spell).join(" | ");
        text += &format!("| `{}` | {} | {numbers} |\n", figure.kernel.name(), figure.name);
    }
    text
}

/// For programs. Units are compute units.
pub fn json(figures: &[Figure]) -> Value {
    let of = |figure: &Figure| {
        json!({
            "kernel": figure.kernel.name(),
            "cell": figure.name,
            "units": figure.units,
            "units_crowded": figure.crowded,
            "units_declared": figure.kernel.describe().cell_cu_max,
            "steps": figure.steps,
            "units_all_steps": figure.all,
            "bytes_read": figure.read,
            "answer_transactions": figure.answer_transactions,
        })
    };
    json!({ "cells": figures.iter().map(of).collect::<Vec<Value>>() })
}
