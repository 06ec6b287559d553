//! What a renter, a challenger and an attestor ask for by commands: cells under a bond, leaves on the ledger, acceptance,
//! attestation. The provider of these tests commits and does nothing more.

use crate::scene::{SOL, Scene, TOKEN, image, wait_for};
use assay_client::{ix, token};
use assay_settlement::{seeds, state::ShardState};
use solana_pubkey::Pubkey;
use solana_rpc_client_api::request::RpcRequest;

/// A provider with stake, registered by commands, and its keys: owner, operator.
pub struct Idle {
    pub owner: String,
    pub operator: String,
    pub operator_key: Pubkey,
    pub provider: Pubkey,
}

impl Idle {
    pub async fn new(scene: &Scene) -> Self {
        let (owner, owner_key) = scene.wallet("owner", SOL, 10 * TOKEN).await;
        let (operator, operator_key) = scene.wallet("operator", SOL, 0).await;
        let key = operator_key.to_string();
        scene
            .done(&["provider", "register", "--endpoint", "http://127.0.0.1:1", "--operator", &key, "-k", &owner])
            .await;
        scene.done(&["provider", "deposit", "9", "--yes", "-k", &owner]).await;
        let provider = seeds::provider(&scene.market, &owner_key);
        Self { owner, operator, operator_key, provider }
    }

    /// Claims and commits a shard, with a root that nothing belongs to.
    pub async fn commit(&self, scene: &Scene, job: &str, index: u32) {
        let job: Pubkey = job.parse().unwrap();
        let data = scene.reader().job(&job).await.unwrap();
        let claim = ix::claim_shard(self.operator_key, &job, &data, &self.provider, index, 1);
        scene.send(&[claim], &self.operator).await;
        let commit = ix::commit_result(self.operator_key, &job, &self.provider, index, [9; 32]);
        scene.send(&[commit], &self.operator).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renter_challenges_demands_leaves_and_accepts() {
    let scene = Scene::new(60).await;
    let (renter, renter_key) = scene.wallet("renter", SOL, 10 * TOKEN).await;
    let (stranger, _) = scene.wallet("stranger", SOL, 10 * TOKEN).await;
    let idle = Idle::new(&scene).await;
    let ledger = ["--delivery", "ledger", "--only-renter-challenges", "--public-results"];
    let submitted = scene.done(&[&image(&renter, "1")[..], &ledger].concat()).await;
    assert!(submitted["quote"]["delivery"].as_str().unwrap().contains("demand-leaves"), "{submitted}");
    let job = submitted["job"].as_str().unwrap();
    let challenge = |shard: &'static str, cell: &'static str, key: &str| {
        ["job", "challenge", job, shard, "--cell", cell, "-k", key, "--yes"].map(str::to_owned)
    };
    let args = |owned: &[String]| owned.to_vec();
    async fn refused(scene: &Scene, args: Vec<String>, exit: u8, code: &str) -> String {
        scene.refused(&args.iter().map(String::as_str).collect::<Vec<_>>(), exit, code).await
    }
    let demand = |leaves: &'static str| {
        ["job", "demand-leaves", job, "0", "--leaf", leaves, "-k", &renter, "--yes"].map(str::to_owned)
    };

    // Nothing is committed yet.
    refused(&scene, args(&challenge("0", "5", &renter)), 9, "not-committed").await;
    refused(&scene, args(&demand("0")), 9, "not-committed").await;
    scene.refused(&["job", "accept", job, "-k", &renter, "--yes"], 9, "nothing-to-accept").await;
    idle.commit(&scene, job, 0).await;

    // What is refused costs nothing.
    let before = scene.tokens(&renter_key).await;
    refused(&scene, args(&challenge("0", "5", &stranger)), 7, "renter-only").await;
    refused(&scene, args(&challenge("2", "5", &renter)), 6, "no-such-shard").await;
    refused(&scene, args(&challenge("0", "999999", &renter)), 6, "no-such-cell").await;
    refused(&scene, args(&demand("0,8")), 6, "no-such-leaf").await;
    refused(&scene, [&challenge("0", "5", &renter)[..], &["--end".to_owned()]].concat(), 6, "no-such-challenge").await;
    let unasked = ["job", "challenge", job, "0", "--cell", "5", "-k", &renter];
    assert!(scene.refused(&unasked, 2, "usage").await.contains("bond comes back"));
    scene.refused(&["job", "accept", job, "-k", &renter], 2, "usage").await;
    scene.refused(&["job", "accept", job, "-k", &stranger, "--yes"], 7, "not-your-job").await;
    assert_eq!(scene.tokens(&renter_key).await, before);

    let opened = scene.done(&challenge("0", "5", &renter).each_ref().map(String::as_str)).await;
    let bond = opened["bond"].as_u64().unwrap();
    assert!(bond >= TOKEN && opened["bounty"].as_u64().unwrap() > 0, "{opened}");
    assert_eq!(scene.tokens(&renter_key).await, before - bond);
    refused(&scene, args(&challenge("0", "5", &renter)), 7, "already-challenged").await;
    let end = [&challenge("0", "5", &renter)[..], &["--end".to_owned()]].concat();
    refused(&scene, end.clone(), 9, "challenge-open").await;

    let demanded = scene.done(&demand("3,0").each_ref().map(String::as_str)).await;
    let prepaid = demanded["prepaid"].as_u64().unwrap();
    assert_eq!((&demanded["leaves"], prepaid > 0), (&serde_json::json!([0, 3]), true));
    assert_eq!(scene.tokens(&renter_key).await, before - bond - prepaid);
    let again = refused(&scene, args(&demand("1")), 7, "refused-on-chain").await;
    assert!(again.contains("already demanded"), "{again}");

    let watcher = Pubkey::new_unique().to_string();
    scene.done(&["job", "watch-keys", job, "--key", &watcher, "-k", &renter]).await;
    let three = ["job", "watch-keys", job, "--key", &watcher, "--key", &watcher, "--key", &watcher, "-k", &renter];
    scene.refused(&three, 2, "usage").await;
    let status = scene.done(&["job", "status", job]).await;
    assert_eq!(status["watch_keys"], serde_json::json!([watcher]));
    assert_eq!((status["delivery"].as_str(), &status["public_results"]), (Some("ledger"), &true.into()));
    let shard = &status["shards"][0];
    assert_eq!((&shard["open_challenges"], &shard["leaves_demanded"]), (&1.into(), &2.into()));
    assert_eq!((&shard["leaves_posted"], &shard["accepted"]), (&0.into(), &false.into()));
    let line = &status["challenges"][0];
    assert_eq!((&line["cell"], &line["state"], &line["due"]), (&5.into(), &"open".into(), &opened["due"]));
    scene.done(&["job", "watch-keys", job, "-k", &renter]).await;
    assert_eq!(scene.done(&["job", "status", job]).await["watch_keys"], serde_json::json!([]));

    // Accepted, the shard can be paid at once, and then the bond comes back; what was prepaid and not posted comes back.
    let accepted = scene.done(&["job", "accept", job, "-k", &renter, "--yes"]).await;
    assert_eq!(accepted["accepted"], serde_json::json!([0]));
    let price = accepted["price"].as_u64().unwrap();
    scene.refused(&["job", "accept", job, "-k", &renter, "--yes"], 9, "nothing-to-accept").await;
    assert_eq!(scene.done(&["job", "status", job]).await["shards"][0]["accepted"], true);
    let ended = scene.done(&end.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!((&ended["state"], &ended["bond"]), (&"ended".into(), &bond.into()));
    // Ending the challenge settled the shard: nothing stood before that any more.
    let settled = scene.reader().shard(&job.parse().unwrap(), 0).await.unwrap().unwrap();
    assert_eq!(settled.state(), Some(ShardState::Settled));
    scene.done(&["job", "cancel", job, "-k", &renter]).await;
    let closed = scene.done(&["job", "close", job, "-k", &renter]).await;
    assert_eq!((&closed["shards"], &closed["deliveries"], &closed["challenges"]), (&1.into(), &1.into(), &0.into()));
    assert_eq!(scene.tokens(&renter_key).await, 10 * TOKEN - price);
}

/// A challenge that nobody answers: anyone has the shard slashed by the command, and the challenger gets bond and bounty.
#[tokio::test(flavor = "multi_thread")]
async fn an_overdue_challenge_pays_its_challenger() {
    let scene = Scene::with_response(60, 3).await;
    let (renter, renter_key) = scene.wallet("renter", SOL, 10 * TOKEN).await;
    let (stranger, stranger_key) = scene.wallet("stranger", SOL, 10 * TOKEN).await;
    let (other, _) = scene.wallet("other", SOL, 0).await;
    let idle = Idle::new(&scene).await;
    let job = scene.done(&image(&renter, "1")).await["job"].as_str().unwrap().to_owned();
    idle.commit(&scene, &job, 1).await;
    let opened = scene.done(&["job", "challenge", &job, "1", "--cell", "0", "-k", &stranger, "--yes"]).await;
    let end = ["job", "challenge", &job, "1", "--cell", "0", "-k", &other, "--end"];
    let ended = wait_for("the challenge is overdue", async || {
        let ended = scene.run(&end).await;
        if ended.exit != 0 {
            assert_eq!(ended.document["error"]["code"], "challenge-open", "{}", ended.errors);
        }
        (ended.exit == 0).then_some(ended.document)
    })
    .await;
    assert_eq!((&ended["state"], &ended["bounty"]), (&"won".into(), &opened["bounty"]));
    let bounty = ended["bounty"].as_u64().unwrap();
    assert_eq!(scene.tokens(&stranger_key).await, 10 * TOKEN + bounty);
    let shard = scene.reader().shard(&job.parse().unwrap(), 1).await.unwrap().unwrap();
    assert_eq!((shard.state(), shard.seized), (Some(ShardState::Slashed), 1));
    scene.refused(&["job", "challenge", &job, "1", "--cell", "0", "-k", &stranger, "--yes"], 7, "shard-ended").await;
    scene.done(&["job", "cancel", &job, "-k", &renter]).await;
    scene.done(&["job", "close", &job, "-k", &renter]).await;
    assert!(scene.tokens(&renter_key).await > 10 * TOKEN, "refunded and compensated");
}

/// Nobody has moved what slashed shards owe: closing the job does. Behind a frozen vault the job waits, or the renter gives it up.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_closes_with_what_it_is_owed_or_without() {
    let scene = Scene::with_response(60, 3).await;
    let (renter, renter_key) = scene.wallet("renter", SOL, 10 * TOKEN).await;
    let (stranger, stranger_key) = scene.wallet("stranger", SOL, TOKEN).await;
    let idle = Idle::new(&scene).await;
    let reader = scene.reader();
    let slashed = async |number: &str| {
        let job = scene.done(&image(&renter, number)).await["job"].as_str().unwrap().to_owned();
        let key: Pubkey = job.parse().unwrap();
        idle.commit(&scene, &job, 0).await;
        scene.done(&["job", "name", &job, "0", "--cell", "0", "-k", &renter]).await;
        wait_for("the named cell is overdue", async || {
            let sender = assay_client::send::Sender::new(scene.cluster());
            let signer = assay_cli::context::read_keypair(std::path::Path::new(&stranger)).unwrap();
            let slash = ix::slash_unanswered(stranger_key, &key, 0);
            let sent = sender.send(&[slash], &[&signer], Default::default()).await.unwrap();
            sent.landed().is_ok().then_some(())
        })
        .await;
        scene.done(&["job", "cancel", &job, "-k", &renter]).await;
        (job, key)
    };
    let (job, _) = slashed("1").await;
    let (had, bounty) = (scene.tokens(&renter_key).await, scene.tokens(&stranger_key).await);
    scene.done(&["job", "close", &job, "-k", &renter]).await;
    assert!(scene.tokens(&renter_key).await > had, "escrow and compensation");
    assert!(scene.tokens(&stranger_key).await > bounty, "the bounty, to whoever had it slashed");

    let (job, key) = slashed("2").await;
    let (data, provider) = (reader.job(&key).await.unwrap(), reader.provider(&idle.provider).await.unwrap());
    let purse = token::associated(&stranger_key, &scene.mint);
    scene.send(&[ix::pay_bounty(&key, &data, &idle.provider, &provider, 0, purse)], &stranger).await;
    const STATE_AT: usize = 108;
    const FROZEN: u8 = 2;
    let mut vault = reader.rpc().account(&provider.vault).await.unwrap().unwrap();
    vault.data[STATE_AT] = FROZEN;
    let frozen = serde_json::json!([provider.vault.to_string(), { "data": hex::encode(&vault.data) }]);
    let method = RpcRequest::Custom { method: "surfnet_setAccount" };
    let _: serde_json::Value = reader.rpc().raw().send(method, frozen).await.unwrap();
    scene.refused(&["job", "close", &job, "-k", &renter], 9, "shards-owe").await;
    scene.done(&["job", "close", &job, "-k", &renter, "--waive-debts"]).await;
    let provider = reader.provider(&idle.provider).await.unwrap();
    assert_eq!((provider.locked, provider.active), (0, 0), "it is the provider's again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attestor_says_whether_it_arrived() {
    let scene = Scene::new(60).await;
    let (renter, _) = scene.wallet("renter", SOL, 10 * TOKEN).await;
    let (attestor, attestor_key) = scene.wallet("attestor", SOL, 0).await;
    let key = attestor_key.to_string();
    let idle = Idle::new(&scene).await;
    let ask = |more: &[&str]| [&image(&renter, "1")[..], more].concat().iter().map(|s| (*s).to_owned()).collect();
    let wrong: [Vec<String>; 3] = [
        ask(&["--delivery", "attested"]),
        ask(&["--attestor", &key]),
        ask(&["--delivery", "ledger", "--silence", "pay"]),
    ];
    for args in wrong {
        scene.refused(&args.iter().map(String::as_str).collect::<Vec<_>>(), 2, "usage").await;
    }
    let right: Vec<String> = ask(&["--delivery", "attested", "--attestor", &key, "--silence", "refund"]);
    let submitted = scene.done(&right.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let job = submitted["job"].as_str().unwrap();
    let attest = |shard: &'static str, said: &'static str, key: &str| {
        ["job", "attest", job, shard, said, "-k", key].map(str::to_owned)
    };
    scene.refused(&attest("0", "--arrived", &attestor).each_ref().map(String::as_str), 9, "not-committed").await;
    idle.commit(&scene, job, 0).await;
    idle.commit(&scene, job, 1).await;
    scene.refused(&attest("0", "--arrived", &renter).each_ref().map(String::as_str), 7, "not-the-attestor").await;
    scene
        .refused(&["job", "demand-leaves", job, "0", "--leaf", "0", "-k", &renter, "--yes"], 7, "other-delivery")
        .await;
    scene.done(&attest("0", "--arrived", &attestor).each_ref().map(String::as_str)).await;
    scene.done(&attest("1", "--missing", &attestor).each_ref().map(String::as_str)).await;
    scene.refused(&attest("0", "--missing", &attestor).each_ref().map(String::as_str), 7, "refused-on-chain").await;
    let status = scene.done(&["job", "status", job]).await;
    assert_eq!(status["delivery"], "attested, silence refunds");
    assert_eq!(
        (&status["shards"][0]["attested"], &status["shards"][1]["attested"]),
        (&"arrived".into(), &"missing".into())
    );
    assert_eq!(status["attestor"], key);
}
