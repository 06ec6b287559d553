//! What people get wrong, and what they are told: a clear error, its exit code, and nothing lost.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// Nothing answers on this port: it is reserved and never given out.
const NOWHERE: &str = "http://127.0.0.1:1";

fn assay(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assay"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("NO_DNA", "1")
        .output()
        .unwrap()
}

/// The command fails with this exit code and error code, says so on stderr, and with `--json` in one document.
fn refused(folder: &Path, args: &[&str], exit: i32, code: &str) -> String {
    let plain = assay(folder, args);
    let text = String::from_utf8(plain.stderr).unwrap();
    assert_eq!(plain.status.code(), Some(exit), "{args:?}: {text}");
    assert!(text.contains(&format!("error[{code}]: ")), "{args:?}: {text}");
    assert!(plain.stdout.is_empty(), "an error is no result");

    let json = assay(folder, &[args, &["--json"]].concat());
    assert_eq!(json.status.code(), Some(exit));
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(document["error"]["code"], code);
    assert_eq!(document["error"]["exit"], exit);
    text
}

fn npy(path: &Path, descr: &str, rows: u32, columns: u32, bytes: &[u8]) {
    assay_cli::npy::write(path, descr, rows, columns, bytes).unwrap();
}

fn keypair(folder: &Path) -> String {
    let keypair = solana_keypair::Keypair::new();
    let path = folder.join("id.json");
    fs::write(&path, serde_json::to_string(&keypair.to_bytes().to_vec()).unwrap()).unwrap();
    path.display().to_string()
}

#[test]
fn input_files() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    npy(&at.join("a.npy"), "|i1", 2, 3, &[1; 6]);
    npy(&at.join("wide.npy"), "|i1", 2, 4, &[1; 8]);
    npy(&at.join("float.npy"), "<f4", 3, 2, &[0; 24]);
    npy(&at.join("cut.npy"), "|i1", 3, 2, &[0; 5]);
    fs::write(at.join("text.npy"), "1 2 3").unwrap();
    let submit = |a, b| ["job", "submit", "gemm-i8", "--a", a, "--b", b, "--price", "1", "--url", NOWHERE];
    for (a, b, code) in [
        ("none.npy", "a.npy", "file-not-found"),
        ("a.npy", "text.npy", "not-npy"),
        ("a.npy", "float.npy", "wrong-dtype"),
        ("a.npy", "cut.npy", "file-damaged"),
        ("a.npy", "wide.npy", "wrong-shape"),
    ] {
        let text = refused(at, &submit(a, b), 3, code);
        assert!(text.contains("Nothing was sent or paid"), "{text}");
    }
    assert!(refused(at, &submit("a.npy", "wide.npy"), 3, "wrong-shape").contains("2 x 3"), "the shapes are named");
}

/// Networks, searches and jobs of any kernel: what is wrong is said before anything is asked of a chain.
#[test]
fn other_kernels_inputs() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::write(at.join("chunk"), [1; 1024]).unwrap();
    fs::write(at.join("long"), [1; 600]).unwrap();
    let offer = ["--price", "1", "--url", NOWHERE];
    let submit = |kernel: &[&'static str]| [&["job", "submit"], kernel, &offer].concat();
    let product = "010000000100000000040000";
    for (args, exit, code) in [
        (&["mlp-i8", "--weights", "none", "--samples", "chunk"][..], 3, "not-a-network"),
        (&["option-risk", "--model", "none"], 3, "file-not-found"),
        (&["option-risk", "--model", "chunk"], 3, "not-a-model"),
        (&["align", "--queries", "none", "--database", "chunk"], 3, "file-not-found"),
        (&["align", "--queries", "chunk", "--database", "chunk"], 3, "not-fasta"),
        (&["search", "--message", "zz", "--count", "512"], 2, "usage"),
        (&["search", "--message", "00", "--count", "5"], 2, "usage"),
        (&["search", "--message-file", "none", "--count", "512"], 3, "file-not-found"),
        (&["search", "--message-file", "long", "--count", "512"], 3, "file-too-large"),
        (&["kernel", "no-such", "--params", "00"], 2, "usage"),
        (&["kernel", "gemm_i8", "--params", "00"], 2, "usage"),
        (&["kernel", "gemm-i8", "--params", product, "--input", "chunk"], 2, "usage"),
        (&["kernel", "gemm_i8", "--params", product, "--input", "chunk", "--input", "long"], 3, "wrong-length"),
        (&["kernel", "gemm_i8", "--param-file", "long"], 3, "file-too-large"),
    ] {
        let text = refused(at, &submit(args), exit, code);
        assert!(text.contains("Nothing was sent or paid"), "{text}");
    }
    // What is right goes on to the keypair, which is not there.
    for args in [
        &["search", "--message", "0x00ff", "--count", "1024"][..],
        &["kernel", "gemm_i8", "--params", product, "--input", "chunk", "--input", "chunk"],
    ] {
        let args = [submit(args), vec!["--keypair", "none.json"]].concat();
        refused(at, &args, 3, "keypair-unreadable");
    }
}

#[test]
fn keypairs() {
    let dir = tempfile::tempdir().unwrap();
    let submit = |keypair| ["job", "submit", "escape-time", "--price", "1", "--url", NOWHERE, "--keypair", keypair];
    refused(dir.path(), &submit("none.json"), 3, "keypair-unreadable");
    fs::write(dir.path().join("broken.json"), "[7, 7, 123]").unwrap();
    let text = refused(dir.path(), &submit("broken.json"), 3, "keypair-broken");
    assert!(!text.contains("123"), "a key is never shown: {text}");
    refused(dir.path(), &["provider", "deposit", "1", "--url", NOWHERE], 2, "usage");
}

#[test]
fn an_unreachable_chain() {
    let dir = tempfile::tempdir().unwrap();
    let key = keypair(dir.path());
    let job = "11111111111111111111111111111111";
    for args in [
        &["job", "submit", "escape-time", "--price", "1", "--yes", "--url", NOWHERE, "-k", &key][..],
        &["job", "status", job, "--url", NOWHERE],
        &["provider", "register", "--operator", job, "--endpoint", "http://x", "--url", NOWHERE, "-k", &key],
    ] {
        let text = refused(dir.path(), args, 4, "chain-unreachable");
        assert!(text.contains("Nothing was sent or paid"), "{text}");
    }
    refused(dir.path(), &["job", "status", job, "--url", "ftp://x"], 2, "bad-cluster-url");
}

#[test]
fn jobs_that_no_kernel_computes() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["--max-iter", "100000"][..], &["--width", "0"], &["--x", "9"], &["--shards", "0"]] {
        let all = [&["job", "submit", "escape-time", "--price", "1", "--url", NOWHERE], args].concat();
        refused(dir.path(), &all, 2, "usage");
    }
}

#[cfg(not(feature = "localnet"))]
#[test]
fn commands_of_another_build_say_how_to_get_them() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["demo", "localnet"] {
        let text = refused(dir.path(), &[command], 2, "built-without-localnet");
        assert!(text.contains("cargo xtask demo"), "{text}");
    }
}
