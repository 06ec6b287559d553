//! What goes wrong costs nothing and is said; and a whole round by commands alone.

use crate::scene::{SOL, Scene, TOKEN, image, wait_for};
use assay_cli::{args::Cli, console::Console};
use assay_tests::Tape;
use clap::Parser;
use serde_json::Value;
use solana_pubkey::Pubkey;
use std::{path::Path, sync::Arc};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lacks_funds_is_told_and_pays_nothing() {
    let scene = Scene::new(60).await;
    let (poor, poor_key) = scene.wallet("poor", SOL, TOKEN).await;
    let before = scene.lamports(&poor_key).await;
    let text = scene.refused(&image(&poor, "1"), 5, "insufficient-funds").await;
    assert!(text.contains("takes 2.000000 tokens") && text.contains("has 1.000000"), "{text}");
    let (no_sol, no_sol_key) = scene.wallet("no-sol", 0, 10 * TOKEN).await;
    scene.refused(&image(&no_sol, "1"), 5, "insufficient-sol").await;
    let (stranger, _) = scene.wallet("stranger", 0, 0).await;
    scene.refused(&image(&stranger, "1"), 5, "insufficient-funds").await;
    assert_eq!((scene.lamports(&poor_key).await, scene.tokens(&poor_key).await), (before, TOKEN));
    assert_eq!(scene.tokens(&no_sol_key).await, 10 * TOKEN);
    scene.refused(&["provider", "deposit", "1", "--yes", "-k", &poor], 6, "not-registered").await;
    scene.refused(&image(&poor, "0.0000001"), 2, "usage").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_not_there() {
    let scene = Scene::new(60).await;
    let out = scene.path("x.png").display().to_string();
    for address in [Pubkey::new_unique(), scene.market, scene.mint] {
        let address = address.to_string();
        scene.refused(&["job", "status", &address], 6, "no-such-job").await;
        scene.refused(&["job", "fetch", &address, "-o", &out], 6, "no-such-job").await;
    }
    assert!(!Path::new(&out).exists());
    let elsewhere = Pubkey::new_unique().to_string();
    scene
        .refused(
            &["provider", "deposit", "1", "--yes", "-m", &elsewhere, "-k", &scene.wallet("w", SOL, 0).await.0],
            6,
            "no-such-market",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_submitted_cancelled_and_closed_without_loss() {
    let scene = Scene::new(60).await;
    let (renter, key) = scene.wallet("renter", SOL, 10 * TOKEN).await;
    let submitted = scene.done(&image(&renter, "1.5")).await;
    assert_eq!(submitted["quote"]["escrow"], 3 * TOKEN);
    assert_eq!(scene.tokens(&key).await, 7 * TOKEN);
    let job = submitted["job"].as_str().unwrap();
    let status = scene.done(&["job", "status", job]).await;
    assert_eq!((status["state"].as_str(), status["shards"].as_array().map(Vec::len)), (Some("open"), Some(2)));
    let out = scene.path("x.png").display().to_string();
    scene.refused(&["job", "fetch", job, "-o", &out], 9, "job-not-finished").await;
    scene.refused(&["job", "fetch", job, "-o", "x.npy"], 2, "usage").await;
    assert!(!Path::new(&out).exists());
    scene.refused(&["job", "close", job, "-k", &renter], 9, "job-not-finished").await;
    let (thief, _) = scene.wallet("thief", SOL, 0).await;
    scene.refused(&["job", "cancel", job, "-k", &thief], 7, "not-your-job").await;
    assert_eq!(scene.done(&["job", "cancel", job, "-k", &renter]).await["refunded"], 3 * TOKEN);
    assert_eq!(scene.done(&["job", "cancel", job, "-k", &renter]).await["refunded"], 0);
    assert_eq!(scene.tokens(&key).await, 10 * TOKEN);
    scene.done(&["job", "close", job, "-k", &renter]).await;
    scene.refused(&["job", "status", job], 6, "no-such-job").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_costs_nothing() {
    let scene = Scene::new(60).await;
    let (renter, key) = scene.wallet("renter", SOL, 10 * TOKEN).await;
    let a = scene.path("a.npy");
    assay_cli::npy::write(&a, "|i1", 4, 4, &[1; 16]).unwrap();
    let a = a.display().to_string();
    let submit = |store| {
        [
            "job", "submit", "gemm-i8", "--a", &a, "--b", &a, "--price", "1", "--yes", "--shards", "1", "-k", &renter,
            "--store", store,
        ]
    };
    scene.refused(&submit("http://127.0.0.1:1"), 1, "store-unreachable").await;
    assert_eq!(scene.tokens(&key).await, 10 * TOKEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_is_opened_once() {
    let scene = Scene::new(60).await;
    let (admin, _) = scene.wallet("admin", SOL, 0).await;
    let mint = scene.mint.to_string();
    let first = scene.done(&["market", "open", "--mint", &mint, "-k", &admin]).await;
    let made =
        |report: &Value| report["steps"].as_array().unwrap().iter().filter(|step| step["change"] == "made").count();
    assert_eq!(made(&first), 1, "kernels and mint are there: {first}");
    let again = scene.done(&["market", "open", "--mint", &mint, "-k", &admin]).await;
    assert_eq!((made(&again), &again["market"]), (0, &first["market"]));
    scene
        .refused(
            &["market", "open", "--mint", &scene.market.to_string(), "-k", &admin, "--id", "1"],
            7,
            "refused-on-chain",
        )
        .await;
    scene.refused(&["job", "submit", "escape-time", "--price", "1", "-k", &admin], 2, "usage").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_by_commands_alone() {
    let scene = Arc::new(Scene::new(3).await);
    let (renter, renter_key) = scene.wallet("renter", SOL, 10 * TOKEN).await;
    let (owner, owner_key) = scene.wallet("owner", SOL, 10 * TOKEN).await;
    let (operator, operator_key) = scene.wallet("operator", SOL, 0).await;
    let first = assay_localnet::ports::free_block(2).unwrap();
    let (results, store) = (format!("127.0.0.1:{first}"), format!("127.0.0.1:{}", first + 1));

    let endpoint = format!("http://{results}");
    scene
        .done(&["provider", "register", "--endpoint", &endpoint, "--operator", &operator_key.to_string(), "-k", &owner])
        .await;
    scene.done(&["provider", "deposit", "5", "--yes", "-k", &owner]).await;
    scene.refused(&["provider", "withdraw", "5.5", "-k", &owner], 5, "stake-locked").await;
    scene
        .refused(
            &[
                "provider",
                "run",
                "--owner",
                &owner_key.to_string(),
                "--verifier",
                &scene.mint.to_string(),
                "--data",
                &scene.path("refused").display().to_string(),
                "-k",
                &operator,
            ],
            2,
            "worker-config",
        )
        .await;

    // The two commands that run on.
    let serve = |args: Vec<String>| {
        let scene = scene.clone();
        tokio::spawn(async move {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let console = Console::new(true, false, Box::new(std::io::sink()), Box::new(std::io::stderr()));
            assay_cli::run(&scene.cli(&args), &console).await
        })
    };
    let folder = |name: &str| scene.path(name).display().to_string();
    let own = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    let store_task = serve(own(&["store", "serve", "--bind", &store, "--folder", &folder("store")]));
    let provider_task = serve(own(&[
        "provider",
        "run",
        "--owner",
        &owner_key.to_string(),
        "-k",
        &operator,
        "--data",
        &folder("data"),
        "--bind",
        &results,
        "--cpu",
        "--allow-experimental",
        "--allow-local-urls",
        "--max-claims",
        "4",
    ]));

    let [a, b] = assay_cli::demo::check::matrices(11, 40);
    for (matrix, name) in [(&a, "a.npy"), (&b, "b.npy")] {
        let bytes: Vec<u8> = matrix.data.iter().map(|x| x.cast_unsigned()).collect();
        assay_cli::npy::write(&scene.path(name), "|i1", 40, 40, &bytes).unwrap();
    }
    let store_url = format!("http://{store}");
    let (a_path, b_path) = (folder("a.npy"), folder("b.npy"));
    let submit = [
        "job", "submit", "gemm-i8", "--a", &a_path, "--b", &b_path, "--price", "1", "--yes", "--shards", "2", "-k",
        &renter, "--store", &store_url,
    ];
    let job = wait_for("the store listens", async || {
        let ended = scene.run(&submit).await;
        ended.document["job"].as_str().map(str::to_owned)
    })
    .await;
    wait_for("both shards are settled", async || {
        let status = scene.done(&["job", "status", &job]).await;
        (status["settled"] == 2).then_some(())
    })
    .await;
    let out = folder("c.npy");
    // A provider that serves nothing, then one that serves other bytes: neither makes a file.
    let length = 20 * 40 * 4;
    for (at, exit, code) in
        [("http://127.0.0.1:1", 9, "result-unavailable"), (&*liar(length).await, 8, "result-forged")]
    {
        scene
            .done(&["provider", "register", "--endpoint", at, "--operator", &operator_key.to_string(), "-k", &owner])
            .await;
        scene.refused(&["job", "fetch", &job, "-o", &out], exit, code).await;
        assert!(!Path::new(&out).exists());
    }
    scene
        .done(&["provider", "register", "--endpoint", &endpoint, "--operator", &operator_key.to_string(), "-k", &owner])
        .await;
    let fetched = scene.done(&["job", "fetch", &job, "-o", &out]).await;
    assert_eq!(fetched["verified"], true);
    let expected = assay_cli::demo::check::product(&a, &b);
    assert!(std::fs::read(&out).unwrap().ends_with(&expected));
    scene.done(&["job", "close", &job, "-k", &renter]).await;
    let spent = 10 * TOKEN - scene.tokens(&renter_key).await;
    assert!((TOKEN..=2 * TOKEN).contains(&spent), "{spent}");
    let withdrawn = scene.done(&["provider", "withdraw", "5.5", "-k", &owner]).await;
    assert_eq!((withdrawn["withdrawn"].as_u64(), withdrawn["locked"].as_u64()), (Some(5_500_000), Some(0)));
    provider_task.abort();
    store_task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo").display().to_string();
    let tape = Tape::default();
    let console = Console::new(true, false, Box::new(tape.clone()), Box::new(std::io::stderr()));
    let exit =
        assay_cli::run(&Cli::parse_from(["assay", "demo", "--fast", "--seed", "5", "--out", &out]), &console).await;
    assert_eq!(exit, 0);
    let report: Value = serde_json::from_slice(&tape.bytes()).unwrap();
    let written: Value = serde_json::from_slice(&std::fs::read(Path::new(&out).join("report.json")).unwrap()).unwrap();
    assert_eq!(report["shards_slashed"], written["shards_slashed"]);
    assert!(report["shards_slashed"].as_u64().unwrap() >= 1);
    assert_eq!(report["tokens_before"], report["tokens_after"]);
    for name in ["picture.png", "a.npy", "b.npy", "product.npy"] {
        assert!(Path::new(&out).join(name).exists(), "{name}");
    }
}

/// A server that answers everything with this many zeros; its URL.
async fn liar(length: usize) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1_024];
            let heard = stream.read(&mut request).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let answer = [head.into_bytes(), vec![0; length]].concat();
            assert!(heard.is_ok() && stream.write_all(&answer).await.is_ok());
        }
    });
    url
}
