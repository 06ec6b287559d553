//! What became of a transaction, and whose fault a failure is.

use solana_instruction::error::InstructionError;
use solana_pubkey::Pubkey;
use solana_rpc_client_api::client_error::TransactionError;
use solana_signature::Signature;

use crate::client_error::ClientError;

/// What became of a transaction that was sent, or that would have failed.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It succeeded and is confirmed.
    Landed {
        /// Its first signature.
        signature: Signature,
        /// Slot it landed in.
        slot: u64,
    },
    /// It failed.
    Failed {
        /// None: in simulation or preflight; it was never broadcast and cost nothing. Some: on chain; it changed
        /// nothing but paid its network fee.
        signature: Option<Signature>,
        /// The chain's error. Instruction indices in it count the instructions as given.
        error: TransactionError,
        /// The programs' logs; empty where the node gave none.
        logs: Vec<String>,
        /// For a program's own error: index of the instruction among those given, and the error code.
        custom: Option<(u8, u32)>,
    },
    /// Its blockhash ran out before it landed: it can't land any more.
    Expired {
        /// Its first signature.
        signature: Signature,
    },
    /// The chain could not be asked: it may have landed, or may land yet. Ask the chain before acting again.
    Unknown {
        /// Its first signature.
        signature: Signature,
        /// Why it is not known.
        why: String,
    },
}

impl Outcome {
    /// The signature and slot of a transaction that succeeded, or the error that says what happened instead.
    ///
    /// # Errors
    /// [`ClientError::TransactionFailed`], [`ClientError::TransactionExpired`] or [`ClientError::TransactionUnknown`].
    pub fn landed(self) -> Result<(Signature, u64), ClientError> {
        match self {
            Self::Landed { signature, slot } => Ok((signature, slot)),
            Self::Failed { signature, error, logs, custom } => {
                Err(ClientError::TransactionFailed { signature, error: Box::new(error), logs, custom })
            }
            Self::Expired { signature } => Err(ClientError::TransactionExpired { signature }),
            Self::Unknown { signature, why } => Err(ClientError::TransactionUnknown { signature, why }),
        }
    }

    pub(crate) fn failed(signature: Option<Signature>, error: TransactionError, logs: Vec<String>) -> Self {
        let custom = match &error {
            TransactionError::InstructionError(index, InstructionError::Custom(code)) => Some((*index, *code)),
            _ => None,
        };
        Self::Failed { signature, error, logs, custom }
    }
}

/// The program that failed first, hence innermost, as far as the logs tell: whose error code it is when programs call
/// each other.
pub fn failing_program(logs: &[String]) -> Option<Pubkey> {
    logs.iter().find_map(|line| {
        let (program, rest) = line.strip_prefix("Program ")?.split_once(' ')?;
        if rest.starts_with("failed") { program.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_failure_is_found() {
        let (outer, inner) = (Pubkey::new_from_array([1; 32]), Pubkey::new_from_array([2; 32]));
        let logs = [
            format!("Program {outer} invoke [1]"),
            "Program log: Program failed to be dull".to_owned(),
            format!("Program {inner} invoke [2]"),
            format!("Program {inner} failed: custom program error: 0x1"),
            format!("Program {outer} failed: custom program error: 0x1"),
        ];
        assert_eq!(failing_program(&logs), Some(inner));
        assert_eq!(failing_program(logs.get(..3).unwrap_or_default()), None);
    }
}
