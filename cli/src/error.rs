//! Errors for people and scripts: a stable code, what happened, what it means for the money, what to do; and the exit
//! codes.

use assay_client::client_error::ClientError;
use std::fmt;

/// Exit codes of `assay`, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Anything that has no code of its own.
    Other = 1,
    /// The command line is wrong.
    Usage = 2,
    /// An input file is missing or is not what the command needs.
    InputFile = 3,
    /// The chain can't be reached, or what became of a transaction is not known.
    Chain = 4,
    /// Not enough SOL or tokens.
    Funds = 5,
    /// What was asked for does not exist.
    NotFound = 6,
    /// A program on chain refused.
    Refused = 7,
    /// Bytes are not the ones the chain vouches for.
    Verification = 8,
    /// Not finished yet: the same command can succeed later.
    NotReady = 9,
}

/// The exit codes as the help shows them.
pub const EXIT_HELP: &str = "Exit codes: 0 done, 1 other error, 2 wrong usage, 3 input file, 4 chain unreachable or outcome unknown,\n\
    5 not enough funds, 6 not found, 7 refused on chain, 8 verification failed, 9 not finished yet.";

/// An error that ends a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliError {
    /// Stable short name.
    pub code: String,
    /// Exit code.
    pub exit: Exit,
    /// What happened, what it means for the money, what to do.
    pub message: String,
}

/// What every command returns.
pub type Result<T> = std::result::Result<T, CliError>;

impl CliError {
    /// An error with its code and text.
    pub fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), exit, message: message.into() }
    }

    /// Wrong use of the command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// A file that can't be used.
    pub fn file(code: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::InputFile, code, message)
    }

    /// Something that does not exist on this chain.
    pub fn not_found(code: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, code, message)
    }

    /// Bytes that are not the ones the chain vouches for.
    pub fn verification(code: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::Verification, code, message)
    }

    /// An inner fault: reported, never a panic.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Exit::Other, "internal", message)
    }

    /// A file or folder that can't be read or written.
    pub fn io(doing: &str, error: &std::io::Error) -> Self {
        Self::new(Exit::Other, "io", format!("{doing}: {error}. Nothing was sent or paid by this step."))
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.message)
    }
}

impl std::error::Error for CliError {}

/// SPL Token's and the System program's own code for "not enough".
const INSUFFICIENT: u32 = 1;

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let exit = match error.code() {
            "bad-cluster-url" => Exit::Usage,
            "chain-unreachable" | "rpc-refused" | "transaction-unknown" | "transaction-expired" => Exit::Chain,
            "insufficient-sol" => Exit::Funds,
            "transaction-failed" => Exit::Refused,
            _ => Exit::Other,
        };
        let ClientError::TransactionFailed { custom: Some((_, code)), signature, .. } = &error else {
            return Self::new(exit, error.code(), error.to_string());
        };
        let cost = match signature {
            None => "The transaction was not sent and cost nothing.".to_owned(),
            Some(signature) => format!("Transaction {signature} changed nothing and cost its network fee."),
        };
        if *code == INSUFFICIENT {
            let text =
                format!("an account has too little SOL or too few tokens for this. {cost} Fund it and try again.");
            return Self::new(Exit::Funds, "insufficient-funds", text);
        }
        match assay_client::explain(*code) {
            Some((name, message)) => {
                let text = format!("the chain refused: {message} ({name}, code {code}). {cost}");
                Self::new(Exit::Refused, "refused-on-chain", text)
            }
            None => Self::new(exit, error.code(), error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_begin_with_their_code() {
        let error = CliError::not_found("no-such-job", "there is no such job");
        assert_eq!(error.to_string(), "error[no-such-job]: there is no such job");
        assert_eq!(error.exit as u8, 6);
    }

    #[test]
    fn an_unreachable_chain_has_its_own_exit_code() {
        let error = ClientError::ChainUnreachable { url: "http://127.0.0.1:1".into(), why: "refused".into() };
        let error = CliError::from(error);
        assert_eq!((error.exit, error.code.as_str()), (Exit::Chain, "chain-unreachable"));
    }
}
