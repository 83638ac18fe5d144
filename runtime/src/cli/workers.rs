//! Frames through one engine per thread, answers in input order.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use anyhow::Context as _;
use bagcert::frames::{Frame, Frames, Size};
use bagcert::integrity::LoadedModel;
use bagcert::pipeline::{Outcome, Pipeline, Query};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::stop::{Stop, with_causes};

/// What is to be done, the same for every thread.
pub(crate) struct Job<'a> {
    pub(crate) model: &'a LoadedModel,
    pub(crate) size: Size,
    pub(crate) frames: &'a Frames,
    /// All are answered from one forward pass.
    pub(crate) queries: &'a [Query],
}

/// A frame and its answer.
pub(crate) struct Answer {
    pub(crate) frame: Frame,
    pub(crate) outcome: Outcome,
}

/// A frame and its answers, one for each query.
pub(crate) struct Answers {
    pub(crate) frame: Frame,
    pub(crate) outcomes: Vec<Outcome>,
}

/// A frame without an answer.
pub(crate) struct Failure {
    /// Why, in words.
    pub(crate) reason: String,
    /// Where the frame itself was read: its label, if it has one.
    pub(crate) read: Option<Option<usize>>,
}

/// What a thread hands back: an answer or the frame's failure; or that it cannot work at all.
enum Message {
    Frame(usize, Box<Result<Answers, Failure>>),
    Stop(Stop),
}

impl Job<'_> {
    /// Runs all frames on `threads` threads and hands their answers to `each` in input order,
    /// whatever order they are finished in.
    pub(crate) fn run_all(
        &self,
        threads: usize,
        mut each: impl FnMut(Result<Answers, Failure>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let threads = threads.min(self.frames.len());
        if threads <= 1 {
            let mut pipeline = self.pipeline()?;
            return (0..self.frames.len()).try_for_each(|at| each(self.answer(&mut pipeline, at)));
        }
        let next = AtomicUsize::new(0);
        // Bounded, so that a slow reader of the results holds the engines back.
        let (sender, receiver) = sync_channel(2 * threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let sender = sender.clone();
                let next = &next;
                std::thread::Builder::new()
                    .spawn_scoped(scope, move || self.work(next, &sender))
                    .context("a thread cannot be started; try a smaller --threads")?;
            }
            drop(sender);
            let mut waiting = BTreeMap::new();
            let mut wanted = 0;
            // An early return drops the receiver, which ends the threads at their next answer.
            for message in receiver {
                match message {
                    Message::Stop(stop) => return Err(stop),
                    Message::Frame(at, answer) => waiting.insert(at, answer),
                };
                while let Some(answer) = waiting.remove(&wanted) {
                    wanted += 1;
                    each(*answer)?;
                }
            }
            if wanted == self.frames.len() {
                return Ok(());
            }
            // Threads end early only through a defect; its answers must not pass as all of them.
            Err(anyhow::anyhow!(
                "only {wanted} of {} frames were answered",
                self.frames.len()
            )
            .into())
        })
    }

    /// The same for a single query.
    pub(crate) fn run(
        &self,
        threads: usize,
        mut each: impl FnMut(Result<Answer, Failure>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        self.run_all(threads, |answers| {
            each(answers.and_then(|Answers { frame, outcomes }| {
                let outcome = outcomes.into_iter().next();
                // Only a job without a query has none.
                let outcome = outcome.ok_or_else(|| Failure {
                    reason: format!("{}: nothing was asked", frame.id),
                    read: Some(frame.label),
                })?;
                Ok(Answer { frame, outcome })
            }))
        })
    }

    fn work(&self, next: &AtomicUsize, sender: &SyncSender<Message>) {
        let mut pipeline = match self.pipeline() {
            Ok(pipeline) => pipeline,
            Err(stop) => {
                // Where nobody listens any more, another thread has already said why.
                drop(sender.send(Message::Stop(stop)));
                return;
            }
        };
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= self.frames.len() {
                return;
            }
            let answer = Box::new(self.answer(&mut pipeline, at));
            if sender.send(Message::Frame(at, answer)).is_err() {
                return;
            }
        }
    }

    fn pipeline(&self) -> Result<Pipeline, Stop> {
        Ok(self.model.pipeline()?)
    }

    fn answer(&self, pipeline: &mut Pipeline, at: usize) -> Result<Answers, Failure> {
        let frame = self
            .frames
            .load(at, self.size, self.model.admitted().class_names())
            .map_err(|error| Failure {
                reason: with_causes(&error),
                read: None,
            })?;
        match pipeline.judge_all(frame.picture.planes(), self.queries) {
            Ok(outcomes) => Ok(Answers { frame, outcomes }),
            Err(error) => Err(Failure {
                reason: format!("{}: no verdict: {}", frame.id, with_causes(&error)),
                read: Some(frame.label),
            }),
        }
    }
}

/// As many threads as were asked for, or as there are cores; no more than frames.
pub(crate) fn threads(asked: Option<NonZeroUsize>, frames: usize) -> usize {
    asked
        .or_else(|| std::thread::available_parallelism().ok())
        .map_or(1, NonZeroUsize::get)
        .min(frames.max(1))
}

/// A progress bar on the standard error where that is a terminal, else nothing at all.
pub(crate) fn progress(frames: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(frames as u64), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("{bar:40} {pos}/{len} frames, {per_sec}, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
