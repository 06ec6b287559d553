//! What an instruction of the settlement program is called: the program logs no names, its IDL has them.

use serde::Deserialize;
use std::sync::LazyLock;

#[derive(Deserialize)]
struct Instruction {
    name: String,
    discriminator: [u8; 8],
}

#[derive(Deserialize)]
struct Idl {
    instructions: Vec<Instruction>,
}

static NAMES: LazyLock<Vec<Instruction>> = LazyLock::new(|| {
    let idl = include_str!("../../../programs/idl/assay_settlement.json");
    serde_json::from_str::<Idl>(idl).map(|idl| idl.instructions).unwrap_or_default()
});

/// The name of the instruction with this data; none for data of no instruction.
pub fn name(data: &[u8]) -> Option<&'static str> {
    let first = data.first_chunk::<8>()?;
    NAMES.iter().find(|known| known.discriminator == *first).map(|known| known.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anchor_lang::Discriminator;
    use assay_settlement::instruction;

    #[test]
    fn instructions_are_known_by_their_first_bytes() {
        assert_eq!(name(instruction::ClaimShard::DISCRIMINATOR), Some("claim_shard"));
        assert_eq!(name(&[instruction::SettleShard::DISCRIMINATOR, &[1, 2]].concat()), Some("settle_shard"));
        assert_eq!((name(&[0; 8]), name(&[1; 7])), (None, None));
    }
}
