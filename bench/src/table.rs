//! The page docs/bench-cu.md: written from a report, and read back for the comparison.

use std::collections::BTreeMap;

use crate::{
    logs::Call,
    measure::{Figure, Wire},
    report::Report,
    spell::spell,
    whole::Whole,
};

/// What stands above the tables.
const HEAD: &str = "\
# What every instruction costs

Written by `cargo xtask bench cu --write`; `cargo xtask test` fails when a figure has moved by more than 2 % and this page
has not. Measured on the committed programs in LiteSVM with p-token, each instruction alone in a transaction without
compute budget instructions (150 compute units each, where a client adds them).
";

const INSTRUCTIONS: &str = "
## Instructions

- **CU**: compute units of the whole instruction; bold where they are above the aim. **Own**: without what the called
  programs used; what a call itself costs is in it. **Called**: the programs that it called, with their compute units
  (the system program's are a flat 150 a call).
- **By hand**: the same instruction of a program without framework, written by hand for the feasibility study: the floor.
- **Accounts**: of the instruction. **Tx bytes**: of the serialised transaction with only this instruction; v1: it needs a
  transaction of version 1 (4,096 bytes). **Data bytes**: of the instruction's data. **Signatures**: of that transaction,
  of which one is the fee payer's even where the instruction needs none.
- **Tries**: of each address that the instruction derives. The keys are chosen so that each is found at the first try; every
  further one costs 1,500 compute units, as the second line of `claim_shard` shows.
";

const WHOLES: &str = "
## Transactions of a whole shard

From real runs over an image of 4,096 leaves, with as many instructions in each transaction as need not wait and fit its
size (1,232 bytes, v1 4,096); the operator signs and pays for all of a shard's. What parts them: the result is computed
between claim and commitment, the draw waits for its window, and payment for the end of the challenge window. Leaf and path
of three cells together fit v1 only. Nobody had recorded the seed of the window before: where somebody has, `record_seed`
is not needed. Transactions before v1 carry two compute budget instructions, which are not counted in CU.
";

const INSTRUCTION_COLUMNS: [&str; 11] = [
    "Instruction",
    "Case",
    "CU",
    "Own",
    "Called",
    "By hand",
    "Aim",
    "Accounts",
    "Tx bytes",
    "Data bytes",
    "Signatures",
];
const WHOLE_COLUMNS: [&str; 6] = ["Run", "Version", "Transactions", "Signatures", "CU", "What each carries"];
/// Columns whose numbers are compared.
const COMPARED: [&str; 6] = ["CU", "Accounts", "Tx bytes", "Data bytes", "Signatures", "Transactions"];

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn head(columns: &[&str]) -> String {
    let names: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
    let rule = vec!["---".to_owned(); columns.len()];
    row(&names) + &row(&rule)
}

fn called(calls: &[Call]) -> String {
    let mut sums: Vec<(&str, u32, u64)> = Vec::new();
    for call in calls {
        match sums.iter_mut().find(|(name, ..)| *name == call.program) {
            Some((_, count, units)) => (*count, *units) = (*count + 1, *units + call.units),
            None => sums.push((call.program, 1, call.units)),
        }
    }
    let spelled = |(name, count, units): &(&str, u32, u64)| match count {
        1 => format!("{name} {}", spell(*units)),
        _ => format!("{count} x {name} {}", spell(*units)),
    };
    sums.iter().map(spelled).collect::<Vec<_>>().join(", ")
}

fn tries(figure: &Figure) -> String {
    figure.tries.iter().map(u32::to_string).collect::<Vec<_>>().join(" + ")
}

fn optional(units: Option<u64>) -> String {
    units.map(spell).unwrap_or_default()
}

fn bytes(figure: &Figure) -> String {
    let bytes = spell(figure.sent.bytes as u64);
    if figure.wire == Wire::V1 { format!("{bytes} v1") } else { bytes }
}

fn carries(whole: &Whole) -> String {
    let one = |names: &[&'static str], bytes: usize| {
        let mut counted: Vec<(&str, usize)> = Vec::new();
        for name in names {
            match counted.last_mut() {
                Some((last, count)) if last == name => *count += 1,
                _ => counted.push((name, 1)),
            }
        }
        let spelled = |(name, count): &(&str, usize)| match count {
            1 => format!("`{name}`"),
            _ => format!("{count} x `{name}`"),
        };
        let parts: Vec<String> = counted.iter().map(spelled).collect();
        format!("{} ({} bytes)", parts.join(" + "), spell(bytes as u64))
    };
    whole.transactions.iter().map(|t| one(&t.names, t.sent.bytes)).collect::<Vec<_>>().join("; ")
}

/// The whole page.
pub fn page(report: &Report) -> String {
    let columns: Vec<&str> = INSTRUCTION_COLUMNS.iter().copied().chain(["Tries"]).collect();
    let mut text = format!("{HEAD}{INSTRUCTIONS}\n{}", head(&columns));
    for (case, figure) in &report.instructions {
        let units = spell(figure.sent.units);
        let over = case.aim.is_some_and(|aim| figure.sent.units > aim);
        text += &row(&[
            format!("`{}`", case.instruction),
            case.name.to_owned(),
            if over { format!("**{units}**") } else { units },
            spell(figure.own()),
            called(&figure.sent.calls),
            optional(case.floor),
            optional(case.aim),
            figure.accounts.to_string(),
            bytes(figure),
            spell(figure.data as u64),
            figure.sent.signatures.to_string(),
            tries(figure),
        ]);
    }
    text += &format!("{WHOLES}\n{}", head(&WHOLE_COLUMNS));
    for whole in &report.wholes {
        text += &row(&[
            whole.name.to_owned(),
            whole.wire.name().to_owned(),
            whole.transactions.len().to_string(),
            whole.transactions.iter().map(|t| t.sent.signatures).sum::<usize>().to_string(),
            spell(whole.transactions.iter().map(|t| t.sent.units).sum()),
            carries(whole),
        ]);
    }
    text
}

/// Figures of one line, by column.
pub type Line = BTreeMap<String, u64>;

/// The compared figures of every line of a page, by its first two cells.
pub fn tables(page: &str) -> BTreeMap<String, Line> {
    let mut lines = BTreeMap::new();
    let mut columns: Vec<&str> = Vec::new();
    for text in page.lines() {
        let Some(inner) = text.strip_prefix("| ").and_then(|t| t.strip_suffix(" |")) else {
            columns.clear();
            continue;
        };
        let cells: Vec<&str> = inner.split(" | ").collect();
        if columns.is_empty() {
            columns = cells;
        } else if cells.first() != Some(&"---") {
            let number = |cell: &str| {
                let digits: String = cell.chars().filter(|c| *c != ',' && *c != '*').collect();
                digits.split(' ').next().and_then(|n| n.parse().ok())
            };
            let figures = columns.iter().zip(&cells).filter(|(column, _)| COMPARED.contains(column));
            let figures = figures.filter_map(|(column, cell)| Some(((*column).to_owned(), number(cell)?))).collect();
            lines.insert(cells.iter().take(2).copied().collect::<Vec<_>>().join(", "), figures);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_back_line_by_line() {
        let page = "# Head\n\n| Instruction | Case | CU | Called | Tx bytes |\n| --- | --- | --- | --- | --- |\n\
                    | `a` |  | **12,345** | x 7 | 2,612 v1 |\n| `a` | other | 1 |  | 2 |\n\ntext\n\n\
                    | Run | Version | Transactions |\n| --- | --- | --- |\n| one | v1 | 4 |\n";
        let line = |pairs: &[(&str, u64)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect::<Line>();
        let expected = BTreeMap::from([
            ("`a`, ".to_owned(), line(&[("CU", 12_345), ("Tx bytes", 2_612)])),
            ("`a`, other".to_owned(), line(&[("CU", 1), ("Tx bytes", 2)])),
            ("one, v1".to_owned(), line(&[("Transactions", 4)])),
        ]);
        assert_eq!(tables(page), expected);
    }
}
