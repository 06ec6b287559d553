//! How a device process is started: which program, and next to nothing of this process's environment.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::{Command, Stdio},
};

/// What a driver needs of the environment: where its libraries are, which cards it shows, where it keeps what it
/// compiled. Nothing else is handed down.
const HANDED_DOWN: [&str; 8] = [
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "CUDA_CACHE_PATH",
    "CUDA_CACHE_MAXSIZE",
    "CUDA_MODULE_LOADING",
    "RAYON_NUM_THREADS",
    "TMPDIR",
];
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";
const ORDER: &str = "CUDA_DEVICE_ORDER";
const CACHE: &str = "CUDA_CACHE_PATH";

/// A program that serves as a device process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The file.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its environment: all of it.
    pub environment: BTreeMap<OsString, OsString>,
    /// Whether what it writes to stderr is thrown away.
    pub quiet: bool,
}

impl Program {
    /// This very program with these arguments, and of its environment what a driver needs.
    ///
    /// # Errors
    /// The system does not tell which program this is.
    pub fn this(args: impl IntoIterator<Item = impl Into<OsString>>) -> std::io::Result<Self> {
        // On Linux this is the running program even after another was put in its place.
        let running = PathBuf::from("/proc/self/exe");
        let path = if cfg!(target_os = "linux") && running.exists() { running } else { env::current_exe()? };
        Ok(Self::at(path, args))
    }

    /// A program with these arguments, and of this process's environment what a driver needs.
    pub fn at(path: impl Into<PathBuf>, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Self { path: path.into(), args, environment: handed_down(|name| env::var_os(name)), quiet: false }
    }

    /// The same program for the card with this number among those that are visible.
    #[must_use]
    pub fn for_card(mut self, number: usize) -> Self {
        let name = {
            let visible = self.environment.get(OsStr::new(VISIBLE)).and_then(|cards| cards.to_str());
            let of_those = visible.and_then(|cards| cards.split(',').nth(number)).map(|card| card.trim().to_owned());
            of_those.filter(|card| !card.is_empty()).unwrap_or_else(|| number.to_string())
        };
        self.environment.insert(VISIBLE.into(), name.into());
        self
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.args).env_clear().envs(&self.environment);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(if self.quiet { Stdio::null() } else { Stdio::inherit() });
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt;
            // Ctrl-C is for this process, which then finishes what it owes.
            command.process_group(0);
        }
        command
    }
}

fn handed_down(get: impl Fn(&str) -> Option<OsString>) -> BTreeMap<OsString, OsString> {
    let mut environment: BTreeMap<OsString, OsString> =
        HANDED_DOWN.iter().filter_map(|name| Some((OsString::from(name), get(name)?))).collect();
    // As nvidia-smi counts them; the driver's own order is by speed.
    environment.entry(ORDER.into()).or_insert_with(|| "PCI_BUS_ID".into());
    if let Some(home) = get("HOME").map(PathBuf::from) {
        let cache = || home.join(".nv").join("ComputeCache").into_os_string();
        environment.entry(CACHE.into()).or_insert_with(cache);
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_down_what_a_driver_needs_and_no_secret() {
        let ours = [("ASSAY_KEYPAIR", "/keys/id.json"), ("HOME", "/a"), ("LD_LIBRARY_PATH", "/cuda"), ("TOKEN", "x")];
        let get = |name: &str| ours.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        let environment = handed_down(get);
        let names: Vec<&str> = environment.keys().filter_map(|name| name.to_str()).collect();
        assert_eq!(names, ["CUDA_CACHE_PATH", "CUDA_DEVICE_ORDER", "LD_LIBRARY_PATH"]);
        assert_eq!(environment[OsStr::new(CACHE)], "/a/.nv/ComputeCache");
    }

    #[test]
    fn cards_are_those_that_the_operator_lets_be_seen() {
        let visible = |cards: &str| {
            let mut program = Program::at("x", ["y"]);
            program.environment.insert(VISIBLE.into(), cards.into());
            program
        };
        let of = |program: Program, number| program.for_card(number).environment[OsStr::new(VISIBLE)].clone();
        assert_eq!((of(visible("3, GPU-ab"), 0), of(visible("3, GPU-ab"), 1)), ("3".into(), "GPU-ab".into()));
        let mut all = visible("");
        all.environment.remove(OsStr::new(VISIBLE));
        assert_eq!((of(all.clone(), 0), of(all, 5)), ("0".into(), "5".into()));
    }
}
