//! What a transaction's log lines say of the programs that were called in it.

use assay_client::token;
use assay_settlement::constants::{ASSOCIATED_TOKEN_PROGRAM, TOKEN_2022_PROGRAM};
use assay_tests::world::VERIFIER;
use solana_system_interface::program::ID as SYSTEM;

/// Compute units of one call of the system program. Programs that are part of the runtime log no figure of their own.
const SYSTEM_UNITS: u64 = 150;

/// A program that an instruction called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name in the table.
    pub program: &'static str,
    /// Compute units that it used, with what it called in turn.
    pub units: u64,
}

fn name(program: &str) -> &'static str {
    let known = [
        (SYSTEM, "system"),
        (token::SPL_TOKEN, "p-token"),
        (TOKEN_2022_PROGRAM, "Token-2022"),
        (ASSOCIATED_TOKEN_PROGRAM, "associated token"),
        (VERIFIER, "verifier"),
    ];
    // The only programs besides that bench cases deploy are verifiers: scripted ones, and ours at another address.
    known.iter().find(|(id, _)| id.to_string() == program).map_or("verifier", |(_, name)| name)
}

/// The programs that the transaction's instructions called, in order. Calls that those made are part of their figure.
pub fn calls(logs: &[String]) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut depth = 0usize;
    for line in logs {
        let mut words = line.split_whitespace();
        let (Some("Program"), Some(program), Some(what)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        match what {
            "invoke" => {
                depth += 1;
                if depth == 2 {
                    let units = if program == SYSTEM.to_string() { SYSTEM_UNITS } else { 0 };
                    calls.push(Call { program: name(program), units });
                }
            }
            "consumed" if depth == 2 => {
                let units = words.next().and_then(|n| n.parse().ok()).expect("a number of compute units");
                calls.last_mut().expect("it was invoked").units = units;
            }
            "success" => depth -= 1,
            _ => {}
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_instruction_itself_called_is_counted() {
        let logs = format!(
            "Program {0} invoke [1]\nProgram {SYSTEM} invoke [2]\nProgram {SYSTEM} success\n\
             Program log: Program consumed nothing\nProgram {VERIFIER} invoke [2]\nProgram {SYSTEM} invoke [3]\n\
             Program {SYSTEM} success\nProgram {VERIFIER} consumed 77 of 1000 compute units\n\
             Program return: {VERIFIER} AAAA\nProgram {VERIFIER} success\n\
             Program {0} consumed 4000 of 200000 compute units\nProgram {0} success",
            assay_settlement::ID
        );
        let lines: Vec<String> = logs.lines().map(str::to_owned).collect();
        assert_eq!(
            calls(&lines),
            [Call { program: "system", units: SYSTEM_UNITS }, Call { program: "verifier", units: 77 }]
        );
    }
}
