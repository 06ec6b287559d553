//! The layout of every account is part of the interface: where a program of another version, or a program of somebody else,
//! looks for a field must not move by accident.

use assay_settlement::{
    Challenge, Delivery, DrawSeed, EvidenceHeader, Job, JobTerms, Kernel, Market, Provider, Renter, Shard, Terms,
    space_of,
};
use assay_tests::artifacts;
use serde_json::Value;
use std::fmt::Write;

/// The committed list: account, offset in the account's data, bytes, field.
const LIST: &str = include_str!("layout.txt");

fn idl() -> Value {
    serde_json::from_slice(&artifacts::idl("assay_settlement.json")).unwrap()
}

fn fields(idl: &Value, name: &str) -> Vec<(String, Value)> {
    let types = idl["types"].as_array().unwrap();
    let found = types.iter().find(|t| t["name"] == name).unwrap_or_else(|| panic!("the IDL has no type {name}"));
    let fields = found["type"]["fields"].as_array().unwrap();
    fields.iter().map(|f| (f["name"].as_str().unwrap().to_owned(), f["type"].clone())).collect()
}

/// Bytes of a type of the IDL, without padding.
fn size(idl: &Value, of: &Value) -> usize {
    match of {
        Value::String(name) => match name.as_str() {
            "u8" | "bool" => 1,
            "u16" => 2,
            "u32" => 4,
            "u64" | "i64" => 8,
            "pubkey" => 32,
            other => panic!("{other} has no fixed size"),
        },
        Value::Object(map) if map.contains_key("array") => {
            let count = usize::try_from(map["array"][1].as_u64().unwrap()).unwrap();
            size(idl, &map["array"][0]) * count
        }
        Value::Object(map) => {
            let name = map["defined"]["name"].as_str().unwrap();
            fields(idl, name).iter().map(|(_, of)| size(idl, of)).sum()
        }
        other => panic!("no type: {other}"),
    }
}

fn list(idl: &Value) -> String {
    let mut text = String::new();
    for (account, whole) in [
        ("Market", space_of::<Market>()),
        ("Kernel", space_of::<Kernel>()),
        ("Provider", space_of::<Provider>()),
        ("Job", space_of::<Job>()),
        ("Shard", space_of::<Shard>()),
        ("Challenge", space_of::<Challenge>()),
        ("Delivery", space_of::<Delivery>()),
        ("DrawSeed", space_of::<DrawSeed>()),
    ] {
        let mut at = 8usize;
        for (name, of) in fields(idl, account) {
            let bytes = size(idl, &of);
            writeln!(text, "{account} {at} {bytes} {name}").unwrap();
            at += bytes;
            if name == "terms" {
                let part = of["defined"]["name"].as_str().unwrap();
                let mut inside = at - bytes;
                for (name, of) in fields(idl, part) {
                    let bytes = size(idl, &of);
                    writeln!(text, "{account} {inside} {bytes} terms.{name}").unwrap();
                    inside += bytes;
                }
            }
        }
        assert_eq!(at, whole, "{account} has padding that the IDL does not show, or the IDL is of another version");
    }
    text
}

#[test]
fn every_field_of_every_account_stays_where_it_is() {
    let found = list(&idl());
    let moved: Vec<_> = found.lines().filter(|line| !LIST.lines().any(|old| old == *line)).collect();
    assert!(
        found == LIST,
        "accounts moved. If no account of the old layout can be live anywhere, write this into tests/tests/settlement/layout.txt; \
         else take the room from `reserved` (docs/upgrades.md):\n{}",
        moved.join("\n")
    );
}

/// Rust's own offsets agree with those of the list, at the ends where a reordering would show.
#[test]
fn the_list_is_what_lies_in_memory() {
    let at = |account: &str, field: &str| -> usize {
        let line = LIST.lines().find(|l| l.starts_with(&format!("{account} ")) && l.ends_with(&format!(" {field}")));
        line.unwrap().split(' ').nth(1).unwrap().parse().unwrap()
    };
    use core::mem::offset_of;
    assert_eq!(at("Market", "terms") - 8, offset_of!(Market, terms));
    assert_eq!(at("Market", "terms.post_per_kib") - at("Market", "terms"), offset_of!(Terms, post_per_kib));
    assert_eq!(at("Provider", "queued_seconds") - 8, offset_of!(Provider, queued_seconds));
    assert_eq!(at("Job", "terms_hash") - 8, offset_of!(Job, terms_hash));
    assert_eq!(at("Job", "terms.params") - at("Job", "terms"), offset_of!(JobTerms, params));
    assert_eq!(at("Shard", "cells") - 8, offset_of!(Shard, cells));
    assert_eq!(at("Challenge", "opened_slot") - 8, offset_of!(Challenge, opened_slot));
    assert_eq!(at("Delivery", "leaves") - 8, offset_of!(Delivery, leaves));
    assert_eq!(at("DrawSeed", "seed") - 8, offset_of!(DrawSeed, seed));
    assert_eq!(at("Kernel", "name") - 8, offset_of!(Kernel, name));
    // Not in the IDL, which knows only what instructions load by Anchor's types.
    assert_eq!((offset_of!(Renter, owner), offset_of!(Renter, next_nonce), space_of::<Renter>()), (8, 72, 152));
    assert_eq!(offset_of!(EvidenceHeader, state) + 256, size_of::<EvidenceHeader>());
}

/// Everything that a reader of the IDL sees is explained.
#[test]
fn the_idl_documents_every_field_and_instruction() {
    let idl = idl();
    let mut bare = Vec::new();
    let documented = |v: &Value| v["docs"].as_array().is_some_and(|d| !d.is_empty());
    for t in idl["types"].as_array().unwrap() {
        let name = t["name"].as_str().unwrap();
        if !documented(t) {
            bare.push(name.to_owned());
        }
        for f in t["type"]["fields"].as_array().into_iter().flatten() {
            if f.is_object() && !documented(f) {
                bare.push(format!("{name}.{}", f["name"].as_str().unwrap_or("?")));
            }
        }
    }
    for i in idl["instructions"].as_array().unwrap() {
        if !documented(i) {
            bare.push(i["name"].as_str().unwrap().to_owned());
        }
    }
    assert!(bare.is_empty(), "without docs in the IDL: {}", bare.join(", "));
}
