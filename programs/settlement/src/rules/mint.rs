//! Which mints may settle a market. Token-2022 mints carry extensions; only those on the list below are let in, because
//! the others let somebody take from, freeze or fill the vaults otherwise than by the rules.
//!
//! Layout: token program's `state::Mint` (82 bytes); Token-2022 pads it to 165, then one byte of account type, then
//! entries of type (u16), length (u16) and value, little-endian (spl-token-2022, `extension/mod.rs`).

use crate::{error::AssayError, rules::Result};

const MINT_BYTES: usize = 82;
/// Length of a Multisig, whose keys anyone may choose so that it looks like a mint; Token-2022 gives no mint this length.
const MULTISIG_BYTES: usize = 355;
const ACCOUNT_TYPE_AT: usize = 165;
const ACCOUNT_TYPE_MINT: u8 = 1;
const DECIMALS_AT: usize = 44;
const INITIALIZED_AT: usize = 45;
const FREEZE_AUTHORITY_AT: usize = 46;

/// Extensions that change nothing about what a vault holds or who may move it: names, pictures, groups.
const ALLOWED: [u16; 6] = [18, 19, 20, 21, 22, 23];

/// What this program needs to know of a mint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MintFacts {
    /// Decimals of the token, for people and for TransferChecked.
    pub decimals: u8,
    /// True when somebody can freeze accounts of this mint, vaults included.
    pub freezable: bool,
}

/// Why an extension keeps a mint out.
fn refusal(extension: u16) -> AssayError {
    match extension {
        1 => AssayError::MintTransferFee,
        // Confidential transfers, their fees, and confidential minting and burning.
        4 | 16 | 24 => AssayError::MintConfidential,
        6 => AssayError::MintDefaultState,
        9 => AssayError::MintNonTransferable,
        12 => AssayError::MintPermanentDelegate,
        14 => AssayError::MintTransferHook,
        26 => AssayError::MintPausable,
        _ => AssayError::MintExtension,
    }
}

/// Checks the data of a mint account of SPL Token (`extensible`: of Token-2022).
pub fn check(data: &[u8], extensible: bool) -> Result<MintFacts> {
    let at = |offset: usize| data.get(offset).copied().ok_or(AssayError::MintNotAllowed);
    if at(INITIALIZED_AT)? != 1 {
        return Err(AssayError::MintNotAllowed);
    }
    let facts = MintFacts { decimals: at(DECIMALS_AT)?, freezable: at(FREEZE_AUTHORITY_AT)? != 0 };
    if data.len() == MINT_BYTES {
        return Ok(facts);
    }
    if !extensible || data.len() == MULTISIG_BYTES || at(ACCOUNT_TYPE_AT)? != ACCOUNT_TYPE_MINT {
        return Err(AssayError::MintNotAllowed);
    }
    let mut rest = data.get(ACCOUNT_TYPE_AT.saturating_add(1)..).unwrap_or_default();
    while let Some((kind, after)) = rest.split_first_chunk::<2>() {
        let kind = u16::from_le_bytes(*kind);
        // Uninitialised room at the end.
        if kind == 0 {
            break;
        }
        if !ALLOWED.contains(&kind) {
            return Err(refusal(kind));
        }
        let (length, after) = after.split_first_chunk::<2>().ok_or(AssayError::MintNotAllowed)?;
        let length = usize::from(u16::from_le_bytes(*length));
        rest = after.get(length..).ok_or(AssayError::MintNotAllowed)?;
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain() -> Vec<u8> {
        let mut data = vec![0u8; MINT_BYTES];
        data[DECIMALS_AT] = 6;
        data[INITIALIZED_AT] = 1;
        data
    }

    fn with(extensions: &[u16]) -> Vec<u8> {
        let mut data = plain();
        data.resize(ACCOUNT_TYPE_AT, 0);
        data.push(ACCOUNT_TYPE_MINT);
        for kind in extensions {
            data.extend(kind.to_le_bytes());
            data.extend(3u16.to_le_bytes());
            data.extend([7, 7, 7]);
        }
        data
    }

    #[test]
    fn plain_mints_and_named_extensions_pass() {
        let facts = MintFacts { decimals: 6, freezable: false };
        assert_eq!(check(&plain(), false), Ok(facts));
        assert_eq!(check(&plain(), true), Ok(facts));
        assert_eq!(check(&with(&ALLOWED), true), Ok(facts));
        assert_eq!(check(&with(&[]), false), Err(AssayError::MintNotAllowed), "SPL Token has no extensions");
        let mut freezable = plain();
        freezable[FREEZE_AUTHORITY_AT] = 1;
        assert!(check(&freezable, false).unwrap().freezable);
    }

    #[test]
    fn every_other_extension_is_refused_also_behind_an_allowed_one() {
        for kind in (1..=u16::MAX).filter(|k| !ALLOWED.contains(k)) {
            let expected = Err(refusal(kind));
            assert_eq!(check(&with(&[kind]), true), expected);
            assert_eq!(check(&with(&[18, kind]), true), expected);
        }
    }

    #[test]
    fn broken_data_is_refused() {
        assert_eq!(check(&[], true), Err(AssayError::MintNotAllowed));
        assert_eq!(check(&[0; MINT_BYTES], true), Err(AssayError::MintNotAllowed), "not initialised");
        let mut account = with(&[]);
        account[ACCOUNT_TYPE_AT] = 2;
        assert_eq!(check(&account, true), Err(AssayError::MintNotAllowed), "a token account is no mint");
        let mut multisig = with(&[]);
        multisig.resize(MULTISIG_BYTES, 0);
        assert_eq!(check(&multisig, true), Err(AssayError::MintNotAllowed), "keys that look like a mint");
        let mut cut = with(&[18]);
        cut.pop();
        assert_eq!(check(&cut, true), Err(AssayError::MintNotAllowed));
    }

    proptest! {
        #[test]
        fn no_bytes_let_an_unlisted_extension_pass(tail in prop::collection::vec(any::<u8>(), 0..64), bad in 1u16..=17) {
            let mut data = with(&[bad]);
            data.extend(tail);
            prop_assert!(check(&data, true).is_err());
        }
    }
}
