//! `assay localnet`: a chain on this machine on fixed ports, with everything a newcomer needs to try the commands. Also
//! the parts that the demo shares: starting the chain and giving wallets SOL and tokens.

use crate::{
    amount,
    args::Localnet,
    console::Console,
    context::{Context, read_keypair},
    error::{CliError, Exit, Result},
    market, npy, stopped, store, tables,
};
use assay_kernels::registry::AnyKernel;
use assay_localnet::{Chain, Embedded, EmbeddedOptions, LocalnetError, Program};
use assay_migrations::{
    fund,
    programs::{SETTLEMENT, VERIFIER},
    setup::{MintPlan, Plan, Report, initialise},
    terms,
};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// The programs as they are committed, for chains on this machine.
pub const SETTLEMENT_ELF: &[u8] = include_bytes!("../../programs/bin/assay_settlement.so");
/// The verifier.
pub const VERIFIER_ELF: &[u8] = include_bytes!("../../programs/bin/assay_verifier.so");
/// Decimals of the mint that local chains make, as USDC has them.
pub const DECIMALS: u8 = 6;
/// Lamports that each wallet of a local chain gets.
pub const WALLET_LAMPORTS: u64 = 100_000_000_000;
/// Tokens that each wallet of `assay localnet` gets, base units.
const WALLET_TOKENS: u64 = 10_000_000_000;
/// Windows of the market, seconds: long enough to watch, short enough to wait for.
const CHALLENGE_SECONDS: u32 = 60;
const RESPONSE_SECONDS: u32 = 120;

impl From<LocalnetError> for CliError {
    fn from(error: LocalnetError) -> Self {
        let code = error.code();
        match error {
            LocalnetError::Client(error) => error.into(),
            LocalnetError::PortTaken { port } => Self::new(
                Exit::Other,
                code,
                format!("port {port} is taken: another chain may be running. Stop it, or choose another port"),
            ),
            other => Self::new(Exit::Other, code, other.to_string()),
        }
    }
}

/// Starts an embedded chain with both programs, the verifier (and here the settlement program, too) unchangeable.
///
/// # Errors
/// A port that is taken, or a chain that does not start.
pub async fn start_chain(rpc_port: Option<u16>, slot_time: Duration) -> Result<Chain> {
    let program = |id: Pubkey, elf: &'static [u8]| Program { id, elf, upgrade_authority: None };
    let programs = [program(SETTLEMENT, SETTLEMENT_ELF), program(VERIFIER, VERIFIER_ELF)];
    Ok(Chain::Embedded(Embedded::start(EmbeddedOptions { rpc_port, slot_time }, &programs).await?))
}

/// Makes mint, kernels and an experimental market with these windows (seconds). `admin` pays and is the authority.
///
/// # Errors
/// See [`assay_migrations::MigrationError`].
pub async fn prepare(
    context: &Context<'_>,
    admin: &Keypair,
    mint: Keypair,
    challenge: u32,
    response: u32,
) -> Result<Report> {
    let kernels: Vec<u16> = AnyKernel::ALL.iter().map(|kernel| kernel.id()).collect();
    let plan = Plan {
        known_programs: Some([SETTLEMENT_ELF, VERIFIER_ELF]),
        mint: MintPlan::New(Box::new(mint), DECIMALS),
        kernels: &kernels,
        market_id: 0,
        terms: terms::experimental(challenge, response),
        experimental: true,
    };
    Ok(initialise(&context.sender, admin, &plan).await?)
}

/// Runs the command until Ctrl-C.
///
/// # Errors
/// Ports that are taken, a folder that can't be written, a chain that does not start.
pub async fn run(console: &Console, args: &Localnet) -> Result<()> {
    let wallets = Wallets::open(&args.folder.join("wallets"))?;
    let chain = start_chain(Some(args.rpc_port), Duration::from_millis(args.slot_ms)).await?;
    let global = crate::args::Global {
        url: Some(chain.rpc_url().to_owned()),
        ws: Some(chain.ws_url().to_owned()),
        keypair: None,
        market: None,
        json: console.json(),
        v0_only: false,
    };
    let context = Context::new(&global, console)?;

    let admin = wallets.get("admin")?;
    let mint = wallets.get("mint")?;
    chain.airdrop(&admin.pubkey(), WALLET_LAMPORTS).await?;
    let report = prepare(&context, &admin, mint, CHALLENGE_SECONDS, RESPONSE_SECONDS).await?;
    market::show(&context, &report);

    let mut table = tables::table(["wallet", "address", "SOL", "tokens", "keypair"]);
    let mut listed = Vec::new();
    for name in Wallets::NAMES.iter().filter(|name| **name != "mint") {
        let key = wallets.get(name)?.pubkey();
        if *name != "admin" {
            chain.airdrop(&key, WALLET_LAMPORTS).await?;
        }
        // Operators only sign; the money is with the owners.
        let tokens = if name.ends_with("-operator") || *name == "admin" { 0 } else { WALLET_TOKENS };
        fund::mint_tokens(&context.sender, &admin, &report.mint, &key, tokens).await?;
        let path = wallets.path(name);
        table.add_row([
            (*name).to_owned(),
            key.to_string(),
            "100".to_owned(),
            amount::show(tokens, DECIMALS),
            path.display().to_string(),
        ]);
        listed.push(serde_json::json!({"name": name, "address": key.to_string(), "tokens": tokens, "keypair": path.display().to_string()}));
    }
    let store_port =
        args.rpc_port.checked_add(2).ok_or_else(|| CliError::usage("no port follows for the content store"))?;
    let store = store::Store::start(store::StoreOptions {
        bind: std::net::SocketAddr::from(([127, 0, 0, 1], store_port)),
        folder: args.folder.join("store"),
        max_input_bytes: 1 << 30,
        max_total_bytes: 16 << 30,
    })
    .await?;
    console.say(table.to_string());
    console.say(format!("JSON-RPC {}\nWebSocket {}\ncontent store {}", chain.rpc_url(), chain.ws_url(), store.url()));
    console.note(format!(
        "Try:\n  assay provider register -k {folder}/provider-1.json --operator {operator} --endpoint http://127.0.0.1:8902\n  \
         assay provider deposit 100 -y -k {folder}/provider-1.json\n  \
         assay provider run -k {folder}/provider-1-operator.json --owner {owner} --allow-experimental --allow-local-urls\n  \
         assay job submit escape-time --price 1 -y -k {folder}/renter.json\nCtrl-C ends the chain; its state is lost.",
        folder = args.folder.join("wallets").display(),
        owner = wallets.get("provider-1")?.pubkey(),
        operator = wallets.get("provider-1-operator")?.pubkey(),
    ));
    let document = serde_json::json!({
        "rpc": chain.rpc_url(),
        "ws": chain.ws_url(),
        "store": store.url(),
        "mint": report.mint.to_string(),
        "market": report.market.to_string(),
        "settlement": SETTLEMENT.to_string(),
        "verifier": VERIFIER.to_string(),
        "steps": report.steps,
        "wallets": listed,
    });
    npy::write_file(&args.folder.join("market.json"), format!("{document}\n").as_bytes())?;
    console.document(&document)?;
    stopped().await?;
    store.stop().await?;
    tokio::task::spawn_blocking(move || chain.stop())
        .await
        .map_err(|e| CliError::internal(format!("stopping the chain: {e}")))
}

/// Keypair files of a local chain, made once and kept, so that addresses stay the same from run to run.
struct Wallets {
    folder: PathBuf,
}

impl Wallets {
    const NAMES: &[&str] = &[
        "admin",
        "mint",
        "renter",
        "provider-1",
        "provider-1-operator",
        "provider-2",
        "provider-2-operator",
        "provider-3",
        "provider-3-operator",
        "validator",
    ];

    fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| CliError::io(&format!("making {}", folder.display()), &e))?;
        let wallets = Self { folder: folder.to_owned() };
        for name in Self::NAMES {
            if !wallets.path(name).exists() {
                write_secret(&wallets.path(name), &Keypair::new())?;
            }
        }
        Ok(wallets)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn get(&self, name: &str) -> Result<Keypair> {
        read_keypair(&self.path(name))
    }
}

/// Writes a keypair file that only its owner can read; never over an existing one.
fn write_secret(path: &Path, keypair: &Keypair) -> Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let text = serde_json::to_string(&keypair.to_bytes().to_vec()).map_err(|e| CliError::internal(e.to_string()))?;
    let write = || options.open(path)?.write_all(text.as_bytes());
    write().map_err(|e| CliError::io(&format!("writing {}", path.display()), &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wallets_stay_the_same_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = Wallets::open(dir.path()).unwrap().get("renter").unwrap();
        let again = Wallets::open(dir.path()).unwrap();
        assert_eq!(again.get("renter").unwrap().pubkey(), first.pubkey());
        assert!(write_secret(&again.path("renter"), &Keypair::new()).is_err(), "a wallet is never overwritten");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(again.path("renter")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
