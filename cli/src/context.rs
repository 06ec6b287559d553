//! What commands share: the chain, the wallet, the market.

use crate::{
    amount,
    args::Global,
    console::Console,
    error::{CliError, Exit, Result},
};
use assay_client::{
    Cluster, Reader,
    accounts::decode,
    send::{SendOptions, Sender},
    token,
};
use assay_settlement::state::Market;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The chain that a command works on and who it works for.
pub struct Context<'a> {
    /// Where the chain is.
    pub cluster: Cluster,
    /// Sends transactions.
    pub sender: Sender,
    /// Reads accounts.
    pub reader: Reader,
    /// Where output goes.
    pub console: &'a Console,
    global: &'a Global,
}

/// A market and its address.
#[derive(Clone, Copy)]
pub struct MarketAt {
    /// The address.
    pub address: Pubkey,
    /// The account.
    pub data: Market,
}

impl MarketAt {
    /// An amount of the market's token, for people.
    pub fn show(&self, units: u64) -> String {
        amount::show(units, self.data.decimals)
    }

    /// The associated token account of `owner` in the market's mint.
    pub fn purse(&self, owner: &Pubkey) -> Pubkey {
        token::associated_of(&self.data.token_program, owner, &self.data.mint)
    }

    /// Makes the associated token account of `owner` unless it exists. Signer: payer.
    pub fn make_purse(&self, payer: Pubkey, owner: &Pubkey) -> Instruction {
        token::create_associated_of(&self.data.token_program, payer, owner, &self.data.mint)
    }

    /// Base units of an amount that a person wrote.
    ///
    /// # Errors
    /// See [`amount::parse`].
    pub fn parse(&self, text: &str) -> Result<u64> {
        amount::parse(text, self.data.decimals)
    }
}

impl<'a> Context<'a> {
    /// Reads the settings; asks the chain nothing.
    ///
    /// # Errors
    /// A URL that is none.
    pub fn new(global: &'a Global, console: &'a Console) -> Result<Self> {
        let settings = SolanaSettings::read();
        let url = global.url.clone().or(settings.url).unwrap_or_else(|| "localhost".to_owned());
        let cluster = match &global.ws {
            Some(ws) => Cluster::with_ws(&url, ws)?,
            None => Cluster::parse(&url)?,
        };
        let cluster = if global.v0_only { cluster.v0_only() } else { cluster };
        let sender = Sender::new(&cluster);
        let reader = Reader::new(sender.rpc().clone());
        Ok(Self { cluster, sender, reader, console, global })
    }

    /// The keypair that signs.
    ///
    /// # Errors
    /// A missing or broken file (exit code 3); what is in it is never shown.
    pub fn keypair(&self) -> Result<Arc<Keypair>> {
        let path = self.global.keypair.clone().or_else(|| SolanaSettings::read().keypair);
        let path = path.ok_or_else(|| {
            CliError::usage("no keypair is named. Give --keypair PATH, or make one with solana-keygen")
        })?;
        read_keypair(&path).map(Arc::new)
    }

    /// Asks the chain the least there is to ask, so that an unreachable one is called that and nothing else.
    ///
    /// # Errors
    /// `chain-unreachable`, exit code 4.
    pub async fn reach(&self) -> Result<()> {
        self.reader.rpc().slot().await?;
        Ok(())
    }

    /// The market: the one named, else the only one on the chain.
    ///
    /// # Errors
    /// None or several, or not a market.
    pub async fn market(&self) -> Result<MarketAt> {
        self.reach().await?;
        if let Some(address) = self.global.market {
            let data = self.reader.find_market(&address).await?;
            let data = data.ok_or_else(|| {
                CliError::not_found(
                    "no-such-market",
                    format!(
                        "there is no market {address} on this chain. Nothing was sent or paid. Check --market and --url"
                    ),
                )
            })?;
            return Ok(MarketAt { address, data });
        }
        let space = u64::try_from(assay_settlement::state::space_of::<Market>()).unwrap_or(u64::MAX);
        let of_size = solana_rpc_client_api::filter::RpcFilterType::DataSize(space);
        let found = self.reader.rpc().program_accounts(&assay_settlement::ID, vec![of_size]).await?;
        let mut markets = Vec::new();
        for (address, account) in found {
            // Other accounts of this size decode to nothing.
            if let Ok(data) = decode::<Market>(&address, &account) {
                markets.push(MarketAt { address, data });
            }
        }
        match markets.as_slice() {
            [one] => Ok(*one),
            [] => Err(CliError::not_found(
                "no-market",
                "there is no market on this chain. Nothing was sent or paid. Check --url, or open one with `assay market open`",
            )),
            several => {
                let list = several.iter().map(|m| m.address.to_string()).collect::<Vec<_>>().join(", ");
                Err(CliError::usage(format!(
                    "there are several markets on this chain: choose one with --market. {list}"
                )))
            }
        }
    }

    /// Sends and waits until it is certain what became of it.
    ///
    /// # Errors
    /// Whatever kept it from landing, with what that means for the money.
    pub async fn send(&self, instructions: &[Instruction], signers: &[&(dyn Signer + Sync)]) -> Result<Signature> {
        let outcome = self.sender.send(instructions, signers, SendOptions::default()).await?;
        Ok(outcome.landed()?.0)
    }

    /// Base units that `owner` holds in its associated token account.
    ///
    /// # Errors
    /// The chain can't be read.
    pub async fn balance(&self, owner: &Pubkey, market: &MarketAt) -> Result<u64> {
        let account = self.reader.rpc().account(&market.purse(owner)).await?;
        Ok(account.and_then(|account| token::amount(&account.data)).unwrap_or(0))
    }

    /// Refuses before anything is sent when `owner` has less than `needed` base units.
    ///
    /// # Errors
    /// `insufficient-funds`, exit code 5.
    pub async fn require_tokens(&self, owner: &Pubkey, market: &MarketAt, needed: u64) -> Result<()> {
        let held = self.balance(owner, market).await?;
        if held >= needed {
            return Ok(());
        }
        let text = format!(
            "this takes {} tokens and {owner} has {}. Nothing was sent or paid. Send tokens of mint {} to {} and try again.",
            market.show(needed),
            market.show(held),
            market.data.mint,
            market.purse(owner),
        );
        Err(CliError::new(Exit::Funds, "insufficient-funds", text))
    }
}

/// Reads a keypair file as the Solana tools write it: a JSON list of 64 bytes.
///
/// # Errors
/// A missing or broken file; what is in it is never shown.
pub fn read_keypair(path: &Path) -> Result<Keypair> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| {
        CliError::file(
            "keypair-unreadable",
            format!("the keypair {shown} can't be read: {e}. Nothing was sent or paid. Check --keypair."),
        )
    })?;
    let bytes: Option<Vec<u8>> = serde_json::from_str(&text).ok();
    bytes.and_then(|bytes| Keypair::try_from(bytes.as_slice()).ok()).ok_or_else(|| {
        CliError::file(
            "keypair-broken",
            format!(
                "{shown} is not a keypair file (a JSON list of 64 bytes). Nothing was sent or paid. Check --keypair."
            ),
        )
    })
}

/// The two settings of the Solana tools that are of use here.
#[derive(Default)]
struct SolanaSettings {
    url: Option<String>,
    keypair: Option<PathBuf>,
}

impl SolanaSettings {
    fn read() -> Self {
        let Some(home) = std::env::var_os("HOME").map(PathBuf::from) else { return Self::default() };
        let folder = home.join(".config").join("solana");
        let text = std::fs::read_to_string(folder.join("cli").join("config.yml")).unwrap_or_default();
        let mut settings = Self::parse(&text);
        let usual = folder.join("id.json");
        if settings.keypair.is_none() && usual.exists() {
            settings.keypair = Some(usual);
        }
        settings
    }

    /// The file is YAML of one level; the two values are plain or quoted strings.
    fn parse(text: &str) -> Self {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(':'))?;
            let value = line.trim().trim_matches(|c| c == '"' || c == '\'');
            if value.is_empty() { None } else { Some(value.to_owned()) }
        };
        Self { url: value("json_rpc_url"), keypair: value("keypair_path").map(PathBuf::from) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_solana_tools_settings() {
        let text = "---\njson_rpc_url: https://api.devnet.solana.com\nwebsocket_url: ''\nkeypair_path: \"keys/id.json\"\ncommitment: confirmed\n";
        let settings = SolanaSettings::parse(text);
        assert_eq!(settings.url.as_deref(), Some("https://api.devnet.solana.com"));
        assert_eq!(settings.keypair, Some(PathBuf::from("keys/id.json")));
        let empty = SolanaSettings::parse("keypair_path: ''\n");
        assert!(empty.url.is_none() && empty.keypair.is_none());
    }

    #[test]
    fn a_broken_keypair_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id.json");
        std::fs::write(&path, "[1,2,3,222]").unwrap();
        let error = read_keypair(&path).unwrap_err();
        assert_eq!((error.code.as_str(), error.exit as u8), ("keypair-broken", 3));
        assert!(!error.message.contains("222"));
        assert_eq!(read_keypair(&dir.path().join("none")).unwrap_err().code, "keypair-unreadable");
        let good = Keypair::new();
        std::fs::write(&path, serde_json::to_string(&good.to_bytes().to_vec()).unwrap()).unwrap();
        assert_eq!(read_keypair(&path).unwrap().pubkey(), good.pubkey());
    }
}
