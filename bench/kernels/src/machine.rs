//! What it ran on.

use std::{fs::read_to_string, process::Command};

use serde_json::{Value, json};

/// A machine, its load and the time.
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Threads that it runs at once.
    pub threads: usize,
    /// What it can that matters here.
    pub features: Vec<&'static str>,
    /// Load average of the last minute.
    pub load: String,
    /// Name, driver and memory of the cards, as nvidia-smi says; none without it.
    pub cards: Vec<String>,
    /// UTC.
    pub date: String,
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}

impl Machine {
    /// This one, now.
    pub fn this() -> Self {
        let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let query = ["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"];
        Self {
            processor: name.map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.to_owned()),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            features: features(),
            load: read_to_string("/proc/loadavg")
                .ok()
                .and_then(|load| load.split(' ').next().map(str::to_owned))
                .unwrap_or_default(),
            cards: said("nvidia-smi", &query).map(|text| text.lines().map(str::to_owned).collect()).unwrap_or_default(),
            date: said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]).unwrap_or_default(),
        }
    }

    /// For people.
    pub fn sentence(&self) -> String {
        let features =
            if self.features.is_empty() { String::new() } else { format!(" ({})", self.features.join(", ")) };
        let cards = if self.cards.is_empty() { "no graphics card".to_owned() } else { self.cards.join("; ") };
        format!(
            "{}{features}, {} threads, load average {} before, {cards}, {}",
            self.processor, self.threads, self.load, self.date
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "processor": self.processor,
            "threads": self.threads,
            "features": self.features,
            "load_before": self.load,
            "cards": self.cards,
            "date": self.date,
        })
    }
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    let all = [
        ("SHA-NI", is_x86_feature_detected!("sha")),
        ("AVX2", is_x86_feature_detected!("avx2")),
        ("AVX-512F", is_x86_feature_detected!("avx512f")),
        ("AVX-512 VNNI", is_x86_feature_detected!("avx512vnni")),
    ];
    all.into_iter().filter(|(_, here)| *here).map(|(name, _)| name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    Vec::new()
}
