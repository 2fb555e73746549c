//! The memory limit: new work is refused before the machine kills the process.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use api::{Metrics, Traffic};
use stream::build::{BuildError, Growth};

/// How often the process looks at itself.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Per cent of the limit at which it is said once that it comes near.
const WARN_PER_CENT: u64 = 80;

/// How much memory the process may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Limit {
    /// So many bytes.
    Bytes(u64),
    /// So much of what the machine, or the container, has.
    PerCent(u64),
}

impl Default for Limit {
    fn default() -> Self {
        Self::PerCent(60)
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is no size: write such as `2GiB`, `512MiB`, or `60%` of the machine's memory")
        };
        let end = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let number = |digits: &str| digits.parse::<u64>().map_err(|_| wrong());
        let scale = u32::try_from(decimals.len()).ok().and_then(|it| 10_u64.checked_pow(it));
        let (whole, part, scale) = (number(whole)?, number(decimals)?, scale.ok_or_else(wrong)?);
        let bytes = |power: u32| {
            let part = (u128::from(part) << power) / u128::from(scale);
            let bytes = u64::try_from((u128::from(whole) << power) + part).ok();
            bytes.filter(|it| 0 < *it).map(Self::Bytes).ok_or_else(wrong)
        };
        match unit {
            "%" if (1..=100).contains(&whole) && part == 0 => Ok(Self::PerCent(whole)),
            "B" if part == 0 => bytes(0),
            "KiB" => bytes(10),
            "MiB" => bytes(20),
            "GiB" => bytes(30),
            "TiB" => bytes(40),
            _ => Err(wrong()),
        }
    }
}

impl Limit {
    /// In bytes; none where nobody says how much the machine has.
    pub(super) fn bytes(self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::PerCent(part) => Some(available()? / 100 * part),
        }
    }
}

/// What the machine has, or the container may take, whichever is less.
fn available() -> Option<u64> {
    let machine = kib_of(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")?;
    let container =
        std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|it| it.trim().parse().ok());
    Some(container.unwrap_or(u64::MAX).min(machine))
}

/// What the process takes.
fn resident() -> Option<u64> {
    kib_of(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// The bytes that a line such as `VmRSS:  123 kB` says.
fn kib_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|it| it.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Whether there is room for the state of a rule set that would be built.
///
/// # Errors
/// If it would pass the limit.
pub(super) fn make_room(limit: Limit, growth: Growth) -> Result<(), BuildError> {
    let needed = growth.building.max(growth.later);
    match limit.bytes().zip(resident()) {
        Some((limit, in_use)) if limit < in_use.saturating_add(needed) => {
            Err(BuildError::Memory { needed, in_use, limit })
        }
        // Where nobody says how much there is, nothing is known to be too much.
        _ => Ok(()),
    }
}

/// That there is room for anything at all; asked while nothing is in the state.
///
/// # Errors
/// If the process takes as much already: all work would be refused, whatever is done.
pub(super) fn check_room(limit: Limit) -> anyhow::Result<()> {
    match limit.bytes().zip(resident()) {
        Some((limit, in_use)) if limit <= in_use => anyhow::bail!(
            "`--memory` is {}, and the process takes {} before it has done anything: give it more",
            mebibytes(limit),
            mebibytes(in_use)
        ),
        _ => Ok(()),
    }
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// Watches for as long as the server runs.
pub(super) async fn watch(limit: Limit, traffic: Arc<Traffic>, metrics: Arc<Metrics>) {
    let Some(limit) = limit.bytes() else {
        tracing::warn!("the system does not say how much memory there is: `--memory` does not count");
        return;
    };
    metrics.memory_limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let mut warned = false;
    loop {
        ticks.tick().await;
        // Told at one look and not at the next: as when no file can be opened just then.
        let Some(taken) = resident() else { continue };
        metrics.resident.set(i64::try_from(taken).unwrap_or(i64::MAX));
        let near = limit / 100 * WARN_PER_CENT <= taken;
        if near && !warned {
            tracing::warn!(taken, limit, "{WARN_PER_CENT} % of the memory limit is taken");
        }
        warned = near;
        traffic.set_memory_full(limit <= taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let check = |text: &str, expected: Option<Limit>| assert_eq!(text.parse().ok(), expected, "{text}");
        check("2GiB", Some(Limit::Bytes(2 << 30)));
        check("512MiB", Some(Limit::Bytes(512 << 20)));
        check("1TiB", Some(Limit::Bytes(1 << 40)));
        check("1.5GiB", Some(Limit::Bytes(3 << 29)));
        check("0.25KiB", Some(Limit::Bytes(256)));
        check("4096B", Some(Limit::Bytes(4096)));
        check("60%", Some(Limit::PerCent(60)));
        let wrong = ["", "2", "GiB", "0GiB", "0%", "101%", "2 GiB", "-1GiB", "2PiB", "99999999999999GiB"];
        let odd = ["1.GiB", ".5GiB", "1.2.3GiB", "1.5B", "1.5%", "0.0GiB", "1.00000000000000000000001GiB"];
        wrong.into_iter().chain(odd).for_each(|it| check(it, None));
    }

    #[test]
    fn what_would_pass_the_limit_is_refused_with_the_numbers() {
        let growth = |building, later| Growth { building, later };
        let limit = Limit::Bytes(1 << 40);
        assert!(make_room(limit, growth(1 << 20, 0)).is_ok());
        for growth in [growth(1 << 41, 0), growth(0, 1 << 41)] {
            let refused = make_room(limit, growth);
            let numbers = matches!(refused, Err(BuildError::Memory { needed, in_use, limit: 0x100_0000_0000 })
                if needed == 1 << 41 && 0 < in_use);
            assert!(numbers || resident().is_none(), "{refused:?}");
        }
    }

    #[test]
    fn a_limit_below_what_the_empty_process_takes_is_refused() {
        assert!(check_room(Limit::Bytes(1 << 40)).is_ok());
        assert!(check_room(Limit::Bytes(1)).is_err() || resident().is_none());
        assert_eq!(mebibytes(20 << 20 | 300 << 10), "20.2 MiB");
    }

    #[test]
    fn lines_of_the_system() {
        assert_eq!(kib_of("Name:\tweir\nVmRSS:\t    12 kB\n", "VmRSS:"), Some(12 * 1024));
        assert_eq!(kib_of("VmRSS:\t12 pages\n", "VmRSS:"), None);
        assert!(resident().is_none_or(|it| 0 < it));
    }
}
