//! The help: every command says what it does and takes the options that every command takes.

use assay_cli::args::Cli;
use clap::{Command, CommandFactory};

/// All commands that do something, with their full names.
fn leaves(command: &Command, name: &str, out: &mut Vec<(String, Command)>) {
    let subcommands: Vec<&Command> = command.get_subcommands().filter(|sub| sub.get_name() != "help").collect();
    if subcommands.is_empty() {
        out.push((name.to_owned(), command.clone()));
    }
    for sub in subcommands {
        leaves(sub, &format!("{name} {}", sub.get_name()), out);
    }
}

fn commands() -> Vec<(String, Command)> {
    let mut cli = Cli::command();
    cli.build();
    let mut out = Vec::new();
    leaves(&cli, "assay", &mut out);
    out
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn these_are_the_commands() {
    let names: Vec<String> = commands().into_iter().map(|(name, _)| name).collect();
    let expected = [
        "assay demo",
        "assay localnet",
        "assay job submit escape-time",
        "assay job submit gemm-i8",
        "assay job submit search",
        "assay job submit mlp-i8",
        "assay job submit option-risk",
        "assay job submit align",
        "assay job submit kernel",
        "assay job status",
        "assay job name",
        "assay job challenge",
        "assay job accept",
        "assay job demand-leaves",
        "assay job attest",
        "assay job watch-keys",
        "assay job fetch",
        "assay job cancel",
        "assay job close",
        "assay provider register",
        "assay provider deposit",
        "assay provider withdraw",
        "assay provider close",
        "assay provider run",
        "assay validator run",
        "assay market open",
        "assay market propose-authority",
        "assay market accept-authority",
        "assay market close",
        "assay kernel list",
        "assay kernel selftest",
        "assay program deploy",
        "assay program upgrade",
        "assay program show",
        "assay program reclaim",
        "assay store serve",
        "assay device-process",
    ];
    assert_eq!(names, expected);
}

#[test]
fn every_command_explains_itself_and_speaks_json() {
    for (name, mut command) in commands() {
        assert!(command.get_about().is_some_and(|about| about.to_string().len() > 10), "{name} says what it does");
        let help = command.render_long_help().to_string();
        for option in ["--json", "--url", "--keypair", "--market"] {
            assert!(help.contains(option), "{name} takes {option}");
        }
        for argument in command.get_arguments().filter(|a| !a.is_hide_set()) {
            assert!(argument.get_help().is_some(), "{name}: {} is explained", argument.get_id());
        }
    }
}

#[test]
fn the_exit_codes_are_in_the_help() {
    let help = Cli::command().render_long_help().to_string();
    assert!(help.contains("8 verification failed"), "{help}");
}
