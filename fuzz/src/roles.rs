//! The accounts of a call: each by its name in the IDL, the one that would be right for what the call is about.

use crate::{
    args::{Args, JUDGED, SUBMITTER},
    focus::Focus,
    idl::{Shape, Slot},
    input::Op,
    run::Run,
};
use assay_client::{ix, token};
use assay_settlement::seeds;
use solana_pubkey::Pubkey;
use solana_system_interface::program::ID as SYSTEM;
use std::collections::HashMap;

/// Finds the accounts of one call.
pub struct Roles<'a, 's> {
    run: &'a Run<'s>,
    shape: &'a Shape,
    op: &'a Op,
    focus: &'a Focus,
    args: &'a Args,
    found: HashMap<String, Pubkey>,
}

impl<'a, 's> Roles<'a, 's> {
    /// Of a call.
    pub fn new(run: &'a Run<'s>, shape: &'a Shape, op: &'a Op, focus: &'a Focus, args: &'a Args) -> Self {
        Self { run, shape, op, focus, args, found: HashMap::new() }
    }

    /// The account for a slot.
    pub fn of(&mut self, slot: &Slot) -> Pubkey {
        if let Some(address) = slot.address.as_ref().and_then(|address| address.parse().ok()) {
            return address;
        }
        if slot.signer && self.op.actor > 0 {
            return self.run.actor(self.op.actor - 1);
        }
        let needed = match slot.name.as_str() {
            "evidence" => self.args.evidence.is_some(),
            "challenge" if self.shape.name == "slash_unanswered" => {
                self.op.other & 4 == 0 && self.focus.data.as_ref().is_some_and(|shard| shard.open_challenges > 0)
            }
            _ => true,
        };
        if slot.optional && !needed && self.op.other & 0x80 == 0 {
            return assay_settlement::ID;
        }
        self.named(&slot.name)
    }

    fn has(&self, name: &str) -> bool {
        self.shape.slots.iter().any(|slot| slot.name == name)
    }

    fn named(&mut self, name: &str) -> Pubkey {
        if let Some(found) = self.found.get(name) {
            return *found;
        }
        let slot = self.shape.slots.iter().find(|slot| slot.name == name);
        let account = if slot.is_some_and(|slot| slot.signer) { self.signer(name) } else { self.account(name) };
        self.found.insert(name.to_owned(), account);
        account
    }

    /// A field of the account in another slot.
    fn field(&mut self, slot: &str, field: &str) -> Option<Pubkey> {
        let address = self.named(slot);
        self.run.key_field(&address, field)
    }

    fn other(&self) -> Pubkey {
        self.run.actor(self.op.other)
    }

    fn signer(&mut self, name: &str) -> Pubkey {
        if self.op.actor > 0 {
            return self.run.actor(self.op.actor - 1);
        }
        let shape = self.shape.name.as_str();
        let found = match name {
            "operator" => self.field("provider", "operators"),
            "caller" if shape == "release_claim" => self.focus.data.as_ref().map(|shard| shard.operator),
            "caller" if shape == "name_cells" => Some(self.focus.known.job.renter),
            "owner" if self.has("evidence") => self.evidence_owner(),
            "owner" if shape == "create_job" => Some(self.run.actor(0)),
            "owner" if shape == "register_provider" => Some(self.other()),
            "owner" if self.has("shard") => Some(self.focus.known.job.renter),
            "owner" if self.has("provider") => self.field("provider", "owner"),
            "owner" | "renter" if self.has("job") => Some(self.focus.known.job.renter),
            "authority" if self.has("provider") => self.field("provider", "owner"),
            "proposed" => self.field("market", "pending_authority"),
            "rent_payer" => Some(self.rent_payer()),
            "authority" if self.has("market") => self.field("market", "authority"),
            "attestor" => Some(self.focus.known.job.terms.attestor),
            "submitter" if self.args.evidence.is_some() => Some(self.run.actor(SUBMITTER)),
            _ => None,
        };
        found.filter(|key| self.run.stage.actors.contains(key)).unwrap_or_else(|| self.other())
    }

    fn evidence(&self) -> Pubkey {
        let all = &self.run.stage.evidence;
        all[usize::from(self.op.other & 0x7f) % all.len()]
    }

    fn evidence_owner(&self) -> Option<Pubkey> {
        let evidence = self.evidence();
        let by_seed = |actor: &&Pubkey| ix::evidence_address(actor, "fuzz") == Some(evidence);
        let named = self.run.chain.data(&evidence).and_then(|d| Pubkey::try_from(d.get(16..48)?).ok());
        named.filter(|key| *key != Pubkey::default()).or(self.run.stage.actors.iter().find(by_seed).copied())
    }

    fn account(&mut self, name: &str) -> Pubkey {
        let (job, shape) = (self.focus.known.address, self.shape.name.as_str());
        match name {
            "job" if shape == "create_job" => seeds::job(&self.named("owner"), self.args.nonce),
            "job" => job,
            "shard" => self.focus.shard,
            "provider" => self.provider(),
            "market" if shape == "open_market" => seeds::market(&self.named("creator"), self.args.id),
            "market" if self.has("job") && shape != "create_job" => self.focus.known.job.terms.market,
            "market" if self.has("provider") && shape != "register_provider" => {
                self.field("provider", "market").unwrap_or_else(|| self.market())
            }
            "market" => self.market(),
            "treasury" => seeds::treasury(&self.named("market")),
            "kernel" if shape == "register_kernel" => seeds::kernel(&self.named("verifier"), self.args.id),
            "kernel" if shape == "create_job" => {
                let kinds = &self.run.stage.kinds;
                kinds[usize::from(self.op.other) % kinds.len()].kernel
            }
            "kernel" => self.focus.known.job.terms.kernel,
            "verifier" if shape == "create_job" => self.field("kernel", "verifier").unwrap_or_default(),
            "verifier" if shape == "register_kernel" => {
                let programs = &self.run.stage.programs;
                programs[usize::from(self.op.other) % programs.len()].0
            }
            "verifier" => self.focus.known.job.terms.verifier,
            "program_data" => ix::program_data_address(&self.named("verifier")),
            "renter" => seeds::renter(&self.named("owner")),
            "challenge" => seeds::challenge(&self.focus.shard, self.args.number),
            "delivery" => seeds::delivery(&self.focus.shard),
            "bond_vault" => seeds::bond(&self.named("challenge")),
            "vault" if self.has("provider") => seeds::stake(&self.named("provider")),
            "vault" | "job_vault" => seeds::vault(&self.named("job")),
            "stake_vault" => seeds::stake(&self.named("provider")),
            "mint" if shape == "open_market" => {
                let stage = self.run.stage;
                let all = stage.mints.len() + stage.mints_2022.len();
                let which = usize::from(self.op.other) % all;
                *stage.mints.iter().chain(&stage.mints_2022).nth(which).unwrap_or(&stage.mints[0])
            }
            "mint" => self.mint(),
            "token_program" => {
                let mint = self.named("mint");
                self.run.owner(&mint).unwrap_or(token::SPL_TOKEN)
            }
            "system_program" => SYSTEM,
            "seed" if shape == "close_seed" => {
                let windows = &self.run.stage.windows;
                seeds::draw_seed(windows[usize::from(self.op.other) % windows.len()])
            }
            "seed" => seeds::draw_seed(self.args.window),
            "evidence" if self.args.evidence.is_some() => {
                ix::evidence_address(&self.named("submitter"), JUDGED).unwrap_or_default()
            }
            "evidence" => self.evidence(),
            "rent_payer" => self.rent_payer(),
            "destination" | "to" => {
                let owner = self.owed();
                self.tokens(&owner)
            }
            "source" | "token_account" | "from" => {
                let signer = self.shape.slots.iter().find(|slot| slot.signer).map(|slot| slot.name.clone());
                let owner = match signer {
                    Some(name) => self.named(&name),
                    None => self.other(),
                };
                self.tokens(&owner)
            }
            _ => self.run.pool[usize::from(self.op.other) % self.run.pool.len()],
        }
    }

    fn market(&self) -> Pubkey {
        self.run.market(self.op.other)
    }

    fn provider(&mut self) -> Pubkey {
        let shape = self.shape.name.as_str();
        if shape == "register_provider" {
            let (market, owner) = (self.market(), self.named("owner"));
            return seeds::provider(&market, &owner);
        }
        let claimed = self.focus.data.as_ref().map(|shard| shard.provider).filter(|p| *p != Pubkey::default());
        match claimed {
            Some(provider) if self.has("shard") && shape != "claim_shard" => provider,
            _ => self.run.provider(self.op.other),
        }
    }

    fn mint(&mut self) -> Pubkey {
        if self.has("job") && self.shape.name != "create_job" {
            return self.focus.known.job.terms.mint;
        }
        if self.has("challenge")
            && let Some(mint) = self.field("challenge", "mint")
        {
            return mint;
        }
        let market = if self.has("market") { self.named("market") } else { self.market() };
        self.run.key_field(&market, "mint").unwrap_or(self.run.stage.mints[0])
    }

    fn tokens(&mut self, owner: &Pubkey) -> Pubkey {
        let mint = self.mint();
        token::associated(owner, &mint)
    }

    /// Who is owed what the call pays.
    fn owed(&mut self) -> Pubkey {
        if self.has("challenge")
            && let Some(challenger) = self.field("challenge", "challenger")
        {
            return challenger;
        }
        match (self.shape.name.as_str(), &self.focus.data) {
            ("pay_bounty", Some(shard)) => shard.bounty_to,
            _ if self.has("job") => self.focus.known.job.renter,
            ("close_provider", _) => self.named("owner"),
            _ if self.has("authority") => self.named("authority"),
            _ => self.other(),
        }
    }

    /// Who paid for what the call closes.
    fn rent_payer(&mut self) -> Pubkey {
        let closed = self.shape.name.strip_prefix("close_").map(str::to_owned);
        let slots = ["challenge", "delivery", "seed", "shard", "provider", "kernel", "market", "job"];
        for slot in closed.iter().map(String::as_str).chain(slots) {
            if self.has(slot)
                && let Some(payer) = self.field(slot, "rent_payer")
            {
                return payer;
            }
        }
        self.other()
    }
}
