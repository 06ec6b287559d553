//! A chain with a market, wallets as files, and commands as scripts call them.

use assay_cli::{args::Cli, console::Console, context::Context, localnet};
use assay_client::{Reader, Rpc, cluster::Cluster, send::SendOptions, token};
use assay_localnet::Chain;
use assay_migrations::fund;
use assay_tests::Tape;
use clap::Parser;
use serde_json::Value;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

pub const SOL: u64 = 1_000_000_000;
pub const TOKEN: u64 = 1_000_000;

/// A chain with a market of short windows, and a folder.
pub struct Scene {
    pub chain: Chain,
    folder: tempfile::TempDir,
    pub admin: Keypair,
    pub mint: Pubkey,
    pub market: Pubkey,
}

/// How a command ended.
pub struct Ended {
    pub exit: u8,
    pub document: Value,
    pub errors: String,
}

impl Scene {
    pub async fn new(challenge_seconds: u32) -> Self {
        Self::with_response(challenge_seconds, 60).await
    }

    /// [`Scene::new`], with another time to answer, seconds.
    pub async fn with_response(challenge_seconds: u32, response_seconds: u32) -> Self {
        let chain = localnet::start_chain(None, Duration::from_millis(50)).await.unwrap();
        let (admin, folder) = (Keypair::new(), tempfile::tempdir().unwrap());
        chain.airdrop(&admin.pubkey(), 100 * SOL).await.unwrap();
        let mut scene = Self { chain, folder, admin, mint: Pubkey::default(), market: Pubkey::default() };
        let cli = scene.cli(&["market", "open", "--mint", &Pubkey::default().to_string()]);
        let console = Console::new(false, false, Box::new(std::io::sink()), Box::new(std::io::sink()));
        let context = Context::new(&cli.global, &console).unwrap();
        let prepared = localnet::prepare(&context, &scene.admin, Keypair::new(), challenge_seconds, response_seconds);
        let report = prepared.await.unwrap();
        (scene.mint, scene.market) = (report.mint, report.market);
        scene
    }

    pub fn cluster(&self) -> &Cluster {
        self.chain.cluster()
    }

    pub fn cli(&self, args: &[&str]) -> Cli {
        let chain = ["--url", self.chain.rpc_url(), "--ws", self.chain.ws_url()];
        Cli::parse_from([&["assay"], args, &chain].concat())
    }

    /// Runs a command with `--json`.
    pub async fn run(&self, args: &[&str]) -> Ended {
        let (out, err) = (Tape::default(), Tape::default());
        let console = Console::new(true, false, Box::new(out.clone()), Box::new(err.clone()));
        let exit = assay_cli::run(&self.cli(&[args, &["--json"]].concat()), &console).await;
        let text = String::from_utf8(out.bytes()).unwrap();
        let document = serde_json::from_str(text.trim())
            .unwrap_or_else(|e| panic!("{args:?}: one document expected: {e}: {text}"));
        let errors = String::from_utf8(err.bytes()).unwrap();
        Ended { exit, document, errors }
    }

    pub async fn done(&self, args: &[&str]) -> Value {
        let ended = self.run(args).await;
        assert_eq!(ended.exit, 0, "{args:?}: {}", ended.errors);
        ended.document
    }

    pub async fn refused(&self, args: &[&str], exit: u8, code: &str) -> String {
        let ended = self.run(args).await;
        assert_eq!(
            (ended.exit, ended.document["error"]["code"].as_str()),
            (exit, Some(code)),
            "{args:?}: {}",
            ended.errors
        );
        assert!(ended.errors.contains(&format!("error[{code}]: ")), "{}", ended.errors);
        ended.errors
    }

    /// A wallet file with this much.
    pub async fn wallet(&self, name: &str, lamports: u64, tokens: u64) -> (String, Pubkey) {
        let key = Keypair::new();
        let path = self.file(name, &key);
        if lamports > 0 {
            self.chain.airdrop(&key.pubkey(), lamports).await.unwrap();
        }
        if tokens > 0 {
            let sender = assay_client::send::Sender::new(self.cluster());
            fund::mint_tokens(&sender, &self.admin, &self.mint, &key.pubkey(), tokens).await.unwrap();
        }
        (path, key.pubkey())
    }

    /// The admin's keypair file.
    pub fn admin(&self) -> String {
        self.file("admin", &self.admin)
    }

    /// A keypair's file.
    pub fn file(&self, name: &str, key: &Keypair) -> String {
        let path = self.path(&format!("{name}.json"));
        std::fs::write(&path, serde_json::to_string(&key.to_bytes().to_vec()).unwrap()).unwrap();
        path.display().to_string()
    }

    /// Sends instructions, signed by a wallet's file.
    pub async fn send(&self, instructions: &[Instruction], wallet: &str) {
        let key = assay_cli::context::read_keypair(Path::new(wallet)).unwrap();
        let sender = assay_client::send::Sender::new(self.cluster());
        sender.send(instructions, &[&key], SendOptions::default()).await.unwrap().landed().unwrap();
    }

    /// Reads the chain.
    pub fn reader(&self) -> Reader {
        Reader::new(Rpc::new(self.cluster()))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub async fn tokens(&self, owner: &Pubkey) -> u64 {
        let account =
            assay_client::Rpc::new(self.cluster()).account(&token::associated(owner, &self.mint)).await.unwrap();
        account.and_then(|account| token::amount(&account.data)).unwrap_or(0)
    }

    pub async fn lamports(&self, owner: &Pubkey) -> u64 {
        assay_client::Rpc::new(self.cluster()).balance(owner).await.unwrap()
    }
}

/// A job of two shards of eight leaves.
pub fn image<'a>(key: &'a str, price: &'a str) -> Vec<&'a str> {
    let size = ["--width", "64", "--height", "16", "--max-iter", "50", "--shards", "2"];
    [&["job", "submit", "escape-time", "--price", price, "--yes", "-k", key][..], &size].concat()
}

/// Asks until the answer is there, for at most two minutes.
pub async fn wait_for<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("gave up waiting: {what}"))
}
