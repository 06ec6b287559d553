//! What is printed: a page for people, JSON for programs.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use assay_kernels::{executor::Cuda, registry::AnyKernel};
use clap::Args;
use serde_json::{Value, json};

use crate::{card, cores, evidence, hashing, machine::Machine, round::Turns, validator};

#[derive(Args)]
pub struct Options {
    /// Measure a graphics card as well
    #[arg(long)]
    gpu: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write the page to this file
    #[arg(long, conflicts_with = "json")]
    write: Option<PathBuf>,
}

/// A table with what is said about it.
pub struct Section {
    name: &'static str,
    title: &'static str,
    text: &'static str,
    /// Said of this run only.
    pub note: String,
    columns: Vec<String>,
    /// Cells for people.
    pub rows: Vec<Vec<String>>,
    lines: Vec<Value>,
}

impl Section {
    /// An empty one.
    pub fn new(name: &'static str, title: &'static str, text: &'static str) -> Self {
        Self { name, title, text, note: String::new(), columns: Vec::new(), rows: Vec::new(), lines: Vec::new() }
    }

    /// Names its columns.
    pub fn columns(&mut self, columns: &[&str]) {
        self.columns = columns.iter().map(|column| (*column).to_owned()).collect();
    }

    /// Adds a line, for people and for programs.
    pub fn add(&mut self, row: &[&str], line: Value) {
        assert_eq!(row.len(), self.columns.len(), "a cell for each column");
        self.rows.push(row.iter().map(|cell| (*cell).to_owned()).collect());
        self.lines.push(line);
    }

    /// For people.
    pub fn page(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("\n## {}\n\n{}", self.title, self.text);
        if !self.note.is_empty() {
            text += &format!("\n{}\n", self.note);
        }
        text += &format!("\n{}{}|\n", line(&self.columns), "| --- ".repeat(self.columns.len()));
        self.rows.iter().for_each(|row| text += &line(row));
        text
    }

    /// For programs: its name and lines.
    pub fn json(&self) -> (String, Value) {
        (self.name.to_owned(), Value::Array(self.lines.clone()))
    }
}

/// `2.00 (1.80 to 2.20)`.
pub fn ratio(turns: &Turns) -> String {
    format!("**{:.2}** ({:.2} to {:.2})", turns.ratio, turns.least, turns.most)
}

const HEAD: &str = "# How fast the kernels are

Written by `cargo xtask bench kernels --write`. It prints figures and checks none: they are those of one machine, and on one
that does other things besides the ratios say more than the speeds. For programs: `--json`.
";

/// A page of sections.
pub fn page(head: &str, machine: &Machine, sections: &[Section]) -> String {
    let mut text = format!("{head}\nMeasured on {}.\n", machine.sentence());
    sections.iter().for_each(|section| text += &section.page());
    text
}

/// The same for programs.
pub fn json(machine: &Machine, sections: &[Section]) -> Value {
    let mut all: serde_json::Map<String, Value> = sections.iter().map(Section::json).collect();
    all.insert("machine".to_owned(), machine.json());
    json!(all)
}

/// Measures everything.
///
/// # Errors
/// An executor failed.
pub fn main(options: &Options) -> Result<ExitCode> {
    let machine = Machine::this();
    let mut sections = vec![cores::section()?, hashing::section()?, validator::section()?, evidence::section()?];
    sections.push(if options.gpu {
        match Cuda::probe() {
            Ok(cuda) => card::section(&cuda, AnyKernel::ALL, &card::SIZES)?,
            Err(finding) => card::not_measured(&finding.problem),
        }
    } else {
        card::not_measured("run it with --gpu on a machine that has one")
    });
    if options.json {
        println!("{}", json(&machine, &sections));
    } else if let Some(path) = &options.write {
        std::fs::write(path, page(HEAD, &machine, &sections)).with_context(|| path.display().to_string())?;
        println!("{} written", path.display());
    } else {
        print!("{}", page(HEAD, &machine, &sections));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_a_table_and_an_array() {
        let mut section = Section::new("name", "Title", "Text.\n");
        section.columns(&["A", "B"]);
        section.add(&["1", "2"], json!({ "a": 1 }));
        assert_eq!(section.page(), "\n## Title\n\nText.\n\n| A | B |\n| --- | --- |\n| 1 | 2 |\n");
        assert_eq!(section.json(), ("name".to_owned(), json!([{ "a": 1 }])));
        let all = json(&Machine::this(), &[section]);
        assert!(all["machine"]["threads"].is_u64() && all["name"][0]["a"] == 1);
    }
}
