//! Cells that take several transactions: the state between the steps lies in the header of an evidence account, belongs to
//! one cell of one shard, and only the last step judges. With a verifier that says what the test wants it to say.

use assay_client::{answer::Answer, ix};
use assay_kernels::abi::{IN_EVIDENCE, SOURCE_LEAVES, STEP_DONE, STEP_MORE, STEP_STATE_BYTES, VerifierError};
use assay_settlement::{
    ChallengeState, EVIDENCE_HEADER_BYTES, EvidenceHeader, ShardState,
    error::AssayError as E,
    instructions::{AdjudicateArgs, OpeningArgs},
    seeds,
};
use assay_tests::{
    Actor, Provider, Refusal, Spec, Task, Work, World,
    scripted::{Says, Script, two_stages},
    world::swapped,
};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

const CELL: [u8; 4] = [1, 2, 3, 4];
const HEAD: u32 = EVIDENCE_HEADER_BYTES as u32 | IN_EVIDENCE;

/// A committed shard of a scripted kernel, 8 leaves of 4 cells and 4 of 2, each cell [`CELL`] but those in `forged`.
struct Stepped {
    w: World,
    verifier: Pubkey,
    task: Task,
    alice: Provider,
    work: Work,
}

/// What a step says that is not the last one.
fn more(state: u8) -> Says {
    let mut bytes = vec![STEP_MORE];
    bytes.extend([state; STEP_STATE_BYTES]);
    Says::Bytes(bytes)
}

/// What the last step says.
fn done(cell: &[u8]) -> Says {
    Says::Bytes([&[STEP_DONE], cell].concat())
}

impl Stepped {
    fn new(forged: &[usize]) -> Self {
        let mut w = World::new();
        let script = Script::new(5, &two_stages(), &CELL);
        let verifier = script.address();
        let kernel = w.register_script(&script, 5);
        let spec = Spec { kernel: 5, params: vec![7], inputs: Vec::new(), shard_leaves: 12 };
        let renter = w.renter.clone();
        let request = w.request(&renter, &spec);
        let task = Task { job: seeds::job(&renter.id(), request.nonce), renter: renter.clone(), spec };
        w.ok(&[w.create_on_ix(&renter, &kernel, request)], &[&renter]);
        let alice = w.alice.clone();
        w.claim(&task, 0, &alice);
        let mut bytes = CELL.repeat(40);
        for cell in forged {
            bytes[4 * cell] ^= 1;
        }
        let work = Work::of_bytes(&task, &w.job(&task).terms, 0, &alice.account, bytes);
        w.commit(&task, &alice, &work);
        Self { w, verifier, task, alice, work }
    }

    /// What the verifier says to a step from now on.
    fn says(&mut self, says: Says) {
        let script = Script { cell: says, ..Script::new(5, &two_stages(), &CELL) };
        self.w.chain.deploy(self.verifier, &script.elf(), None);
    }

    /// An evidence account of `owner` with a leaf and its path.
    fn upload(&mut self, owner: &Actor, seed: &str, leaf: u64) -> Pubkey {
        let whole = self.w.leaf_bytes(&self.work, leaf);
        let answer = Answer { args: self.args(leaf, 0), evidence: Some(whole.inline) };
        self.w.upload(owner, seed, &answer).unwrap()
    }

    /// A cell whose leaf and path lie at the start of the evidence.
    fn args(&self, leaf: u64, cell: u32) -> AdjudicateArgs {
        let path_at = self.w.leaf_bytes(&self.work, leaf).path_at;
        AdjudicateArgs {
            leaf,
            cell,
            leaf_at: HEAD,
            leaf_path_at: HEAD + path_at,
            openings: Vec::new(),
            inline: Vec::new(),
        }
    }

    fn step_ix(&self, by: &Actor, evidence: Pubkey, args: AdjudicateArgs) -> Instruction {
        ix::step_cell(by.id(), &self.task.job, &self.w.job(&self.task), 0, evidence, args)
    }

    fn step(&mut self, by: &Actor, evidence: Pubkey, leaf: u64, cell: u32) -> Result<(), Refusal> {
        let step = self.step_ix(by, evidence, self.args(leaf, cell));
        self.w.send(&[step], &[by]).map(|_| ())
    }

    fn header(&self, evidence: Pubkey) -> EvidenceHeader {
        let data = self.w.chain.data(&evidence).unwrap();
        bytemuck::pod_read_unaligned(&data[..EVIDENCE_HEADER_BYTES])
    }
}

#[test]
fn a_cell_is_answered_by_its_last_step() {
    let mut s = Stepped::new(&[]);
    let (renter, by) = (s.task.renter.clone(), s.alice.operator.clone());
    s.w.ok(&[ix::name_cells(renter.id(), &s.task.job, 0, vec![5])], &[&renter]);
    let evidence = s.upload(&by, "steps", 1);
    for n in 1..4u8 {
        s.says(more(n));
        assert_eq!(s.step(&by, evidence, 1, 1), Ok(()));
        let head = s.header(evidence);
        assert_eq!((head.stepping, head.steps, head.leaf, head.cell), (1, u64::from(n), 1, 1));
        assert_eq!((head.shard, head.state), (seeds::shard(&s.task.job, 0), [n; STEP_STATE_BYTES]));
        assert_eq!(s.w.shard(&s.task, 0).answered, 0, "nothing is judged yet");
    }
    s.says(done(&CELL));
    assert_eq!(s.step(&by, evidence, 1, 1), Ok(()));
    assert_eq!(s.w.shard(&s.task, 0).answered, 1 << 3);
    assert_eq!(s.header(evidence).stepping, 0, "the account is free for another cell");
    // Answered once. The next cell begins with a fresh state.
    assert_eq!(s.step(&by, evidence, 1, 1), Err(E::NotDemanded.into()));
    s.says(more(9));
    assert_eq!(s.step(&by, evidence, 1, 2), Ok(()));
    assert_eq!((s.header(evidence).steps, s.header(evidence).cell), (1, 2));
    s.w.ok(&[ix::close_evidence(by.id(), evidence)], &[&by]);
}

#[test]
fn a_wrong_cell_is_convicted_by_its_last_step() {
    let mut s = Stepped::new(&[5]);
    let stranger = s.w.stranger.clone();
    let evidence = s.upload(&stranger, "steps", 1);
    s.says(more(1));
    assert_eq!(s.step(&stranger, evidence, 1, 1), Ok(()));
    assert_eq!(s.w.shard(&s.task, 0).state(), Some(ShardState::Committed));
    s.says(done(&CELL));
    assert_eq!(s.step(&stranger, evidence, 1, 1), Ok(()));
    let shard = s.w.shard(&s.task, 0);
    assert_eq!((shard.state(), shard.bounty_to), (Some(ShardState::Slashed), stranger.id()));
    assert_eq!(s.step(&stranger, evidence, 1, 1), Err(E::WrongState.into()));
}

#[test]
fn a_state_belongs_to_one_cell_of_one_shard() {
    let mut s = Stepped::new(&[]);
    let by = s.w.stranger.clone();
    let evidence = s.upload(&by, "steps", 1);
    s.says(more(1));
    assert_eq!(s.step(&by, evidence, 1, 1), Ok(()));
    for (leaf, cell) in [(1, 2), (2, 1), (1, 0)] {
        assert_eq!(s.step(&by, evidence, leaf, cell), Err(E::OtherCell.into()));
    }
    // The same cell of another job's shard.
    let spec = s.task.spec.clone();
    let kernel = seeds::kernel(&s.verifier, 5);
    let renter = s.task.renter.clone();
    let request = s.w.request(&renter, &spec);
    let other = Task { job: seeds::job(&renter.id(), request.nonce), renter: renter.clone(), spec };
    s.w.ok(&[s.w.create_on_ix(&renter, &kernel, request)], &[&renter]);
    let bob = s.w.bob.clone();
    s.w.claim(&other, 0, &bob);
    let work = Work::of_bytes(&other, &s.w.job(&other).terms, 0, &bob.account, CELL.repeat(40));
    s.w.commit(&other, &bob, &work);
    let args = s.args(1, 1);
    let elsewhere = ix::step_cell(by.id(), &other.job, &s.w.job(&other), 0, evidence, args);
    s.w.refused(E::OtherCell, &[elsewhere], &[&by]);
    // Whoever wants to begin anew closes the account.
    let rent = s.w.chain.lamports(&evidence);
    let size = s.w.chain.data(&evidence).unwrap().len();
    let make = ix::create_evidence(by.id(), "steps", size as u64, rent).unwrap();
    s.w.ok(&[ix::close_evidence(by.id(), evidence), make[0].clone(), make[1].clone()], &[&by]);
    assert_eq!(s.header(evidence).steps, 0);
    assert_eq!(s.step(&by, evidence, 2, 1), Ok(()));
}

#[test]
fn steps_need_evidence_of_ones_own_and_a_shard_in_work() {
    let mut s = Stepped::new(&[]);
    let (by, watcher) = (s.w.stranger.clone(), s.w.watcher.clone());
    let evidence = s.upload(&by, "steps", 1);
    s.says(more(1));
    let step = s.step_ix(&by, evidence, s.args(1, 1));
    s.w.refused(E::WrongEvidenceOwner, &[swapped(&step, &by.id(), &watcher.id())], &[&watcher]);
    for account in [s.w.market, s.task.job, seeds::shard(&s.task.job, 0), by.tokens] {
        let refusal = s.w.send(&[swapped(&step, &evidence, &account)], &[&by]);
        assert!(refusal.is_err(), "{account} is no evidence");
    }
    s.w.refused(E::WrongVerifier, &[swapped(&step, &s.verifier, &assay_tests::world::VERIFIER)], &[&by]);
    let mut inline = s.args(1, 1);
    inline.inline = CELL.to_vec();
    inline.openings.push(OpeningArgs { source: SOURCE_LEAVES, start: 0, level: 0, at: 0, path_at: 0 });
    let refused = s.step_ix(&by, evidence, inline);
    s.w.refused(E::BadOpening, &[refused], &[&by]);
    s.w.ok(std::slice::from_ref(&step), &[&by]);
    s.w.accept(&s.task.clone(), 0);
    s.w.settle(&s.task.clone(), 0, &s.alice.clone());
    s.w.refused(E::WrongState, &[step], &[&by]);
}

#[test]
fn a_verifier_that_answers_nonsense_carries_nothing_on() {
    let mut s = Stepped::new(&[]);
    let by = s.w.stranger.clone();
    let evidence = s.upload(&by, "steps", 1);
    for says in [
        Says::Nothing,
        Says::Bytes(vec![2; 257]),
        Says::Bytes(vec![STEP_MORE; 256]),
        Says::Bytes(vec![STEP_MORE; 258]),
        Says::Bytes(vec![STEP_MORE]),
        done(&[1, 2, 3]),
        done(&[]),
        done(&[1, 2, 3, 4, 5]),
    ] {
        s.says(says.clone());
        assert_eq!(s.step(&by, evidence, 1, 1), Err(E::VerifierAnswer.into()), "{says:?}");
        assert_eq!(s.header(evidence).stepping, 0, "a refused step leaves no trace");
    }
    s.says(Says::Fails(9_005));
    assert_eq!(s.step(&by, evidence, 1, 1), Err(VerifierError::MissingOpening.into()));
}

#[test]
fn evidence_may_change_between_steps_and_is_authenticated_in_each() {
    let mut s = Stepped::new(&[]);
    let (renter, by) = (s.task.renter.clone(), s.alice.operator.clone());
    s.w.ok(&[ix::name_cells(renter.id(), &s.task.job, 0, vec![5])], &[&renter]);
    let evidence = s.upload(&by, "steps", 1);
    s.says(more(1));
    assert_eq!(s.step(&by, evidence, 1, 1), Ok(()));
    let at = u32::try_from(EVIDENCE_HEADER_BYTES).unwrap();
    s.w.ok(&[ix::write_evidence(by.id(), evidence, at, vec![7])], &[&by]);
    s.says(done(&CELL));
    assert_eq!(s.step(&by, evidence, 1, 1), Err(E::WrongPath.into()));
    // The state is out of reach of whoever writes the evidence.
    for offset in [0, 8, at - 256, at - 1] {
        s.w.refused(E::EvidenceBounds, &[ix::write_evidence(by.id(), evidence, offset, vec![0])], &[&by]);
    }
    s.w.ok(&[ix::write_evidence(by.id(), evidence, at, vec![1])], &[&by]);
    assert_eq!(s.step(&by, evidence, 1, 1), Ok(()));
}

#[test]
fn the_last_step_leaves_no_challenger_out() {
    let mut s = Stepped::new(&[5]);
    let (by, watcher) = (s.w.stranger.clone(), s.w.watcher.clone());
    let task = s.task.clone();
    s.w.challenge(&task, 0, 5, &watcher);
    let evidence = s.upload(&by, "steps", 1);
    let right = s.step_ix(&by, evidence, s.args(1, 1));
    // Before the last step nobody looks at the challenge.
    let mut without = right.clone();
    without.accounts[5].pubkey = assay_settlement::ID;
    without.accounts[5].is_writable = false;
    s.says(more(1));
    s.w.ok(std::slice::from_ref(&without), &[&by]);
    s.says(done(&CELL));
    s.w.refused(E::WrongChallenge, &[without], &[&by]);
    let other = swapped(&right, &s.w.challenge_key(&task, 0, 5), &s.w.challenge_key(&task, 0, 6));
    s.w.refused(E::WrongChallenge, &[other], &[&by]);
    s.w.ok(&[right], &[&by]);
    assert_eq!(s.w.shard(&task, 0).bounty_to, watcher.id());
    assert_eq!(s.w.challenge_data(&task, 0, 5).state(), Some(ChallengeState::Won));
}
