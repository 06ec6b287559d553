//! What comes out: sections of tables, for people and as JSON.

use comfy_table::{CellAlignment, Row, Table, presets::UTF8_BORDERS_ONLY};
use serde::Serialize;

use crate::assume::Assumptions;

/// What a column's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Words.
    Text,
    /// Between 0 and 1; shown in per cent.
    Share,
    /// 1 is the price of the shard.
    Prices,
    /// US dollars.
    Usd,
    /// Whole things.
    Count,
    /// One number over another.
    Factor,
    /// Hours.
    Hours,
    /// Standard errors between what was played and the formula.
    Sigma,
}

/// A column.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// What its numbers are.
    pub unit: Unit,
}

/// What stands in a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A number in the column's unit; none where there is none to give.
    Number(Option<f64>),
    /// Words.
    Text(String),
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Number(Some(number))
    }
}

impl From<Option<f64>> for Value {
    fn from(number: Option<f64>) -> Self {
        Value::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

/// One table with what it shows.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    /// Its name for programs.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What is played, and what is assumed.
    pub about: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows; as many values as columns.
    pub rows: Vec<Vec<Value>>,
}

impl Section {
    /// An empty table.
    pub fn new(id: &'static str, title: &'static str, about: &str, columns: &[(&'static str, Unit)]) -> Self {
        let columns = columns.iter().map(|(name, unit)| Column { name, unit: *unit }).collect();
        Section { id, title, about: about.into(), columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, values: [Value; N]) {
        self.rows.push(values.into());
    }

    /// A number by heading; none where there is no such column or no number.
    pub fn number(&self, row: usize, column: &str) -> Option<f64> {
        let at = self.columns.iter().position(|c| c.name == column)?;
        match self.rows.get(row)?.get(at)? {
            Value::Number(number) => *number,
            Value::Text(_) => None,
        }
    }

    /// The largest distance between what was played and the formulas, standard errors.
    pub fn worst_sigma(&self) -> f64 {
        let sigma = |(column, value): (&Column, &Value)| match value {
            Value::Number(Some(n)) if column.unit == Unit::Sigma => n.abs(),
            _ => 0.0,
        };
        self.rows.iter().flat_map(|row| self.columns.iter().zip(row).map(sigma)).fold(0.0, f64::max)
    }
}

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this layout.
    pub version: u32,
    /// What was assumed.
    pub assumptions: Assumptions,
    /// The terms that were played under, by name.
    pub terms: serde_json::Value,
    /// The largest distance between what was played and the formulas, standard errors.
    pub worst_sigma: f64,
    /// The tables.
    pub sections: Vec<Section>,
}

impl Report {
    /// Tables as text.
    pub fn text(&self) -> String {
        let a = &self.assumptions;
        let mut out = format!(
            "Seed {}, {} shards a row. Price of a shard {} USD, its work {} of it; SOL {} USD, {} lamports a signature.\n\
             Terms: {}\n\"off\": distance between what was played and the formula, standard errors.\n",
            a.seed,
            a.runs,
            a.price_usd,
            percent(a.work),
            a.sol_usd,
            a.signature_lamports,
            self.terms
        );
        for section in &self.sections {
            out.push_str(&format!("\n{} ({})\n{}\n{}\n", section.title, section.id, section.about, grid(section)));
        }
        out.push_str(&format!(
            "\nLargest distance between play and formula: {:.1} standard errors.\n",
            self.worst_sigma
        ));
        out
    }
}

fn grid(section: &Section) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY).set_header(Row::from(section.columns.iter().map(|c| c.name)));
    for row in &section.rows {
        table.add_row(section.columns.iter().zip(row).map(|(column, value)| shown(column.unit, value)));
    }
    for (column, shape) in section.columns.iter().zip(table.column_iter_mut()) {
        if column.unit != Unit::Text {
            shape.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn shown(unit: Unit, value: &Value) -> String {
    let n = match value {
        Value::Text(text) => return text.clone(),
        Value::Number(None) => return "-".into(),
        Value::Number(Some(n)) => *n,
    };
    match unit {
        Unit::Text => n.to_string(),
        Unit::Share => percent(n),
        Unit::Prices => format!("{n:+.4}"),
        Unit::Usd if n.abs() < 1.0 && n != 0.0 => format!("{n:.4}"),
        Unit::Usd => format!("{n:.2}"),
        Unit::Count => format!("{n:.0}"),
        Unit::Factor => significant(n),
        Unit::Hours => significant(n),
        Unit::Sigma => format!("{n:+.1}"),
    }
}

fn percent(share: f64) -> String {
    format!("{} %", significant(share * 100.0))
}

/// Three digits that count, in plain notation where that is short.
fn significant(n: f64) -> String {
    let size = n.abs();
    if size == 0.0 {
        "0".into()
    } else if !(1e-3..1e6).contains(&size) {
        format!("{n:.2e}")
    } else if size >= 100.0 {
        format!("{n:.0}")
    } else if size >= 1.0 {
        let text = format!("{n:.2}");
        text.trim_end_matches('0').trim_end_matches('.').into()
    } else {
        format!("{n:.4}").trim_end_matches('0').into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_what_counts() {
        assert_eq!(percent(0.001), "0.1 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.00001234), "1.23e-3 %".replace("1.23e-3", "0.0012"));
        assert_eq!(significant(2.5), "2.5");
        assert_eq!(significant(1e-9), "1.00e-9");
        assert_eq!(shown(Unit::Prices, &0.5.into()), "+0.5000");
        assert_eq!(shown(Unit::Count, &None.into()), "-");
    }

    #[test]
    fn a_section_knows_its_worst_row() {
        let mut s = Section::new("x", "x", "", &[("a", Unit::Text), ("off", Unit::Sigma), ("n", Unit::Count)]);
        s.row(["one".into(), 0.5.into(), 99.0.into()]);
        s.row(["two".into(), (-2.5).into(), None.into()]);
        assert_eq!((s.worst_sigma(), s.number(0, "n"), s.number(1, "n")), (2.5, Some(99.0), None));
    }
}
