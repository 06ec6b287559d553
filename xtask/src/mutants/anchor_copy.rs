//! A copy of the two Anchor crates that check accounts, changed so that each check asks `hook.rs` before it refuses.
//! Made in the target folder from what cargo downloaded, for the build with the feature `mutants` alone.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    run::{cargo, output},
    sbf::files::{self, Make, Mark},
};

/// What is compiled into the copy of `anchor-lang`.
const HOOK: &str = include_str!("hook.rs");

/// A change of a file: the text `from`, which stands there `times` times, becomes `to`.
#[derive(Debug)]
struct Change {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    times: usize,
}

/// The account types (`Signer`, `AccountLoader`, `Program`). Their `try_accounts` gets the site in `ix_data`.
const LANG: [Change; 12] = [
    Change { file: "src/accounts/signer.rs", from: "        _ix_data: &[u8],", to: "        site: &[u8],", times: 1 },
    Change {
        file: "src/accounts/signer.rs",
        from: "        Signer::try_from(account)\n",
        to: r"        if !account.is_signer && crate::mutants::is_off(site, crate::mutants::SIGNER) {
            return Ok(Signer::new(account));
        }
        Signer::try_from(account)
",
        times: 1,
    },
    Change {
        file: "src/accounts/account_loader.rs",
        from: "    phantom: PhantomData<&'info T>,\n",
        to: "    phantom: PhantomData<&'info T>,\n    site: [u8; 8],\n",
        times: 1,
    },
    Change {
        file: "src/accounts/account_loader.rs",
        from: "            phantom: PhantomData,\n",
        to: "            phantom: PhantomData,\n            site: [0; 8],\n",
        times: 1,
    },
    Change {
        file: "src/accounts/account_loader.rs",
        from: r"    pub fn try_from(acc_info: &'info AccountInfo<'info>) -> Result<AccountLoader<'info, T>> {
        if acc_info.owner != &T::owner() {",
        to: r"    pub fn try_from(acc_info: &'info AccountInfo<'info>) -> Result<AccountLoader<'info, T>> {
        Self::try_at(acc_info, [0; 8])
    }

    #[inline(never)]
    fn try_at(acc_info: &'info AccountInfo<'info>, site: [u8; 8]) -> Result<AccountLoader<'info, T>> {
        if acc_info.owner != &T::owner() && !crate::mutants::is_off(&site, crate::mutants::OWNER) {",
        times: 1,
    },
    // The discriminator is compared here and again by `load` and `load_mut`: one check, written three times.
    Change {
        file: "src/accounts/account_loader.rs",
        from: r"        if given_disc != disc {
            return Err(ErrorCode::AccountDiscriminatorMismatch.into());
        }

        Ok(AccountLoader::new_unchecked(acc_info))",
        to: r"        if given_disc != disc && !crate::mutants::is_off(&site, crate::mutants::TYPE) {
            return Err(ErrorCode::AccountDiscriminatorMismatch.into());
        }

        Ok(AccountLoader { acc_info, phantom: PhantomData, site })",
        times: 1,
    },
    Change {
        file: "src/accounts/account_loader.rs",
        from: "        if given_disc != disc {\n",
        to: "        if given_disc != disc && !crate::mutants::is_off(&self.site, crate::mutants::TYPE) {\n",
        times: 2,
    },
    Change {
        file: "src/accounts/account_loader.rs",
        from: "        _ix_data: &[u8],",
        to: "        site: &[u8],",
        times: 1,
    },
    Change {
        file: "src/accounts/account_loader.rs",
        from: "        let l = AccountLoader::try_from(account)?;",
        to: "        let l = AccountLoader::try_at(account, site.try_into().unwrap_or_default())?;",
        times: 1,
    },
    // The first of the two implementations is the one for a certain program, the other takes any.
    Change {
        file: "src/accounts/program.rs",
        from: r"impl<'info, B, T: Id> Accounts<'info, B> for Program<'info, T> {
    #[inline(never)]
    fn try_accounts(
        _program_id: &Pubkey,
        accounts: &mut &'info [AccountInfo<'info>],
        _ix_data: &[u8],
        _bumps: &mut B,
        _reallocs: &mut BTreeSet<Pubkey>,
    ) -> Result<Self> {
        if accounts.is_empty() {
            return Err(ErrorCode::AccountNotEnoughKeys.into());
        }
        let account = &accounts[0];
        *accounts = &accounts[1..];
",
        to: r"impl<'info, B, T: Id> Accounts<'info, B> for Program<'info, T> {
    #[inline(never)]
    fn try_accounts(
        _program_id: &Pubkey,
        accounts: &mut &'info [AccountInfo<'info>],
        site: &[u8],
        _bumps: &mut B,
        _reallocs: &mut BTreeSet<Pubkey>,
    ) -> Result<Self> {
        if accounts.is_empty() {
            return Err(ErrorCode::AccountNotEnoughKeys.into());
        }
        let account = &accounts[0];
        *accounts = &accounts[1..];
        if account.key != &T::id() && crate::mutants::is_off(site, crate::mutants::PROGRAM) {
            return Ok(Program::new(account));
        }
",
        times: 1,
    },
    Change { file: "src/lib.rs", from: "pub mod accounts;\n", to: "pub mod accounts;\npub mod mutants;\n", times: 1 },
    Change { file: "Cargo.toml", from: "[package]\n", to: "[workspace]\n\n[package]\n", times: 1 },
];

/// What `#[derive(Accounts)]` writes: the site for each account type, and the constraints `seeds` and `owner`.
const SYN: [Change; 7] = [
    Change {
        file: "src/codegen/accounts/try_accounts.rs",
        from: "                // Deserialize instruction, if declared.\n",
        to: "                let __mutant = anchor_lang::mutants::instruction(#ix_data);\n",
        times: 1,
    },
    Change {
        file: "src/codegen/accounts/try_accounts.rs",
        from: "try_accounts(#program_id, #accounts, #ix_data, #bumps, #reallocs)",
        to: r"try_accounts(#program_id, #accounts,
                                &anchor_lang::mutants::site(__mutant, const { anchor_lang::mutants::name_hash(#name) }),
                                #bumps, #reallocs)",
        times: 1,
    },
    Change {
        file: "src/codegen/accounts/constraints.rs",
        from: "                        if #field.key() != #pda_address {",
        to: "                        if #field.key() != #pda_address && !anchor_lang::mutants::at(__mutant, #name_str, anchor_lang::mutants::SEEDS) {",
        times: 3,
    },
    Change {
        file: "src/codegen/accounts/constraints.rs",
        from: "            if #name.key() != #pda_address {",
        to: "            if #name.key() != #pda_address && !anchor_lang::mutants::at(__mutant, #name_str, anchor_lang::mutants::SEEDS) {",
        times: 1,
    },
    Change {
        file: "src/codegen/accounts/constraints.rs",
        from: "    let owner_address = &c.owner_address;\n",
        to: "    let owner_address = &c.owner_address;\n    let name_str = ident.to_string();\n",
        times: 1,
    },
    Change {
        file: "src/codegen/accounts/constraints.rs",
        from: "            if #my_owner != &#expected_owner {",
        to: "            if #my_owner != &#expected_owner && !anchor_lang::mutants::at(__mutant, #name_str, anchor_lang::mutants::OWNER) {",
        times: 1,
    },
    Change { file: "Cargo.toml", from: "[package]\n", to: "[workspace]\n\n[package]\n", times: 1 },
];

/// Makes the copies in `folder` and returns the arguments with which cargo builds with them.
pub fn make(workspace: &Path, folder: &Path) -> Result<Vec<OsString>> {
    let (lang, syn) = (folder.join("anchor-lang"), folder.join("anchor-syn"));
    let mut metadata = cargo();
    let text = output(metadata.args(["metadata", "--locked", "--format-version", "1"]).current_dir(workspace))?;
    let metadata: Value = serde_json::from_str(&text).context("what cargo says of the workspace")?;
    let mut arguments = Vec::new();
    let crates = [("anchor-lang", &lang, &LANG[..]), ("anchor-syn", &syn, &SYN[..])];
    let sources: Vec<_> = crates.iter().map(|(name, _, _)| downloaded(&metadata, name)).collect::<Result<_>>()?;
    // New files would be compiled anew.
    let mark = Mark::new(folder, "anchor", &format!("{sources:?} {LANG:?} {SYN:?} {HOOK}"));
    if !mark.is_set() {
        mark.clear()?;
        for ((name, copy, changes), source) in crates.iter().zip(&sources) {
            files::remove(copy)?;
            files::tree(source, copy, Make::Copy, &|_| false)?;
            for change in *changes {
                apply(copy, change).with_context(|| format!("{name} is not the version that this was written for"))?;
            }
            // Its own warnings are nobody's here.
            let root = copy.join("src/lib.rs");
            files::write(&root, &[b"#![allow(warnings)]\n".to_vec(), files::read(&root)?].concat())?;
        }
        files::write(&lang.join("src/mutants.rs"), HOOK.as_bytes())?;
        mark.set()?;
    }
    for (name, copy, _) in crates {
        let path = copy.to_str().context("a path is no UTF-8")?;
        arguments.extend(["--config".into(), format!("patch.crates-io.{name}.path='{path}'").into()]);
    }
    // Cargo.lock names the crates' source: the build has a copy of it to change.
    let lock = folder.join("Cargo.lock");
    files::write(&lock, &files::read(&workspace.join("Cargo.lock"))?)?;
    let lock = lock.to_str().context("a path is no UTF-8")?;
    arguments.extend(["-Zlockfile-path".into(), "--config".into(), format!("resolver.lockfile-path='{lock}'").into()]);
    Ok(arguments)
}

/// Where cargo keeps the sources of a package of the workspace's dependencies.
fn downloaded(metadata: &Value, name: &str) -> Result<PathBuf> {
    let packages = metadata["packages"].as_array().context("cargo names no packages")?;
    let manifests: Vec<_> =
        packages.iter().filter(|p| p["name"] == name).filter_map(|p| p["manifest_path"].as_str()).collect();
    let [manifest] = manifests.as_slice() else {
        bail!("{} versions of {name}", manifests.len());
    };
    Ok(Path::new(manifest).parent().context("a manifest without a folder")?.to_path_buf())
}

fn apply(copy: &Path, change: &Change) -> Result<()> {
    let file = copy.join(change.file);
    let text = String::from_utf8(files::read(&file)?).with_context(|| format!("{} is no text", change.file))?;
    let found = text.matches(change.from).count();
    if found != change.times {
        bail!("{}: {found} times instead of {}: {}", change.file, change.times, change.from);
    }
    files::write(&file, text.replace(change.from, change.to).as_bytes())
}
