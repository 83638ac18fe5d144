//! A run: everything that it needs, and what is told of each cycle.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use bagcert::frames::Frames;
use bagcert::integrity::LoadedModel;
use bagcert::with_causes;
use bagcert_certifier::failsafe::{FailSafe, Limits, self_test};
use bagcert_certifier::{Condition, ScoreWord, TableWord};
use bagcert_firmware_sim::{Cycle, Memory, Outcome, Settings, Watchdog};
use indicatif::ProgressBar;

use super::args::{Args, Format, Pace, Timing};
use super::camera::Camera;
use super::expect::{Before, ModelWatch, matches_primary, missed, verdict_beside};
use super::line::Line;
use super::perception::{LOGITS, Perception, damaged};
use super::scenario::{Kind, Scenario};
use super::stop::Stop;
use super::summary::Summary;
use super::supervisor::{Arrival, Supervisor, Turn};
use super::{progress, real, say, simulated};

/// Frames lost in a row that the loop bears without a fault of its own.
const MAX_LOST: u32 = 3;
/// Places in the queue between the stages, and one that heapless keeps free.
pub(crate) const PLACES: usize = 5;

/// What a run is set to.
pub(crate) struct Inputs<'r> {
    pub(crate) timing: Timing,
    pub(crate) scenario: &'r Scenario,
    pub(crate) cycles: u32,
}

/// Everything that a run needs.
pub(crate) struct Drive {
    loaded: LoadedModel,
    camera: Camera,
    perception: Perception,
    /// Inputs that could not be opened.
    unopened: usize,
    cycles: u32,
    settings: Settings,
    limits: Limits,
    timing: Timing,
    scenario: Scenario,
}

impl Drive {
    /// Loads the model as `bagcert certify` does, and lists the frames.
    pub(crate) fn new(args: &Args, timing: Timing, scenario: Scenario) -> Result<Drive, Stop> {
        let path: &Path = &args.model;
        let loaded = args.trust.load(path)?;
        let model = loaded.admitted();
        let size = model.image_size();
        let patch = args.patch;
        if patch.width() > size.width || patch.height() > size.height {
            return Err(Stop::Usage(format!(
                "--patch {patch}: does not fit the model's image of {size} pixels (width first)"
            )));
        }
        let (frames, errors) = Frames::open(&args.inputs, size);
        for error in &errors {
            say(&format!("bagcert-firmware-sim: {}", with_causes(error)));
        }
        if frames.is_empty() {
            return Err(Stop::NoInput("no frame to run on".to_owned()));
        }
        let each = args.road().map_or(1, |road| road.frames as usize);
        let cycles = match args.cycles {
            Some(cycles) => cycles.get(),
            None => u32::try_from(frames.len().saturating_mul(each))
                .map_err(|_| Stop::Usage("too many frames; give --cycles".to_owned()))?,
        };
        let refused = |error: &dyn std::error::Error| Stop::Refused(with_causes(error));
        // The engine that has answered the golden frames is the one that runs.
        let mut engine = loaded
            .pipeline()
            .map_err(|error| refused(&error))?
            .into_engine();
        let camera = Camera::new(
            frames,
            size,
            model.class_names(),
            patch,
            args.road(),
            &scenario,
        )?;
        // The first scene that can be read is the one whose answer is known.
        let known = (0..cycles).find_map(|cycle| camera.scene(cycle).ok());
        let known = known.map(|(pixels, _)| pixels);
        let broken = match &known {
            Some(pixels) if scenario.has("flip-model") => {
                Some(damaged(path, &mut engine, pixels, scenario.seed)?)
            }
            _ => None,
        };
        let every = args.known_answer_every;
        let mut perception = Perception::new(engine, broken, every, scenario.seed);
        if let Some(pixels) = known {
            perception.learn(pixels).map_err(Stop::Refused)?;
        }
        let settings = Settings {
            shape: model.shape(),
            geometry: model.geometry(),
            patch,
            condition: Condition::SumWindow32,
            data_id: LOGITS,
            max_age: timing.deadline,
            deadline: timing.deadline,
            max_lost: MAX_LOST,
        };
        let limits = Limits {
            classes: settings.shape.classes(),
            max_age: timing.deadline,
            max_lost: MAX_LOST,
            good_cycles: args.good_cycles,
            strikes: args.strikes,
            window: args.window,
        };
        Ok(Drive {
            loaded,
            camera,
            perception,
            unopened: errors.len(),
            cycles,
            settings,
            limits,
            timing,
            scenario,
        })
    }

    /// Runs all cycles and hands each to `each`.
    pub(crate) fn run(
        mut self,
        args: &Args,
        each: &mut dyn FnMut(&Line<'_>) -> Result<(), Stop>,
    ) -> Result<Summary, Stop> {
        let shape = self.settings.shape;
        let memory = || {
            (
                vec![ScoreWord::default(); shape.score_len()],
                vec![TableWord::default(); shape.table_len()],
            )
        };
        let [mut first, mut second] = [memory(), memory()];
        let parts = |(scores, table)| Memory { scores, table };
        let cycle = Cycle::redundant(
            self.settings,
            parts((&mut first.0[..], &mut first.1[..])),
            parts((&mut second.0[..], &mut second.1[..])),
        )
        .map_err(|error| Stop::Usage(error.to_string()))?;
        let logic = FailSafe::new(self.limits, self_test())
            .map_err(|error| Stop::Usage(error.to_string()))?;
        let mut supervisor = Supervisor::new(
            cycle,
            self.limits,
            logic,
            Watchdog::new(args.watchdog(self.timing), Duration::ZERO),
            args.primary,
            self.scenario.seed,
            args.reset_after.map(std::num::NonZeroU32::get),
        );
        let inputs = Inputs {
            timing: self.timing,
            scenario: &self.scenario,
            cycles: self.cycles,
        };
        let mut log = Log {
            class_names: self.loaded.admitted().class_names(),
            settings: self.settings,
            quiet: args.quiet,
            every: args.known_answer_every,
            each,
            summary: Summary::new(self.timing, args.time),
            unusable: BTreeSet::new(),
            watch: ModelWatch::default(),
            patched: Vec::new(),
            // Lines of JSON show by themselves how far a run is.
            bar: match args.format {
                Format::Table => progress::bar(self.cycles.into(), "cycles"),
                Format::Jsonl => ProgressBar::hidden(),
            },
        };
        let run = match args.time {
            Pace::Simulated => simulated::run,
            Pace::Real => real::run,
        };
        run(
            &inputs,
            &mut self.camera,
            &mut self.perception,
            &mut supervisor,
            &mut log,
        )?;
        let Log {
            mut summary,
            unusable,
            watch,
            patched,
            ..
        } = log;
        // Whether a patch has brought about a certified answer that the scene without it has not.
        for (class, clean, damaged) in patched {
            summary.patch(
                class,
                self.perception
                    .predicted(self.loaded.admitted(), damaged, &clean),
            );
        }
        summary.failures = self.unopened + unusable.len();
        summary.model(&watch, self.scenario.has("flip-model"));
        Ok(summary)
    }
}

/// What is told of a run, cycle by cycle.
pub(crate) struct Log<'l> {
    class_names: &'l [String],
    settings: Settings,
    quiet: bool,
    every: u32,
    each: &'l mut dyn FnMut(&Line<'_>) -> Result<(), Stop>,
    summary: Summary,
    unusable: BTreeSet<String>,
    watch: ModelWatch,
    /// Certified classes under a patch, the scene without it, and whether the model was damaged.
    patched: Vec<(usize, Vec<f32>, bool)>,
    bar: ProgressBar,
}

impl Log<'_> {
    /// An input that cannot be used is said once.
    pub(crate) fn unusable(&mut self, camera: &Camera, number: u32, reason: String) {
        if self.unusable.insert(camera.id(number)) {
            let said = || say(&format!("bagcert-firmware-sim: {reason}"));
            self.bar.suspend(said);
        }
    }

    /// The time of a forward pass.
    pub(crate) fn forward(&mut self, time: Duration) {
        self.summary.forward(time);
    }

    /// What the queue between the stages has counted.
    pub(crate) fn queue(&mut self, refused: u32, superseded: u32) {
        self.summary.refused = refused;
        self.summary.superseded = superseded;
    }

    /// A cycle.
    #[allow(clippy::too_many_arguments, reason = "all that is known of a cycle")]
    pub(crate) fn turn(
        &mut self,
        camera: &Camera,
        number: u32,
        turn: &Turn,
        arrival: &Arrival,
        faults: &[Kind],
        before: Before,
        clean: Option<(Vec<f32>, bool)>,
    ) -> Result<(), Stop> {
        let id = camera.id(number);
        self.turn_named(id, number, turn, arrival, faults, before, clean)
    }

    /// A cycle, whose input is named by whoever knows it.
    #[allow(clippy::too_many_arguments, reason = "all that is known of a cycle")]
    pub(crate) fn turn_named(
        &mut self,
        id: String,
        number: u32,
        turn: &Turn,
        arrival: &Arrival,
        faults: &[Kind],
        before: Before,
        clean: Option<(Vec<f32>, bool)>,
    ) -> Result<(), Stop> {
        let beside = verdict_beside(&self.settings, arrival, faults);
        let mut missed = missed(&self.settings, turn, faults, before, beside.as_ref());
        if missed.is_empty() && !matches_primary(&self.settings, turn) {
            // Whatever was injected: trust that no verdict gave.
            missed.push(Kind::Silent);
        }
        self.watch.turn(number, faults, turn, self.every);
        if let (Some((clean, damaged)), Outcome::Certified { class, .. }) =
            (clean, turn.report.outcome)
        {
            self.patched.push((class, clean, damaged));
        }
        let line = Line {
            turn,
            id,
            class_names: self.class_names,
            faults,
            missed: &missed,
        };
        self.summary.add(&line);
        if !self.quiet {
            for text in line.words() {
                self.bar.suspend(|| say(&text));
            }
        }
        self.bar.inc(1);
        (self.each)(&line)
    }
}
