//! Markets that change hands, accounts that close, and money of Token-2022.

use crate::{
    demands::Idle,
    scene::{SOL, Scene, TOKEN, image},
};
use assay_client::{send::Sender, token};
use assay_migrations::fund;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

#[tokio::test(flavor = "multi_thread")]
async fn a_market_changes_hands_and_closes() {
    let scene = Scene::new(60).await;
    let admin = scene.admin();
    let (heir, heir_key) = scene.wallet("heir", SOL, 0).await;
    let (renter, _) = scene.wallet("renter", SOL, 10 * TOKEN).await;
    let idle = Idle::new(&scene).await;
    let to = heir_key.to_string();
    scene.refused(&["market", "propose-authority", "--to", &to, "-k", &heir], 7, "not-the-authority").await;
    scene.refused(&["market", "accept-authority", "-k", &heir], 7, "not-proposed").await;
    scene.done(&["market", "propose-authority", "--to", &to, "-k", &admin]).await;
    assert_eq!(
        scene.done(&["market", "propose-authority", "--nobody", "-k", &admin]).await["proposed"],
        serde_json::Value::Null
    );
    scene.refused(&["market", "accept-authority", "-k", &heir], 7, "not-proposed").await;
    scene.done(&["market", "propose-authority", "--to", &to, "-k", &admin]).await;
    assert_eq!(scene.done(&["market", "accept-authority", "-k", &heir]).await["authority"], to);
    scene.refused(&["market", "close", "--yes", "-k", &admin], 7, "not-the-authority").await;

    // Everything in it is closed first.
    let job = scene.done(&image(&renter, "1")).await["job"].as_str().unwrap().to_owned();
    scene.refused(&["market", "close", "--yes", "-k", &heir], 9, "market-not-empty").await;
    scene.done(&["job", "cancel", &job, "-k", &renter]).await;
    scene.done(&["job", "close", &job, "-k", &renter]).await;
    scene.refused(&["provider", "close", "--yes", "-k", &idle.owner], 9, "provider-not-empty").await;
    scene.done(&["provider", "withdraw", "9", "-k", &idle.owner]).await;
    scene.refused(&["provider", "close", "-k", &idle.owner], 2, "usage").await;
    scene.done(&["provider", "close", "--yes", "-k", &idle.owner]).await;
    scene.refused(&["provider", "close", "--yes", "-k", &idle.owner], 6, "not-registered").await;
    scene.refused(&["market", "close", "-k", &heir], 2, "usage").await;
    scene.done(&["market", "close", "--yes", "-k", &heir]).await;
    let market = scene.market.to_string();
    scene.refused(&["market", "close", "--yes", "-k", &heir, "-m", &market], 6, "no-such-market").await;
    assert!(scene.reader().find_market(&scene.market).await.unwrap().is_none());
}

/// Token accounts are of the market's own token program, wherever a command makes or names one.
#[tokio::test(flavor = "multi_thread")]
async fn a_market_of_token_2022() {
    let scene = Scene::new(60).await;
    let (mint, sender) = (Keypair::new(), Sender::new(scene.cluster()));
    fund::create_mint_of(&token::TOKEN_2022, &sender, &scene.admin, &mint, 6).await.unwrap();
    let (mint, admin) = (mint.pubkey(), scene.admin());
    let opened = scene.done(&["market", "open", "--mint", &mint.to_string(), "--id", "7", "-k", &admin]).await;
    let market = opened["market"].as_str().unwrap();
    let data = scene.reader().market(&market.parse().unwrap()).await.unwrap();
    assert_eq!((data.token_program, data.mint), (token::TOKEN_2022, mint));

    let fund = async |name: &str| {
        let (file, key) = scene.wallet(name, SOL, 0).await;
        fund::mint_tokens(&sender, &scene.admin, &mint, &key, 10 * TOKEN).await.unwrap();
        (file, key)
    };
    let held = async |owner: &Pubkey| {
        let account = token::associated_of(&token::TOKEN_2022, owner, &mint);
        let account = scene.reader().rpc().account(&account).await.unwrap();
        account.and_then(|account| token::amount(&account.data)).unwrap_or(0)
    };
    let (renter, renter_key) = fund("renter").await;
    let (owner, owner_key) = fund("owner").await;
    let operator = Pubkey::new_unique().to_string();
    let register = ["provider", "register", "--endpoint", "http://127.0.0.1:1", "--operator", &operator];
    scene.done(&[&register[..], &["-k", &owner, "-m", market]].concat()).await;
    scene.done(&["provider", "deposit", "4", "--yes", "-k", &owner, "-m", market]).await;
    assert_eq!(held(&owner_key).await, 6 * TOKEN);
    scene.refused(&["provider", "deposit", "7", "--yes", "-k", &owner, "-m", market], 5, "insufficient-funds").await;
    scene.done(&["provider", "withdraw", "4", "-k", &owner, "-m", market]).await;
    assert_eq!(held(&owner_key).await, 10 * TOKEN);
    scene.done(&["provider", "close", "--yes", "-k", &owner, "-m", market]).await;

    let job = scene.done(&[&image(&renter, "2")[..], &["-m", market]].concat()).await;
    assert_eq!(held(&renter_key).await, 6 * TOKEN);
    let job = job["job"].as_str().unwrap();
    assert_eq!(scene.done(&["job", "cancel", job, "-k", &renter]).await["refunded"], 4 * TOKEN);
    scene.done(&["job", "close", job, "-k", &renter]).await;
    assert_eq!(held(&renter_key).await, 10 * TOKEN);
    scene.done(&["market", "close", "--yes", "-k", &admin, "-m", market]).await;
}
