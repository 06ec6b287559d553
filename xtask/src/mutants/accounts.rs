//! What Anchor checks of each instruction's accounts: their types out of the sources, names and discriminators out of
//! the IDL. Where the two disagree the check stops.
//!
//! Not among the checks, because taking them out changes nothing that a transaction could use:
//! - `mut` and `load_mut`'s look at it: the runtime undoes a transaction that changes an account which is not writable.
//! - The length in `AccountLoader`: the slice behind it is out of bounds and the program stops. One more reason: this
//!   program alone writes its discriminators, and only to accounts of the full size.
//! - That a `Program` is executable: the account at the system program's address always is.
//! - That there are enough accounts: the same, an index out of bounds.
//! - `init` of what is there: the system program refuses that.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    mutants::{
        hash,
        sites::{Kind, Site},
    },
    sbf::files,
};

/// A check of an account by Anchor. `hook.rs` is asked for it by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// `Signer` has signed.
    Signer,
    /// `AccountLoader`'s account belongs to this program, or that of a constraint `owner` to whom it says.
    Owner,
    /// Its discriminator is the type's.
    Type,
    /// `Program` is the one named.
    Program,
    /// `seeds`: a program-derived address is the one of these seeds.
    Seeds,
}

impl Check {
    pub fn name(self) -> &'static str {
        match self {
            Check::Signer => "signer",
            Check::Owner => "owner",
            Check::Type => "type",
            Check::Program => "program",
            Check::Seeds => "seeds",
        }
    }
}

/// An account in a struct with `#[derive(Accounts)]`.
#[derive(Debug, PartialEq, Eq)]
struct Field {
    name: String,
    /// The type without `Option`.
    type_name: String,
    optional: bool,
    /// Constraints, as `#[account(...)]` has them.
    constraints: Vec<String>,
}

impl Field {
    /// What Anchor checks, and the text that makes it do so.
    fn checks(&self) -> Result<Vec<(Check, String)>> {
        let mut checks = Vec::new();
        for constraint in &self.constraints {
            match constraint.split([' ', '=']).next().unwrap_or_default() {
                "mut" | "init" | "payer" | "space" | "bump" => {}
                "seeds" => checks.push((Check::Seeds, constraint.clone())),
                "owner" => checks.push((Check::Owner, constraint.clone())),
                _ => bail!("`{constraint}` of {} is a check that cannot be taken out yet", self.name),
            }
        }
        let made = self.constraints.iter().any(|c| c == "init");
        let text = self.type_name.replace("'info, ", "").replace("<'info>", "");
        let kinds: &[Check] = match self.type_name.split('<').next().unwrap_or_default() {
            // What `init` makes has its owner and its type from there.
            "AccountLoader" if made => &[],
            "AccountLoader" => &[Check::Owner, Check::Type],
            "Signer" => &[Check::Signer],
            "Program" => &[Check::Program],
            "UncheckedAccount" => &[],
            other => bail!("{} is a {other}, whose checks cannot be taken out yet", self.name),
        };
        checks.extend(kinds.iter().map(|check| (*check, text.clone())));
        Ok(checks)
    }
}

/// Anchor's checks of every account of every instruction.
pub fn sites(workspace: &Path) -> Result<Vec<Site>> {
    let sources = workspace.join("programs/settlement/src");
    let mut structs = BTreeMap::new();
    for path in files::entries(&sources.join("instructions"))? {
        if path.extension().is_some_and(|e| e == "rs") {
            let text = String::from_utf8(files::read(&path)?).context("a source file is no text")?;
            structs.extend(structs_of(&text)?);
        }
    }
    let handlers = String::from_utf8(files::read(&sources.join("lib.rs"))?).context("lib.rs is no text")?;
    let contexts = contexts_of(&handlers);
    let idl: Value = serde_json::from_slice(&files::read(&workspace.join("programs/idl/assay_settlement.json"))?)?;
    let mut sites = Vec::new();
    for known in idl["instructions"].as_array().context("an IDL without instructions")? {
        let name = known["name"].as_str().context("an instruction without a name")?;
        let fields =
            contexts.get(name).and_then(|c| structs.get(c)).with_context(|| format!("no accounts of {name}"))?;
        agree(known, fields).with_context(|| format!("the IDL and the source disagree about {name}"))?;
        let bytes = known["discriminator"].as_array().context("an instruction without a discriminator")?;
        let bytes: Vec<u8> = bytes.iter().filter_map(|b| b.as_u64().and_then(|b| u8::try_from(b).ok())).collect();
        let discriminator = u64::from_le_bytes(bytes.as_slice().try_into().context("a discriminator has 8 bytes")?);
        for field in fields {
            for (check, text) in field.checks().with_context(|| name.to_owned())? {
                let place = discriminator ^ hash::of_64(&field.name) ^ hash::of_64(check.name());
                sites.push(Site {
                    name: format!("anchor:{name}.{}:{}", field.name, check.name()),
                    text,
                    place: place.to_le_bytes(),
                    kind: Kind::Anchor(check),
                });
            }
        }
    }
    Ok(sites)
}

/// Fails unless the IDL names the same accounts, and the same signers among them.
fn agree(known: &Value, fields: &[Field]) -> Result<()> {
    let accounts = known["accounts"].as_array().context("an instruction without accounts")?;
    let told: Vec<_> = accounts
        .iter()
        .map(|a| (a["name"].as_str().unwrap_or_default(), a["signer"] == true, a["optional"] == true))
        .collect();
    let read: Vec<_> =
        fields.iter().map(|f| (f.name.as_str(), f.type_name.starts_with("Signer<"), f.optional)).collect();
    if told != read {
        bail!("the IDL has {told:?}, the source {read:?}");
    }
    Ok(())
}

/// The struct of accounts of each instruction.
fn contexts_of(handlers: &str) -> BTreeMap<String, String> {
    let handler = |line: &str| {
        let (name, rest) = line.trim().strip_prefix("pub fn ")?.split_once('(')?;
        let (context, _) = rest.strip_prefix("ctx: Context<")?.split_once('>')?;
        Some((name.to_owned(), context.to_owned()))
    };
    handlers.lines().filter_map(handler).collect()
}

/// The structs with `#[derive(Accounts)]` in a file that rustfmt has formatted.
fn structs_of(source: &str) -> Result<Vec<(String, Vec<Field>)>> {
    let mut found = Vec::new();
    let mut lines = source.lines().map(str::trim);
    while lines.any(|line| line == "#[derive(Accounts)]") {
        let head = lines.find(|line| line.starts_with("pub struct ")).context("a derive without a struct")?;
        let name = head.trim_start_matches("pub struct ").split(['<', ' ']).next().unwrap_or_default();
        let (mut fields, mut constraints) = (Vec::new(), Vec::new());
        loop {
            let line = lines.next().with_context(|| format!("{name} does not end"))?;
            if line == "}" {
                break;
            }
            if let Some(first) = line.strip_prefix("#[account(") {
                let mut text = first.to_owned();
                while !text.ends_with(")]") {
                    text = format!("{text} {}", lines.next().with_context(|| format!("{name} does not end"))?);
                }
                constraints = split(text.trim_end_matches(")]"));
            } else if let Some((field, type_name)) = line.strip_prefix("pub ").and_then(|l| l.split_once(": ")) {
                let type_name = type_name.trim_end_matches(',');
                let inner = type_name.strip_prefix("Option<").and_then(|t| t.strip_suffix('>'));
                fields.push(Field {
                    name: field.to_owned(),
                    type_name: inner.unwrap_or(type_name).to_owned(),
                    optional: inner.is_some(),
                    constraints: core::mem::take(&mut constraints),
                });
            } else if !line.starts_with("//") {
                bail!("{name}: what is `{line}`?");
            }
        }
        found.push((name.to_owned(), fields));
    }
    Ok(found)
}

/// The constraints of `#[account(...)]`: what commas divide outside of brackets.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0i32);
    for c in text.chars() {
        match c {
            '(' | '[' => depth = depth.saturating_add(1),
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;

    const SOURCE: &str = "
#[derive(Accounts)]
#[instruction(id: u16)]
pub struct OpenMarket<'info> {
    /// Pays rent.
    #[account(mut)]
    pub payer: Signer<'info>,
    #[account(init, payer = payer, space = space_of::<Market>(),
        seeds = [seeds::MARKET, &id.to_le_bytes()], bump)]
    pub market: AccountLoader<'info, Market>,
    /// CHECK: anything.
    pub mint: UncheckedAccount<'info>,
    pub challenge: Option<AccountLoader<'info, Challenge>>,
    pub system_program: Program<'info, System>,
}
";

    #[test]
    fn accounts_and_their_checks_are_read() {
        let found = structs_of(SOURCE).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "OpenMarket");
        let checks: Vec<(&str, Vec<Check>)> = found[0]
            .1
            .iter()
            .map(|f| (f.name.as_str(), f.checks().unwrap().into_iter().map(|(check, _)| check).collect()))
            .collect();
        assert_eq!(
            checks,
            [
                ("payer", vec![Check::Signer]),
                ("market", vec![Check::Seeds]),
                ("mint", vec![]),
                ("challenge", vec![Check::Owner, Check::Type]),
                ("system_program", vec![Check::Program]),
            ]
        );
        assert!(found[0].1[3].optional);
    }

    #[test]
    fn what_is_not_known_stops_the_check() {
        let with = |from: &str, to: &str| {
            let (_, fields) = structs_of(&SOURCE.replace(from, to)).unwrap().pop().unwrap();
            fields.iter().map(Field::checks).collect::<Result<Vec<_>>>()
        };
        assert!(with("#[account(mut)]", "#[account(mut, has_one = market)]").is_err());
        assert!(with("Signer<", "SystemAccount<").is_err());
        assert!(with("", "").is_ok());
    }

    #[test]
    fn handlers_name_their_accounts() {
        let contexts = contexts_of("    pub fn seize(ctx: Context<MoveShardMoney>) -> Result<()> {");
        assert_eq!(contexts.get("seize").map(String::as_str), Some("MoveShardMoney"));
    }
}
