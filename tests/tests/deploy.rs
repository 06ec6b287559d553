//! Deploying: the real programs under new addresses, interrupted and taken up again, replaced, made final; by the library
//! and by the command line. On the embedded chain always, on the genuine Agave test validator when
//! `ASSAY_TEST_VALIDATOR` names one.

#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "test code")]

use anyhow::{Context as _, Result, bail, ensure};
use assay_cli::{args::Cli, console::Console};
use assay_client::{
    Rpc, explain, ix,
    send::{Outcome, SendOptions, Sender},
};
use assay_kernels::hash::sha256;
use assay_localnet::{Chain, TestValidator};
use assay_migrations::{
    Change, MigrationError,
    buffer::{self, Buffer, CHUNK},
    deploy::{Action, Goal, Quote, Report, Settings, carry_out, quote},
    programs,
};
use assay_settlement::seeds;
use assay_tests::{
    Tape,
    stage::{at_their_ids, embedded, programs as built},
};
use clap::Parser;
use serde_json::Value;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::path::Path;
use tokio::sync::Notify;

const SOL: u64 = 1_000_000_000;
const PAID: Settings = Settings { priority_micro_lamports: Some(1_000) };

/// A chain with the settlement program at its address, and somebody who deploys.
struct Scene {
    chain: Chain,
    sender: Sender,
    payer: Keypair,
}

impl Scene {
    async fn new(chain: Chain) -> Result<Self> {
        let (sender, payer) = (Sender::new(chain.cluster()), Keypair::new());
        chain.airdrop(&payer.pubkey(), 100 * SOL).await?;
        Ok(Self { chain, sender, payer })
    }

    fn rpc(&self) -> &Rpc {
        self.sender.rpc()
    }

    async fn lamports(&self) -> Result<u64> {
        Ok(self.rpc().balance(&self.payer.pubkey()).await?)
    }

    async fn quote(&self, goal: &Goal<'_>) -> Result<Quote, MigrationError> {
        quote(self.rpc(), &self.payer.pubkey(), goal, PAID).await
    }

    async fn reach(&self, goal: &Goal<'_>) -> Result<Report, MigrationError> {
        carry_out(&self.sender, &self.payer, goal, PAID, &|_, _| ()).await
    }

    /// Checks the accounts of a program as anybody reads them.
    async fn holds(&self, program: &Pubkey, elf: &[u8], authority: Option<Pubkey>) -> Result<()> {
        let address = ix::program_data_address(program);
        let data = self.rpc().account(&address).await?.context("program data")?.data;
        // ProgramData: tag u32, slot u64, Option<Pubkey>, 45 bytes in all; then the ELF and zeros.
        ensure!(data[12] == u8::from(authority.is_some()), "authority is there or not");
        ensure!(authority.is_none_or(|key| data[13..45] == key.to_bytes()), "authority");
        let (bytes, rest) = data[45..].split_at(elf.len());
        ensure!(bytes == elf && rest.iter().all(|byte| *byte == 0), "bytes");
        ensure!(authority.is_some() || rest.is_empty(), "what nobody can change needs no room");
        Ok(())
    }

    /// Registers a kernel; the error's name where settlement refuses.
    async fn register(&self, verifier: Pubkey, id: u16) -> Result<Option<String>> {
        let register = ix::register_kernel(self.payer.pubkey(), verifier, id);
        match self.sender.send(&[register], &[&self.payer], SendOptions::default()).await? {
            Outcome::Landed { .. } => {
                let kernel = self.rpc().account(&seeds::kernel(&verifier, id)).await?;
                ensure!(kernel.is_some_and(|kernel| kernel.owner == assay_settlement::ID), "the kernel is registered");
                Ok(None)
            }
            Outcome::Failed { custom: Some((_, code)), .. } => Ok(Some(explain(code).context("a known error")?.0)),
            other => bail!("{other:?}"),
        }
    }

    async fn no_buffer_is_left(&self) -> Result<()> {
        ensure!(buffer::left(self.rpc(), &self.payer.pubkey()).await?.is_empty(), "no buffer is left");
        Ok(())
    }
}

fn code(result: Result<Report, MigrationError>) -> Result<&'static str> {
    match result {
        Ok(report) => bail!("accepted: {report:?}"),
        Err(error) => Ok(error.code()),
    }
}

/// Runs until half of it is uploaded and is then dropped, as by a machine that loses power.
async fn interrupted(scene: &Scene, goal: &Goal<'_>) -> Result<()> {
    let half = Notify::new();
    let progress = |done: usize, total: usize| {
        if done * 2 >= total {
            half.notify_one();
        }
    };
    tokio::select! {
        biased;
        () = half.notified() => Ok(()),
        ended = carry_out(&scene.sender, &scene.payer, goal, PAID, &progress) => bail!("not interrupted: {ended:?}"),
    }
}

/// The settlement program as it is built for another address.
fn settlement_for(address: &Pubkey, elf: &[u8]) -> Result<Vec<u8>> {
    let declared = assay_settlement::ID.to_bytes();
    let places: Vec<usize> = (0..elf.len() - 32).filter(|at| elf[*at..at + 32] == declared).collect();
    ensure!(!places.is_empty(), "the address is among its constants");
    let mut elf = elf.to_vec();
    for at in places {
        elf[at..at + 32].copy_from_slice(address.as_ref());
    }
    Ok(elf)
}

async fn an_interrupted_deployment_is_taken_up(scene: &Scene, declared: &[u8]) -> Result<()> {
    let (key, multisig) = (Keypair::new(), Pubkey::new_unique());
    let refused = scene.reach(&Goal::deploy(declared, &key, Some(multisig))).await;
    ensure!(code(refused)? == "not-a-program", "the one for the declared address works nowhere else");
    let elf = &settlement_for(&key.pubkey(), declared)?;
    let goal = Goal::deploy(elf, &key, Some(multisig));
    let before = scene.lamports().await?;
    let first = scene.quote(&goal).await?;
    ensure!(first.action == Action::Deploy && first.capacity > elf.len(), "{first:?}");

    // Somebody sends lamports to both addresses, which must not keep anybody from deploying.
    scene.chain.airdrop(&key.pubkey(), SOL / 1_000).await?;
    scene.chain.airdrop(&first.buffer, SOL / 1_000).await?;

    interrupted(scene, &goal).await?;
    let contents = Buffer::new(&scene.payer.pubkey(), &key.pubkey(), elf)?.contents(scene.rpc()).await?;
    let total = elf.len().div_ceil(CHUNK);
    ensure!(contents.exists && contents.missing.len() < total, "some of it is there");
    ensure!(!contents.missing.is_empty(), "not all of it is there");
    let second = scene.quote(&goal).await?;
    ensure!(second.transactions < first.transactions && second.needed_lamports < first.needed_lamports, "{second:?}");

    let report = scene.reach(&goal).await?;
    ensure!(report.change == Change::Made && report.signatures.len() == 1, "{report:?}");
    scene.holds(&key.pubkey(), elf, Some(multisig)).await?;
    scene.no_buffer_is_left().await?;
    let paid = before - scene.lamports().await?;
    ensure!(paid <= first.rent_lamports + first.fee_lamports, "no more than was quoted: {paid}, {first:?}");
    ensure!(paid + SOL / 100 > first.rent_lamports, "and the quote is near: {paid}, {first:?}");

    // It answers at its new address, with an error of its own: there is no such instruction.
    let nonsense = Instruction { program_id: key.pubkey(), accounts: Vec::new(), data: vec![0; 8] };
    let answer = scene.sender.send(&[nonsense], &[&scene.payer], SendOptions::default()).await?;
    let unknown = u32::from(anchor_lang::error::ErrorCode::InstructionFallbackNotFound);
    ensure!(matches!(answer, Outcome::Failed { custom: Some((0, code)), .. } if code == unknown), "{answer:?}");
    Ok(())
}

async fn a_verifier_is_deployed_final_and_used(scene: &Scene, elf: &[u8]) -> Result<()> {
    let key = Keypair::new();
    let goal = Goal::deploy(elf, &key, None);
    let report = scene.reach(&goal).await?;
    ensure!(report.deployed.upgrade_authority.is_none() && report.deployed.sha256 == programs::hash_of(elf));
    scene.holds(&key.pubkey(), elf, None).await?;
    scene.no_buffer_is_left().await?;

    let again = scene.reach(&goal).await?;
    ensure!(again.change == Change::AlreadyThere && again.signatures.is_empty(), "{again:?}");
    ensure!(scene.quote(&goal).await?.action == Action::Nothing);
    ensure!(scene.register(key.pubkey(), 1).await?.is_none(), "settlement accepts it");

    let other = [elf, &[1]].concat();
    ensure!(code(scene.reach(&Goal::deploy(&other, &key, None)).await)? == "cluster-differs", "the address is taken");
    ensure!(code(scene.reach(&Goal::upgrade(&other, key.pubkey(), None)).await)? == "cluster-differs", "it is final");
    Ok(())
}

async fn a_program_is_replaced_and_made_final(scene: &Scene, elf: &[u8]) -> Result<()> {
    let (key, payer) = (Keypair::new(), scene.payer.pubkey());
    let program = key.pubkey();
    ensure!(code(scene.reach(&Goal::upgrade(elf, program, Some(payer))).await)? == "program-missing");
    let report = scene.reach(&Goal::deploy(elf, &key, Some(payer))).await?;
    ensure!(report.deployed.capacity > elf.len(), "there is room for later versions");
    scene.holds(&program, elf, Some(payer)).await?;
    ensure!(scene.register(program, 1).await?.as_deref() == Some("VerifierMutable"), "what can change is no verifier");

    // Another version, longer than the room that is there: what follows an ELF's segments is not loaded.
    let longer = [elf, &vec![0xa5; report.deployed.capacity - elf.len() + 100]].concat();
    let goal = Goal::upgrade(&longer, program, Some(payer));
    let stranger = Keypair::new();
    let refused = carry_out(&scene.sender, &stranger, &goal, PAID, &|_, _| ()).await;
    ensure!(code(refused)? == "not-upgrade-authority");
    let offered = scene.quote(&goal).await?;
    ensure!(matches!(offered.action, Action::Extend { bytes: 10_240 }), "{offered:?}");
    let before = scene.lamports().await?;
    let report = scene.reach(&goal).await?;
    ensure!(report.signatures.len() == 2 && report.deployed.capacity == offered.capacity, "{report:?}");
    scene.holds(&program, &longer, Some(payer)).await?;
    let paid = before - scene.lamports().await?;
    ensure!(paid <= offered.rent_lamports + offered.fee_lamports, "no more than was quoted: {paid}, {offered:?}");
    ensure!(scene.reach(&goal).await?.change == Change::AlreadyThere, "nothing to do");
    scene.no_buffer_is_left().await?;

    // Back to the shorter version and final, in one go.
    let report = scene.reach(&Goal::upgrade(elf, program, None)).await?;
    ensure!(report.signatures.len() == 2 && report.deployed.upgrade_authority.is_none(), "{report:?}");
    ensure!(scene.register(program, 1).await?.is_none(), "what is final is a verifier");
    Ok(())
}

async fn what_can_not_run_is_refused_and_its_rent_comes_back(scene: &Scene, elf: &[u8]) -> Result<()> {
    let key = Keypair::new();
    let mut broken = elf.to_vec();
    // The entry point: outside of every segment.
    broken[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    ensure!(code(scene.reach(&Goal::deploy(&broken, &key, None)).await)? == "loader-refused");
    let left = buffer::left(scene.rpc(), &scene.payer.pubkey()).await?;
    let [one] = left.as_slice() else { bail!("one buffer: {left:?}") };
    ensure!(one.bytes == broken.len(), "{one:?}");
    let before = scene.lamports().await?;
    buffer::reclaim(&scene.sender, &scene.payer, &left).await?;
    ensure!(scene.lamports().await? > before + one.lamports / 2, "the rent is back");
    scene.no_buffer_is_left().await?;
    // The address was not used up.
    scene.reach(&Goal::deploy(elf, &key, None)).await?;
    scene.holds(&key.pubkey(), elf, None).await
}

async fn all(chain: Chain) -> Result<()> {
    let scene = Scene::new(chain).await?;
    let [settlement, verifier] = built();
    an_interrupted_deployment_is_taken_up(&scene, &settlement).await?;
    a_verifier_is_deployed_final_and_used(&scene, &verifier).await?;
    a_program_is_replaced_and_made_final(&scene, &verifier).await?;
    what_can_not_run_is_refused_and_its_rent_comes_back(&scene, &verifier).await?;
    scene.chain.stop();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deploying_on_the_embedded_chain() -> Result<()> {
    all(embedded().await?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deploying_on_the_agave_test_validator() -> Result<()> {
    let Some(path) = TestValidator::from_environment() else {
        eprintln!("skipped: ASSAY_TEST_VALIDATOR names no validator");
        return Ok(());
    };
    let elfs = built();
    all(Chain::TestValidator(TestValidator::start(&path, &at_their_ids(&elfs)).await?)).await
}

/// Runs `assay program ...` with `--json`; exit code and document.
async fn assay(scene: &Scene, key: &str, args: &[&str]) -> (u8, Value) {
    let chain = ["--json", "-k", key, "--url", scene.chain.rpc_url(), "--ws", scene.chain.ws_url()];
    let cli = Cli::parse_from([&["assay", "program"], args, &chain].concat());
    let out = Tape::default();
    let console = Console::new(true, false, Box::new(out.clone()), Box::new(std::io::sink()));
    let exit = assay_cli::run(&cli, &console).await;
    let text = out.bytes();
    (exit, serde_json::from_slice(&text).unwrap())
}

fn key_file(folder: &Path, name: &str, key: &Keypair) -> String {
    let path = folder.join(name);
    std::fs::write(&path, serde_json::to_string(&key.to_bytes().to_vec()).unwrap()).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_deploys_replaces_shows() -> Result<()> {
    let scene = Scene::new(embedded().await?).await?;
    let [_, verifier] = built();
    let folder = tempfile::tempdir()?;
    let (program, pauper) = (Keypair::new(), Keypair::new());
    let payer_file = key_file(folder.path(), "payer.json", &scene.payer);
    let pauper_file = key_file(folder.path(), "pauper.json", &pauper);
    let program_file = key_file(folder.path(), "program.json", &program);
    let elf = folder.path().join("verifier.so").display().to_string();
    std::fs::write(&elf, &verifier)?;
    let text = folder.path().join("text.so").display().to_string();
    std::fs::write(&text, "no program")?;
    let address = program.pubkey().to_string();
    let deploy = |elf: &str| ["deploy", "--elf", elf, "--program-keypair", &program_file].map(str::to_owned).to_vec();
    let run = async |key: &str, args: Vec<String>, more: &[&str]| {
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        assay(&scene, key, &args).await
    };
    let refused =
        |(exit, document): (u8, Value)| (exit, document["error"]["code"].as_str().unwrap_or_default().to_owned());
    let error = |exit: u8, code: &str| (exit, code.to_owned());

    ensure!(refused(run(&payer_file, deploy("missing.so"), &["--yes"]).await) == error(3, "elf-unreadable"));
    ensure!(refused(run(&payer_file, deploy(&text), &["--yes"]).await) == error(3, "not-a-program"));
    ensure!(refused(run(&pauper_file, deploy(&elf), &["--yes"]).await) == error(5, "insufficient-sol"));
    ensure!(refused(run(&payer_file, deploy(&elf), &[]).await) == error(2, "usage"), "nobody can be asked");
    ensure!(refused(assay(&scene, &payer_file, &["show", "--program", &address]).await) == error(6, "program-missing"));
    ensure!(scene.lamports().await? == 100 * SOL, "nothing of that cost anything");

    let (exit, document) = run(&payer_file, deploy(&elf), &["--yes"]).await;
    ensure!(exit == 0 && document["program"] == address && document["change"] == "made", "{document}");
    ensure!(document["upgrade_authority"] == scene.payer.pubkey().to_string(), "{document}");
    ensure!(document["quote"]["action"] == "deploy", "{document}");
    let (exit, document) = run(&payer_file, deploy(&elf), &[]).await;
    ensure!(exit == 0 && document["change"] == "already-there", "{document}");

    let upgrade = ["upgrade", "--elf", &elf, "--program", &address, "--yes", "--final"];
    let (exit, document) = assay(&scene, &payer_file, &upgrade).await;
    ensure!(exit == 0 && document["upgrade_authority"].is_null(), "{document}");
    ensure!(document["quote"]["action"] == "set-authority", "{document}");
    let (exit, document) = assay(&scene, &payer_file, &["show", "--program", &address]).await;
    let shown = &document["programs"][0];
    ensure!(exit == 0 && shown["deployed"]["sha256"] == programs::hash_of(&verifier), "{document}");
    let (exit, document) = assay(&scene, &payer_file, &["show"]).await;
    ensure!(exit == 0, "the programs of this version");
    for (shown, file) in document["programs"].as_array().context("programs")?.iter().zip(built()) {
        let digest: String = sha256(&[&file]).iter().map(|byte| format!("{byte:02x}")).collect();
        ensure!(shown["deployed"]["sha256"] == digest, "as sha256sum says: {shown}");
    }

    std::fs::write(&elf, [&verifier[..], b"x"].concat())?;
    ensure!(refused(run(&payer_file, deploy(&elf), &["--yes"]).await) == error(7, "cluster-differs"));
    let (exit, document) = assay(&scene, &payer_file, &["reclaim", "--yes"]).await;
    ensure!(exit == 0 && document["buffers"] == serde_json::json!([]), "{document}");
    scene.chain.stop();
    Ok(())
}
