//! Which faults fall into which cycles.

use std::io::Read;
use std::path::{Path, PathBuf};
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
    patches: Option<PathBuf>,
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
    class: Option<usize>,
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
    Frozen,
    Torn,
    FlipPicture,
    FlipModel,
    FlipScores,
    FlipTable,
    FlipLogic,
    Lie,
    Silent,
    Patch,
    Hang,
    ClockBack,
    FlipMessage,
    DropMessage,
    RepeatMessage,
}

/// What is done, and to whom.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// The frame never comes.
    Drop,
    /// The sealed scores of the frame before come again.
    Repeat,
    /// The scores come later by this much.
    Late(Duration),
    /// The certificate takes this much longer.
    Overrun(Duration),
    /// A logit is NaN when it is sealed.
    Nan,
    /// So many bits of the logits flip on the way from the forward pass to the certifier.
    Flip(u32),
    /// The camera seals the picture of the frame before, with a counter that moves on.
    Frozen,
    /// From some place on, the picture is still that of the frame before.
    Torn,
    /// So many bits of the picture flip on the way from the camera to the forward pass.
    FlipPicture(u32),
    /// A bit of the model's weights in memory flips, for good.
    FlipModel,
    /// So many bits of the score map flip, in one of the certifier's two memories.
    FlipScores(u32),
    /// So many bits of the tables flip there.
    FlipTable(u32),
    /// A bit of the fail-safe logic's memory flips.
    FlipLogic,
    /// The primary perception says this class, or another one than it would.
    Lie(Option<usize>),
    /// The primary perception says nothing.
    Silent,
    /// There is a patch in the picture when the camera takes it.
    Patch,
    /// The forward pass hangs for this long.
    Hang(Duration),
    /// The clock goes back by this much, for this cycle.
    ClockBack(Duration),
    /// So many bits of the answer's message flip on its way.
    FlipMessage(u32),
    /// The message is lost.
    DropMessage,
    /// The message of the cycle before comes instead.
    RepeatMessage,
}

/// A checked scenario.
#[derive(Debug, Default)]
pub(crate) struct Scenario {
    /// Start of the random numbers that choose values and bits.
    pub(crate) seed: u64,
    /// Where the patches of `patch` come from, a file of `bagcert-train attack`; else they are random.
    pub(crate) patches: Option<PathBuf>,
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
    pub(crate) const NAMES: [&str; 21] = [
        "drop",
        "repeat",
        "late",
        "overrun",
        "nan",
        "flip",
        "frozen",
        "torn",
        "flip-picture",
        "flip-model",
        "flip-scores",
        "flip-table",
        "flip-logic",
        "lie",
        "silent",
        "patch",
        "hang",
        "clock-back",
        "flip-message",
        "drop-message",
        "repeat-message",
    ];

    /// Its place in [`NAMES`](Self::NAMES).
    pub(crate) fn index(self) -> usize {
        match self {
            Kind::Drop => 0,
            Kind::Repeat => 1,
            Kind::Late(_) => 2,
            Kind::Overrun(_) => 3,
            Kind::Nan => 4,
            Kind::Flip(_) => 5,
            Kind::Frozen => 6,
            Kind::Torn => 7,
            Kind::FlipPicture(_) => 8,
            Kind::FlipModel => 9,
            Kind::FlipScores(_) => 10,
            Kind::FlipTable(_) => 11,
            Kind::FlipLogic => 12,
            Kind::Lie(_) => 13,
            Kind::Silent => 14,
            Kind::Patch => 15,
            Kind::Hang(_) => 16,
            Kind::ClockBack(_) => 17,
            Kind::FlipMessage(_) => 18,
            Kind::DropMessage => 19,
            Kind::RepeatMessage => 20,
        }
    }

    /// As in the scenario.
    pub(crate) fn name(self) -> &'static str {
        Kind::NAMES.get(self.index()).copied().unwrap_or_default()
    }

    /// Whether the loop must answer with a fault. A delay within the deadline is none.
    pub(crate) fn must_be_a_fault(self, deadline: Duration) -> bool {
        match self {
            Kind::Late(delay) | Kind::Overrun(delay) | Kind::Hang(delay) => delay > deadline,
            Kind::Drop
            | Kind::Repeat
            | Kind::Nan
            | Kind::Flip(_)
            | Kind::Frozen
            | Kind::Torn
            | Kind::FlipPicture(_)
            | Kind::ClockBack(_) => true,
            _ => false,
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
        let delayed = matches!(
            self.kind,
            Name::Late | Name::Overrun | Name::Hang | Name::ClockBack
        );
        if !delayed && self.delay_ms.is_some() {
            return Err("`delay_ms` belongs to `late`, `overrun`, `hang` and `clock-back` only");
        }
        let flips = matches!(
            self.kind,
            Name::Flip | Name::FlipPicture | Name::FlipScores | Name::FlipTable | Name::FlipMessage
        );
        if !flips && self.bits.is_some() {
            return Err(
                "`bits` belongs to `flip`, `flip-picture`, `flip-scores`, `flip-table` and \
                 `flip-message` only",
            );
        }
        if !matches!(self.kind, Name::Lie) && self.class.is_some() {
            return Err("`class` belongs to `lie` only");
        }
        let before = matches!(
            self.kind,
            Name::Repeat | Name::Frozen | Name::Torn | Name::RepeatMessage | Name::ClockBack
        );
        if before && self.at.contains(&0) {
            return Err("there is nothing before cycle 0: no frame before cycle 0 to repeat");
        }
        let delay = || {
            let ms = self.delay_ms.ok_or("needs `delay_ms`")?;
            Duration::try_from_secs_f64(ms / 1e3)
                .ok()
                .filter(|delay| !delay.is_zero() && *delay <= LONGEST)
                .ok_or("`delay_ms` must be above 0 and at most an hour")
        };
        let bits = || match self.bits {
            None => Ok(1),
            Some(bits @ 1..=1_000_000) => Ok(bits),
            Some(_) => Err("`bits` must be from 1 to 1000000"),
        };
        let kind = match self.kind {
            Name::Drop => Kind::Drop,
            Name::Repeat => Kind::Repeat,
            Name::Late => Kind::Late(delay()?),
            Name::Overrun => Kind::Overrun(delay()?),
            Name::Nan => Kind::Nan,
            Name::Flip => Kind::Flip(bits()?),
            Name::Frozen => Kind::Frozen,
            Name::Torn => Kind::Torn,
            Name::FlipPicture => Kind::FlipPicture(bits()?),
            Name::FlipModel => Kind::FlipModel,
            Name::FlipScores => Kind::FlipScores(bits()?),
            Name::FlipTable => Kind::FlipTable(bits()?),
            Name::FlipLogic => Kind::FlipLogic,
            Name::Lie => Kind::Lie(self.class),
            Name::Silent => Kind::Silent,
            Name::Patch => Kind::Patch,
            Name::Hang => Kind::Hang(delay()?),
            Name::ClockBack => Kind::ClockBack(delay()?),
            Name::FlipMessage => Kind::FlipMessage(bits()?),
            Name::DropMessage => Kind::DropMessage,
            Name::RepeatMessage => Kind::RepeatMessage,
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
pub(crate) fn text(path: &Path) -> Result<String, String> {
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
            // As written in the scenario: from its own folder.
            patches: file
                .patches
                .map(|patches| path.parent().unwrap_or(Path::new("")).join(patches)),
            faults,
        })
    }

    /// Whether a kind, by its name, ever comes up.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.faults.iter().any(|fault| fault.kind.name() == name)
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
