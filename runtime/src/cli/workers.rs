//! Frames through one engine per thread, answers in input order.

use std::collections::BTreeMap;
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
    pub(crate) query: &'a Query,
}

/// A frame and its answer.
pub(crate) struct Answer {
    pub(crate) frame: Frame,
    pub(crate) outcome: Outcome,
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
    Frame(usize, Box<Result<Answer, Failure>>),
    Stop(Stop),
}

impl Job<'_> {
    /// Runs all frames on `threads` threads and hands their answers to `each` in input order,
    /// whatever order they are finished in.
    pub(crate) fn run(
        &self,
        threads: usize,
        mut each: impl FnMut(Result<Answer, Failure>) -> Result<(), Stop>,
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

    fn answer(&self, pipeline: &mut Pipeline, at: usize) -> Result<Answer, Failure> {
        let frame = self
            .frames
            .load(at, self.size, self.model.admitted().class_names())
            .map_err(|error| Failure {
                reason: with_causes(&error),
                read: None,
            })?;
        match pipeline.judge(frame.picture.planes(), self.query) {
            Ok(outcome) => Ok(Answer { frame, outcome }),
            Err(error) => Err(Failure {
                reason: format!("{}: no verdict: {}", frame.id, with_causes(&error)),
                read: Some(frame.label),
            }),
        }
    }
}

/// A progress bar on the standard error where that is a terminal, else nothing at all.
pub(crate) fn progress(frames: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(frames as u64), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("{bar:40} {pos}/{len} frames, {per_sec}, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
