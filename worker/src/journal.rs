//! What this worker owes, in SQLite: written down before each send, read back after a crash. Where journal and chain
//! disagree the chain is right; what the journal adds is which claims were tried, where result files lie, and which
//! evidence accounts hold lamports.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use assay_settlement::rules::draw::Place;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use solana_pubkey::Pubkey;
use solana_signature::Signature;

use crate::{
    error::{Result, WorkerError},
    events::ShardRef,
};

/// Newest schema. Each step of the migration is one entry of `SCHEMA`.
const VERSION: i64 = 2;
const SCHEMA: [&str; 2] = [
    "
    CREATE TABLE obligations (
        job BLOB NOT NULL CHECK (length(job) = 32),
        idx INTEGER NOT NULL,
        shard BLOB NOT NULL UNIQUE CHECK (length(shard) = 32),
        state INTEGER NOT NULL,
        price INTEGER NOT NULL DEFAULT 0,
        root BLOB CHECK (root IS NULL OR length(root) = 32),
        action TEXT,
        signature BLOB CHECK (signature IS NULL OR length(signature) = 64),
        last_valid INTEGER,
        opened_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        PRIMARY KEY (job, idx)
    ) STRICT;
    CREATE INDEX obligations_by_state ON obligations (state, opened_at);
    CREATE TABLE evidence (
        address BLOB PRIMARY KEY CHECK (length(address) = 32),
        shard BLOB NOT NULL CHECK (length(shard) = 32),
        leaf INTEGER NOT NULL,
        cell INTEGER NOT NULL,
        made_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX evidence_by_cell ON evidence (shard, leaf, cell);
",
    "
    ALTER TABLE obligations ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE losses (
        job BLOB NOT NULL CHECK (length(job) = 32),
        shard BLOB NOT NULL CHECK (length(shard) = 32),
        at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX losses_by_job ON losses (job);
    CREATE INDEX losses_by_time ON losses (at);
    CREATE TABLE probe (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL) STRICT;
",
];

/// Where an obligation is, as far as this worker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// A claim was or is being sent; whether it is ours the chain says.
    Claiming = 0,
    /// Ours to compute.
    Claimed = 1,
    /// The result lies on disk under its root; not known to be committed.
    Computed = 2,
    /// The root is on the chain.
    Committed = 3,
    /// The cells are drawn.
    Sampled = 4,
    /// Paid. Final.
    Settled = 5,
    /// Convicted. Final.
    Slashed = 6,
    /// Not ours any more, or never was: released, expired, lost to another. Final.
    GivenBack = 7,
}

impl State {
    /// All states.
    pub const ALL: [Self; 8] = [
        Self::Claiming,
        Self::Claimed,
        Self::Computed,
        Self::Committed,
        Self::Sampled,
        Self::Settled,
        Self::Slashed,
        Self::GivenBack,
    ];

    /// Whether nothing is left to do.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Settled | Self::Slashed | Self::GivenBack)
    }

    /// Whether it may become `next`. A given-back shard may be claimed anew; a settled or slashed one stays.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            _ if self == next => true,
            Self::Settled | Self::Slashed => false,
            Self::GivenBack => next == Self::Claiming || next == Self::Claimed,
            _ => next > self,
        }
    }

    fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| i64::from(*state as u8) == code)
    }
}

/// One row: what this worker owes for one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obligation {
    /// Which shard.
    pub shard: ShardRef,
    /// Where it is.
    pub state: State,
    /// Price of the claim, base units; 0 while it is not known.
    pub price: u64,
    /// Root of the result on disk.
    pub root: Option<[u8; 32]>,
    /// The transaction sent last for it.
    pub last: Option<Sent>,
    /// When the claim was tried or found, unix seconds of this machine.
    pub opened_at: i64,
    /// Computations that were begun and did not end, not even with an error: the process died in them.
    pub attempts: u32,
}

/// A transaction that was about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its purpose.
    pub action: String,
    /// Its signature.
    pub signature: Signature,
    /// Last block height at which it can land.
    pub last_valid: u64,
}

/// The journal; cheap to clone.
#[derive(Clone)]
pub struct Journal {
    connection: Arc<Mutex<Connection>>,
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

const COLUMNS: &str = "job, idx, shard, state, price, root, action, signature, last_valid, opened_at, attempts";

fn read(row: &Row) -> rusqlite::Result<Obligation> {
    let code: i64 = row.get(3)?;
    let state = State::from_code(code).ok_or(rusqlite::Error::IntegralValueOutOfRange(3, code))?;
    let signature: Option<[u8; 64]> = row.get(7)?;
    let last = match (row.get::<_, Option<String>>(6)?, signature, row.get::<_, Option<i64>>(8)?) {
        (Some(action), Some(signature), Some(last_valid)) => {
            Some(Sent { action, signature: Signature::from(signature), last_valid: unsigned(last_valid) })
        }
        _ => None,
    };
    Ok(Obligation {
        shard: ShardRef {
            job: Pubkey::new_from_array(row.get(0)?),
            index: row.get(1)?,
            shard: Pubkey::new_from_array(row.get(2)?),
        },
        state,
        price: unsigned(row.get(4)?),
        root: row.get(5)?,
        last,
        opened_at: row.get(9)?,
        attempts: row.get(10)?,
    })
}

impl Journal {
    /// Opens or makes the journal at `path` and brings it to this version's schema.
    ///
    /// # Errors
    /// [`WorkerError::Journal`], [`WorkerError::JournalVersion`].
    pub fn open(path: &Path) -> Result<Self> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        // FULL: a transaction that returned is on disk even when the power fails a moment later.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let done = usize::try_from(found).ok().filter(|_| found <= VERSION);
        let missing =
            done.and_then(|done| SCHEMA.get(done..)).ok_or(WorkerError::JournalVersion { found, known: VERSION })?;
        for step in missing {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    /// A panic elsewhere can't leave the connection half written: SQLite rolls back what was not committed.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down that `shard` is, or is about to be, an obligation in `state` (Claiming or Claimed). A row that is
    /// given back begins anew; any other that exists stays as it is. True when the row is in `state` now.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn open_obligation(&self, shard: &ShardRef, state: State, price: u64) -> Result<bool> {
        let now = unix_now();
        let changed = self.lock().execute(
            "INSERT INTO obligations (job, idx, shard, state, price, opened_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
             ON CONFLICT (job, idx) DO UPDATE SET
                state = excluded.state, price = excluded.price, action = NULL, signature = NULL, last_valid = NULL,
                opened_at = excluded.opened_at, updated_at = excluded.updated_at, attempts = 0
             WHERE obligations.state = ?7",
            params![
                shard.job.as_array(),
                shard.index,
                shard.shard.as_array(),
                state as u8,
                signed(price),
                now,
                State::GivenBack as u8
            ],
        )?;
        Ok(changed > 0)
    }

    /// Moves an obligation on. False, and nothing changed, where the row is missing or may not become `next`. A claim
    /// that ends without a commitment is counted as lost.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn advance(&self, shard: &Pubkey, next: State) -> Result<bool> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let row: Option<(i64, [u8; 32])> = transaction
            .query_row("SELECT state, job FROM obligations WHERE shard = ?1", [shard.as_array()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let found = row.and_then(|(state, job)| Some((State::from_code(state)?, job)));
        let allowed = found.is_some_and(|(state, _)| state.may_become(next));
        if let Some((state, job)) = found
            && allowed
        {
            if next == State::GivenBack && matches!(state, State::Claimed | State::Computed) {
                transaction.execute(
                    "INSERT INTO losses (job, shard, at) VALUES (?1, ?2, ?3)",
                    params![job, shard.as_array(), unix_now()],
                )?;
            }
            transaction.execute(
                "UPDATE obligations SET state = ?2, updated_at = ?3 WHERE shard = ?1",
                params![shard.as_array(), next as u8, unix_now()],
            )?;
        }
        transaction.commit()?;
        Ok(allowed)
    }

    /// Claims of a job that were ours and ended without a commitment.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn losses_of(&self, job: &Pubkey) -> Result<u64> {
        let count: i64 = self
            .lock()
            .prepare_cached("SELECT count(*) FROM losses WHERE job = ?1")?
            .query_row([job.as_array()], |row| row.get(0))?;
        Ok(unsigned(count))
    }

    /// Claims of all jobs that ended without a commitment in the last `age`.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn losses_within(&self, age: Duration) -> Result<u64> {
        let since = unix_now().saturating_sub(signed(age.as_secs()));
        let count: i64 = self
            .lock()
            .prepare_cached("SELECT count(*) FROM losses WHERE at > ?1")?
            .query_row([since], |row| row.get(0))?;
        Ok(unsigned(count))
    }

    /// A computation begins; written down first, so that one that ends the process is seen at the next start.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn begin_attempt(&self, shard: &Pubkey) -> Result<()> {
        self.lock().execute("UPDATE obligations SET attempts = attempts + 1 WHERE shard = ?1", [shard.as_array()])?;
        Ok(())
    }

    /// A computation ended in order: with a result, with an error, or because the worker stops.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn end_attempt(&self, shard: &Pubkey) -> Result<()> {
        self.lock()
            .execute("UPDATE obligations SET attempts = max(attempts - 1, 0) WHERE shard = ?1", [shard.as_array()])?;
        Ok(())
    }

    /// Writes something of no meaning, to see whether writing works (again).
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn probe(&self) -> Result<()> {
        self.lock().execute("INSERT OR REPLACE INTO probe (one, at) VALUES (1, ?1)", [unix_now()])?;
        Ok(())
    }

    /// The price of a claim, known from the chain.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn set_price(&self, shard: &Pubkey, price: u64) -> Result<()> {
        self.lock()
            .execute("UPDATE obligations SET price = ?2 WHERE shard = ?1", params![shard.as_array(), signed(price)])?;
        Ok(())
    }

    /// Writes down the root of the result that lies on disk, before anything is committed.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn set_root(&self, shard: &Pubkey, root: &[u8; 32]) -> Result<()> {
        self.lock().execute(
            "UPDATE obligations SET root = ?2, updated_at = ?3 WHERE shard = ?1",
            params![shard.as_array(), root, unix_now()],
        )?;
        Ok(())
    }

    /// Writes down a transaction for a shard before it is sent.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn set_sent(&self, shard: &Pubkey, sent: &Sent) -> Result<()> {
        self.lock().execute(
            "UPDATE obligations SET action = ?2, signature = ?3, last_valid = ?4, updated_at = ?5 WHERE shard = ?1",
            params![shard.as_array(), sent.action, sent.signature.as_array(), signed(sent.last_valid), unix_now()],
        )?;
        Ok(())
    }

    /// The row of a shard.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn get(&self, shard: &Pubkey) -> Result<Option<Obligation>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached(&format!("SELECT {COLUMNS} FROM obligations WHERE shard = ?1"))?;
        Ok(statement.query_row([shard.as_array()], read).optional()?)
    }

    /// Everything that is not final, the oldest first.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn unfinished(&self) -> Result<Vec<Obligation>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM obligations WHERE state < {} ORDER BY opened_at, job, idx",
            State::Settled as u8
        ))?;
        let rows = statement.query_map([], read)?.collect::<rusqlite::Result<_>>()?;
        Ok(rows)
    }

    /// Shards that have been final for longer than `age`: their results need not be kept.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn finished_before(&self, age: Duration) -> Result<Vec<Pubkey>> {
        let limit = unix_now().saturating_sub(signed(age.as_secs()));
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT shard FROM obligations WHERE state >= ?1 AND updated_at < ?2 AND root IS NOT NULL",
        )?;
        let rows = statement
            .query_map(params![State::Settled as u8, limit], |row| Ok(Pubkey::new_from_array(row.get(0)?)))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(rows)
    }

    /// Forgets the root of a result that is not on disk any more.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn forget_result(&self, shard: &Pubkey) -> Result<()> {
        self.lock().execute("UPDATE obligations SET root = NULL WHERE shard = ?1", [shard.as_array()])?;
        Ok(())
    }

    /// Writes down an evidence account for a cell before it is made, so that it, and its lamports, are found again.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn open_evidence(&self, address: &Pubkey, shard: &Pubkey, place: &Place) -> Result<()> {
        self.lock().execute(
            "INSERT INTO evidence (address, shard, leaf, cell, made_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![address.as_array(), shard.as_array(), signed(place.leaf), place.cell, unix_now()],
        )?;
        Ok(())
    }

    /// The newest evidence account for a cell that may exist.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn evidence_for(&self, shard: &Pubkey, place: &Place) -> Result<Option<Pubkey>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT address FROM evidence WHERE shard = ?1 AND leaf = ?2 AND cell = ?3 ORDER BY made_at DESC, rowid DESC LIMIT 1",
        )?;
        let found = statement
            .query_row(params![shard.as_array(), signed(place.leaf), place.cell], |row| row.get(0))
            .optional()?;
        Ok(found.map(Pubkey::new_from_array))
    }

    /// An evidence account is closed, or was never made.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn close_evidence(&self, address: &Pubkey) -> Result<()> {
        self.lock().execute("DELETE FROM evidence WHERE address = ?1", [address.as_array()])?;
        Ok(())
    }

    /// Evidence accounts that may exist, with their shards.
    ///
    /// # Errors
    /// [`WorkerError::Journal`].
    pub fn evidence(&self) -> Result<Vec<(Pubkey, Pubkey)>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT address, shard FROM evidence ORDER BY made_at, address")?;
        let rows = statement
            .query_map([], |row| Ok((Pubkey::new_from_array(row.get(0)?), Pubkey::new_from_array(row.get(1)?))))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(rows)
    }
}
