//! Which faults fall into which cycles.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::stop::Stop;

/// A scenario file. Example:
///
/// ```toml
/// seed = 7
///
/// [[fault]]
/// kind = "drop"
/// at = [5, 6]
///
/// [[fault]]
/// kind = "late"
/// delay_ms = 60.0
/// every = 50
/// ```
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    fault: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kind: Name,
    #[serde(default)]
    at: Vec<u32>,
    every: Option<u32>,
    delay_ms: Option<f64>,
    bits: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Name {
    Drop,
    Repeat,
    Late,
    Overrun,
    Nan,
    Flip,
}

/// What is done to a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// It never comes.
    Drop,
    /// The frame before comes again in its place.
    Repeat,
    /// Its scores come so much later.
    Late(Duration),
    /// Its certificate takes so much longer.
    Overrun(Duration),
    /// The forward pass gives a NaN.
    Nan,
    /// So many different bits of the logits flip on the way from the forward pass to the certifier.
    Flip(u32),
}

/// A checked scenario.
#[derive(Debug, Default)]
pub(crate) struct Scenario {
    /// Start of the random numbers that choose logits and bits.
    pub(crate) seed: u64,
    faults: Vec<Fault>,
}

#[derive(Debug)]
struct Fault {
    kind: Kind,
    /// Cycles, from 0, in order.
    at: Vec<u32>,
    /// Every so many cycles, first at `every` itself.
    every: Option<u32>,
}

impl Kind {
    pub(crate) const NAMES: [&str; 6] = ["drop", "repeat", "late", "overrun", "nan", "flip"];

    /// Its place in [`NAMES`](Self::NAMES).
    pub(crate) fn index(&self) -> usize {
        match self {
            Kind::Drop => 0,
            Kind::Repeat => 1,
            Kind::Late(_) => 2,
            Kind::Overrun(_) => 3,
            Kind::Nan => 4,
            Kind::Flip(_) => 5,
        }
    }

    /// As in the scenario.
    pub(crate) fn name(&self) -> &'static str {
        Kind::NAMES.get(self.index()).copied().unwrap_or_default()
    }

    /// Whether the loop must answer with a fault. A delay within the deadline is none.
    pub(crate) fn must_be_detected(&self, deadline: Duration) -> bool {
        match self {
            Kind::Late(delay) | Kind::Overrun(delay) => *delay > deadline,
            _ => true,
        }
    }
}

impl Entry {
    /// Checks what the kind needs and allows.
    fn check(self) -> Result<Fault, &'static str> {
        if self.at.is_empty() && self.every.is_none() {
            return Err("says neither `at = [cycles]` nor `every = cycles`");
        }
        if self.every == Some(0) {
            return Err("`every` must be 1 or more");
        }
        let delayed = matches!(self.kind, Name::Late | Name::Overrun);
        if !delayed && self.delay_ms.is_some() {
            return Err("`delay_ms` belongs to `late` and `overrun` only");
        }
        if !matches!(self.kind, Name::Flip) && self.bits.is_some() {
            return Err("`bits` belongs to `flip` only");
        }
        if matches!(self.kind, Name::Repeat) && self.at.contains(&0) {
            return Err("there is no frame before cycle 0 to repeat");
        }
        let delay = || {
            let ms = self.delay_ms.ok_or("needs `delay_ms`")?;
            Duration::try_from_secs_f64(ms / 1e3)
                .ok()
                .filter(|delay| !delay.is_zero() && *delay <= LONGEST)
                .ok_or("`delay_ms` must be above 0 and at most an hour")
        };
        let kind = match self.kind {
            Name::Drop => Kind::Drop,
            Name::Repeat => Kind::Repeat,
            Name::Late => Kind::Late(delay()?),
            Name::Overrun => Kind::Overrun(delay()?),
            Name::Nan => Kind::Nan,
            Name::Flip => match self.bits {
                None => Kind::Flip(1),
                Some(bits @ 1..=1_000_000) => Kind::Flip(bits),
                Some(_) => return Err("`bits` must be from 1 to 1000000"),
            },
        };
        let mut at = self.at;
        at.sort_unstable();
        Ok(Fault {
            kind,
            at,
            every: self.every,
        })
    }
}

const LONGEST: Duration = Duration::from_secs(3600);
/// Bytes of a scenario.
const MAX_BYTES: u64 = 1 << 20;

/// The text of a regular file of bounded size: a pipe would be waited for, a device never ends.
fn text(path: &Path) -> Result<String, String> {
    let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("it is not a regular file".into());
    }
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    }
    Ok(text)
}

impl Scenario {
    /// Reads and checks a scenario.
    pub(crate) fn read(path: &Path) -> Result<Scenario, Stop> {
        let usage = |reason: String| Stop::Usage(format!("{}: {reason}", path.display()));
        let text = text(path).map_err(|reason| usage(format!("cannot be read: {reason}")))?;
        let file: File =
            toml::from_str(&text).map_err(|error| usage(format!("not a scenario: {error}")))?;
        let mut faults = Vec::with_capacity(file.fault.len());
        for (number, entry) in file.fault.into_iter().enumerate() {
            let kind = entry.kind;
            let fault = entry
                .check()
                .map_err(|reason| usage(format!("fault {} ({kind:?}): {reason}", number + 1)))?;
            faults.push(fault);
        }
        Ok(Scenario {
            seed: file.seed,
            faults,
        })
    }

    /// The faults of one cycle.
    pub(crate) fn at(&self, cycle: u32) -> impl Iterator<Item = Kind> {
        self.faults
            .iter()
            .filter(move |fault| {
                let regular = |every: u32| cycle > 0 && cycle.checked_rem(every) == Some(0);
                fault.at.binary_search(&cycle).is_ok() || fault.every.is_some_and(regular)
            })
            .map(|fault| fault.kind)
    }
}
