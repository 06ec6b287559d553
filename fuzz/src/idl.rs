//! The program's IDL, read at start: what instructions there are, their accounts by name, how their arguments are
//! encoded, and where the fields of accounts lie. A new instruction is fuzzed without a change here.

use serde_json::Value;
use std::collections::HashMap;

/// One account of an instruction.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Whether it is written.
    pub writable: bool,
    /// Whether it signs.
    pub signer: bool,
    /// Whether the program's id may stand for none.
    pub optional: bool,
    /// Its address where that never changes.
    pub address: Option<String>,
}

/// One instruction.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its name.
    pub name: String,
    /// The first bytes of its data.
    pub discriminator: [u8; 8],
    /// Its accounts.
    pub slots: Vec<Slot>,
    /// Names and types of its arguments.
    pub args: Vec<(String, Type)>,
}

/// A type of the IDL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// An integer, a bool or a key: so many bytes.
    Plain(usize),
    /// A bool.
    Bool,
    /// Bytes with their length in front.
    Bytes,
    /// Items with their number in front.
    List(Box<Type>),
    /// So many items.
    Array(Box<Type>, usize),
    /// None or one.
    Option(Box<Type>),
    /// A struct by name.
    Struct(String),
}

/// The IDL.
pub struct Idl {
    /// Instructions, by discriminator.
    pub shapes: Vec<Shape>,
    structs: HashMap<String, Vec<(String, Type)>>,
    accounts: Vec<([u8; 8], String)>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn discriminator(value: &Value) -> [u8; 8] {
    let bytes: Vec<u8> = items(value).filter_map(Value::as_u64).filter_map(|b| u8::try_from(b).ok()).collect();
    bytes.try_into().expect("a discriminator has 8 bytes")
}

fn kind(value: &Value) -> Type {
    if let Some(name) = value.as_str() {
        return match name {
            "bool" => Type::Bool,
            "u8" | "i8" => Type::Plain(1),
            "u16" | "i16" => Type::Plain(2),
            "u32" | "i32" => Type::Plain(4),
            "u64" | "i64" => Type::Plain(8),
            "u128" | "i128" => Type::Plain(16),
            "pubkey" => Type::Plain(32),
            "string" | "bytes" => Type::Bytes,
            other => panic!("the IDL has a type that the fuzzer does not know: {other}"),
        };
    }
    if let Some(of) = value.get("vec") {
        return Type::List(Box::new(kind(of)));
    }
    if let Some(of) = value.get("option") {
        return Type::Option(Box::new(kind(of)));
    }
    if let Some(of) = value.get("array") {
        let count = of[1].as_u64().expect("arrays have a number of items");
        return Type::Array(Box::new(kind(&of[0])), usize::try_from(count).expect("a small array"));
    }
    Type::Struct(text(&value["defined"]["name"]))
}

fn fields(value: &Value) -> Vec<(String, Type)> {
    items(value).map(|field| (text(&field["name"]), kind(&field["type"]))).collect()
}

impl Idl {
    /// Reads it.
    ///
    /// # Panics
    /// Where it is not the IDL of an Anchor program.
    pub fn parse(json: &str) -> Self {
        let idl: Value = serde_json::from_str(json).expect("the IDL is JSON");
        let slot = |account: &Value| Slot {
            name: text(&account["name"]),
            writable: account["writable"].as_bool().unwrap_or(false),
            signer: account["signer"].as_bool().unwrap_or(false),
            optional: account["optional"].as_bool().unwrap_or(false),
            address: account["address"].as_str().map(str::to_owned),
        };
        let mut shapes: Vec<Shape> = items(&idl["instructions"])
            .map(|instruction| Shape {
                name: text(&instruction["name"]),
                discriminator: discriminator(&instruction["discriminator"]),
                slots: items(&instruction["accounts"]).map(slot).collect(),
                args: fields(&instruction["args"]),
            })
            .collect();
        assert!(!shapes.is_empty(), "the IDL has no instructions");
        shapes.sort_by_key(|shape| shape.discriminator);
        let structs =
            items(&idl["types"]).map(|t| (text(&t["name"]), fields(&t["type"]["fields"]))).collect::<HashMap<_, _>>();
        let accounts =
            items(&idl["accounts"]).map(|a| (discriminator(&a["discriminator"]), text(&a["name"]))).collect();
        Self { shapes, structs, accounts }
    }

    /// The instruction that two bytes of an input mean: the one whose discriminator begins with them, or next after
    /// them. An instruction that is added later takes its place between others and moves none.
    pub fn shape(&self, what: [u8; 2]) -> &Shape {
        let key = |bytes: [u8; 2]| u16::from_be_bytes(bytes);
        let start = |shape: &&Shape| key([shape.discriminator[0], shape.discriminator[1]]) >= key(what);
        self.shapes.iter().find(start).unwrap_or(&self.shapes[0])
    }

    /// The fields of a struct, in order.
    pub fn fields(&self, name: &str) -> &[(String, Type)] {
        self.structs.get(name).map_or(&[], |fields| fields)
    }

    /// Bytes of a type that has a fixed size.
    fn size(&self, of: &Type) -> Option<usize> {
        Some(match of {
            Type::Plain(bytes) => *bytes,
            Type::Bool => 1,
            Type::Array(item, count) => self.size(item)? * count,
            Type::Struct(name) => self.structs.get(name)?.iter().map(|(_, t)| self.size(t)).sum::<Option<usize>>()?,
            Type::Bytes | Type::List(_) | Type::Option(_) => return None,
        })
    }

    /// A field of an account, from the account's data. Accounts are `repr(C)` without padding.
    pub fn field<'d>(&self, data: &'d [u8], field: &str) -> Option<&'d [u8]> {
        let name = &self.accounts.iter().find(|(d, _)| data.starts_with(d))?.1;
        let mut at = 8;
        for (name, of) in self.fields(name) {
            let size = self.size(of)?;
            if name == field {
                return data.get(at..at + size);
            }
            at += size;
        }
        None
    }

    /// Where the integers, keys and bools of encoded arguments lie: offset and length of each.
    pub fn leaves(&self, shape: &Shape, data: &[u8]) -> Vec<(usize, usize)> {
        let (mut at, mut out) = (8, Vec::new());
        for (_, of) in &shape.args {
            if self.walk(of, data, &mut at, &mut out).is_none() {
                break;
            }
        }
        out
    }

    /// True for arguments that are all there.
    pub fn decodes(&self, shape: &Shape, data: &[u8]) -> bool {
        let (mut at, mut out) = (8, Vec::new());
        shape.args.iter().all(|(_, of)| self.walk(of, data, &mut at, &mut out).is_some())
    }

    fn walk(&self, of: &Type, data: &[u8], at: &mut usize, out: &mut Vec<(usize, usize)>) -> Option<()> {
        let mut leaf = |at: &mut usize, size: usize| {
            (*at + size <= data.len()).then(|| out.push((*at, size)))?;
            *at += size;
            Some(())
        };
        let number = |at: usize| Some(u32::from_le_bytes(*data.get(at..)?.first_chunk()?) as usize);
        match of {
            Type::Plain(size) => leaf(at, *size),
            Type::Bool => leaf(at, 1),
            Type::Bytes => {
                let bytes = number(*at)?;
                leaf(at, 4)?;
                *at = at.checked_add(bytes).filter(|at| *at <= data.len())?;
                Some(())
            }
            Type::List(item) => {
                let items = number(*at)?;
                leaf(at, 4)?;
                (0..items).try_for_each(|_| self.walk(item, data, at, out))
            }
            Type::Array(item, count) if **item != Type::Plain(1) => {
                (0..*count).try_for_each(|_| self.walk(item, data, at, out))
            }
            Type::Array(_, count) => leaf(at, *count),
            Type::Option(item) => {
                let some = *data.get(*at)?;
                leaf(at, 1)?;
                if some == 0 { Some(()) } else { self.walk(item, data, at, out) }
            }
            Type::Struct(name) => self.fields(name).iter().try_for_each(|(_, t)| self.walk(t, data, at, out)),
        }
    }
}
