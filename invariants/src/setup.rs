//! The world that an episode begins in.

use crate::{
    actions::profile,
    cast::{AUTHORITY, DECIMALS, MarketPlan, OWNERS, PEOPLE, key, mint, operator_of, token_program, unit, wallet},
    kind::{Kind, kernels},
    machine::Machine,
    model::{Kernel, Market, Model, Place, Provider, Purse, Rents},
    time::Time,
};
use assay_client::{accounts::decode_data, ix, token};
use assay_kernels::{abi::Describe, hash::sha256};
use assay_settlement::{Job, Shard, seeds, space_of};
use bytemuck::Pod;
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;
use solana_system_interface::instruction as system;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};

const LAMPORTS: u64 = 1_000_000_000_000;
/// What everybody begins with of each mint, units.
const UNITS: u64 = 100_000;
/// What each provider stakes, units.
const STAKE: u64 = 40;

/// People with lamports and tokens, mints, and the kernels: the same for every episode.
pub fn base() -> Machine {
    let mut machine = Machine::new();
    for who in 0..PEOPLE {
        machine.put(key(who), LAMPORTS, Vec::new(), Pubkey::default());
    }
    for (number, decimals) in DECIMALS.into_iter().enumerate() {
        let supply = UNITS * unit(number) * PEOPLE as u64;
        if token_program(number) == token::TOKEN_2022 {
            with_metadata(&mut machine, number, supply);
        } else {
            // A mint: authority, supply, decimals, initialised, freeze authority.
            let some = [&[1, 0, 0, 0][..], key(AUTHORITY).as_ref()].concat();
            let data = [&some[..], &supply.to_le_bytes(), &[decimals, 1], &some].concat();
            let rent = machine.svm.minimum_balance_for_rent_exemption(data.len());
            machine.put(mint(number), rent, data, token_program(number));
        }
        let rent = machine.svm.minimum_balance_for_rent_exemption(165);
        for who in 0..PEOPLE {
            let mut data = [mint(number).as_ref(), key(who).as_ref(), &(UNITS * unit(number)).to_le_bytes()].concat();
            data.resize(165, 0);
            data[108] = 1;
            machine.put(wallet(who, number), rent, data, token_program(number));
        }
    }
    for (verifier, describe) in kernels() {
        send(&mut machine, ix::register_kernel(key(AUTHORITY), verifier, describe.kernel));
    }
    machine
}

/// A mint that carries its own name, made by the token program; then it has its supply.
fn with_metadata(machine: &mut Machine, number: usize, supply: u64) {
    const BYTES: u64 = 166 + 4 + 64;
    let (authority, mint) = (key(AUTHORITY), mint(number));
    let text = |text: &str| [&u32::try_from(text.len()).unwrap().to_le_bytes()[..], text.as_bytes()].concat();
    let ask = |accounts: &[Pubkey], data: Vec<u8>| Instruction {
        program_id: token::TOKEN_2022,
        accounts: (0..).zip(accounts).map(|(i, key)| meta(*key, i)).collect(),
        data,
    };
    let pointer = [&[39, 0][..], authority.as_ref(), mint.as_ref()].concat();
    let some = [&[20, DECIMALS[number]][..], authority.as_ref(), &[1], authority.as_ref()].concat();
    let name = [
        sha256(&[b"spl_token_metadata_interface:initialize_account"])[..8].to_vec(),
        text("Assay test coin"),
        text("TEST"),
        text("https://example.org/coin.json"),
    ];
    // Room for the text is made when it is written; its rent must be there by then.
    let rent = machine.svm.minimum_balance_for_rent_exemption(1_024);
    send(machine, system::create_account(&authority, &mint, rent, BYTES, &token::TOKEN_2022));
    send(machine, ask(&[mint], pointer));
    send(machine, ask(&[mint], some));
    send(machine, ask(&[mint, authority, mint, authority], name.concat()));
    let mut made = machine.account(&mint).unwrap();
    made.data[36..44].copy_from_slice(&supply.to_le_bytes());
    machine.put(mint, made.lamports, made.data, token::TOKEN_2022);
}

/// The first account is written to, the fourth signs.
fn meta(key: Pubkey, place: usize) -> AccountMeta {
    if place == 0 { AccountMeta::new(key, false) } else { AccountMeta::new_readonly(key, place == 3) }
}

fn send(machine: &mut Machine, instruction: Instruction) {
    if let Err(refusal) = machine.send(&[instruction]) {
        panic!("setting up: {refusal:?}");
    }
}

fn read<T: Pod + anchor_lang::Discriminator>(machine: &Machine, address: &Pubkey) -> T {
    decode_data(&machine.account(address).unwrap().data).unwrap()
}

/// Opens the markets with their providers, and writes all of it down.
pub fn world(machine: &mut Machine, plans: Vec<MarketPlan>, kinds: Rc<Vec<Kind>>) -> Model {
    let rent = |bytes: usize| machine.svm.minimum_balance_for_rent_exemption(bytes);
    let rents = Rents {
        purse: rent(165),
        market: rent(space_of::<assay_settlement::Market>()),
        provider: rent(space_of::<assay_settlement::Provider>()),
        renter: rent(space_of::<assay_settlement::Renter>()),
        job: rent(space_of::<Job>()),
        shard: rent(space_of::<Shard>()),
        seed: rent(space_of::<assay_settlement::DrawSeed>()),
        challenge: rent(space_of::<assay_settlement::Challenge>()),
        delivery: rent(space_of::<assay_settlement::Delivery>()),
        kernel: rent(space_of::<assay_settlement::Kernel>()),
    };
    let lamports = (0..PEOPLE).map(|who| (key(who), machine.account(&key(who)).unwrap().lamports)).collect();
    let mut model = Model {
        time: Time::default(),
        kinds,
        rents,
        purses: HashMap::new(),
        lamports,
        markets: Vec::new(),
        providers: Vec::new(),
        jobs: Vec::new(),
        nonces: BTreeMap::new(),
        seeds: BTreeMap::new(),
        evidence: BTreeMap::new(),
        places: HashMap::new(),
        gifts: HashMap::new(),
        challenges: BTreeMap::new(),
        deliveries: BTreeMap::new(),
        kernels: kernels().map(kernel).into(),
        supply: (0..DECIMALS.len()).map(|number| UNITS * unit(number) * PEOPLE as u64).collect(),
    };
    for number in 0..DECIMALS.len() {
        for who in 0..PEOPLE {
            let purse = Purse { mint: number, amount: UNITS * unit(number), frozen: false };
            model.purses.insert(wallet(who, number), purse);
            model.places.insert(wallet(who, number), Place::Purse);
        }
    }
    for kernel in model.kernels.clone() {
        model.lamports.insert(kernel.key, machine.account(&kernel.key).unwrap().lamports);
    }
    model.time.publish(&mut machine.svm);
    for plan in plans {
        open(machine, &mut model, plan);
    }
    model
}

fn kernel((verifier, describe): (Pubkey, Describe)) -> Kernel {
    Kernel {
        key: seeds::kernel(&verifier, describe.kernel),
        verifier,
        number: describe.kernel,
        payer: Some(AUTHORITY),
        amplification: u64::from(describe.amplification_bps),
        evidence_bytes: u64::from(describe.evidence_bytes_max),
        answer_transactions: u64::from(describe.answer_transactions),
    }
}

fn open(machine: &mut Machine, model: &mut Model, plan: MarketPlan) {
    let number = model.markets.len();
    let id = u16::try_from(number).unwrap();
    let authority = key(AUTHORITY);
    send(
        machine,
        ix::open_market(
            authority,
            authority,
            id,
            mint(plan.mint),
            token_program(plan.mint),
            plan.terms,
            plan.experimental,
        ),
    );
    let address = seeds::market(&authority, id);
    let data: assay_settlement::Market = read(machine, &address);
    model.make(AUTHORITY, &address, model.rents.market);
    model.make_purse(AUTHORITY, &data.treasury, plan.mint);
    model.places.insert(address, Place::Market(number));
    let market = Market {
        key: address,
        mint: plan.mint,
        terms: plan.terms,
        paused: false,
        authority: AUTHORITY,
        heir: None,
        exists: true,
        data: Rc::new(data),
    };
    model.markets.push(market);
    for owner in OWNERS {
        let operators = BTreeSet::from([operator_of(owner)]);
        send(machine, ix::register_provider(key(owner), key(owner), &address, &data, profile(&operators)));
        let provider = seeds::provider(&address, &key(owner));
        let of: assay_settlement::Provider = read(machine, &provider);
        model.make(owner, &provider, model.rents.provider);
        model.make_purse(owner, &of.vault, plan.mint);
        model.places.insert(provider, Place::Provider(model.providers.len()));
        let amount = STAKE * unit(plan.mint);
        send(machine, ix::deposit_stake(key(owner), &provider, &of, &data, wallet(owner, plan.mint), amount));
        model.transfer(&wallet(owner, plan.mint), &of.vault, amount);
        model.providers.push(Provider {
            key: provider,
            market: number,
            owner,
            operators,
            exists: true,
            registered: model.time.now.time,
            staked: amount,
            record: [0; 5],
            invested: i128::from(amount),
            data: Rc::new(of),
        });
    }
}
