//! `bagcert bench`: how long the forward pass and the certificate take, apart.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::Context as _;
use bagcert::frames::{Frames, Size};
use bagcert::integrity::LoadedModel;
use bagcert::pipeline::Query;
use indicatif::ProgressBar;

use super::args::{BenchArgs, check_fits};
use super::output::Output;
use super::stop::{Stop, with_causes};
use super::table::{Align, Columns, named};
use super::workers::progress;

/// Frames per thread that are run and not counted: caches, page faults, clock speed.
const WARM_UP: usize = 10;

/// Times of one thread, frame by frame.
#[derive(Default)]
struct Times {
    forward: Vec<Duration>,
    certificate: Vec<Duration>,
}

/// Runs the command.
pub(crate) fn run(args: &BenchArgs) -> Result<usize, Stop> {
    let model = args.trust.load(&args.model)?;
    let size = model.admitted().image_size();
    for patch in &args.patch {
        check_fits(*patch, size)?;
    }
    args.predictor.check(model.admitted(), &args.patch)?;
    let (frames, errors) = Frames::open(&args.inputs, size);
    if let Some(error) = errors.first() {
        return Err(Stop::Input(with_causes(error)));
    }
    let mut output = Output::stdout();
    let query = args.predictor.query(args.patch.clone());
    let source = Source {
        size,
        frames: &frames,
    };
    let threads = args.threads.get().min(args.frames.get());
    let bar = progress(args.frames.get());
    let times = std::thread::scope(|scope| {
        let mut started = Vec::with_capacity(threads);
        for thread in 0..threads {
            let (model, query, source, bar) = (&model, &query, &source, &bar);
            let frames = share(args.frames, threads, thread);
            let work = move || time_frames(model, query, source, frames, thread, bar);
            started.push(
                std::thread::Builder::new()
                    .spawn_scoped(scope, work)
                    .context("a thread cannot be started; try a smaller --threads")?,
            );
        }
        let mut all = Times::default();
        for thread in started {
            let times = thread
                .join()
                .map_err(|_| anyhow::anyhow!("a timing thread ended early"))??;
            all.forward.extend(times.forward);
            all.certificate.extend(times.certificate);
        }
        Ok::<Times, Stop>(all)
    })?;
    bar.finish_and_clear();
    output.write(&table(&query, &source, threads, times))?;
    output.finish()?;
    Ok(0)
}

/// How many of the frames fall to this thread.
fn share(frames: NonZeroUsize, threads: usize, thread: usize) -> usize {
    let frames = frames.get();
    frames / threads + usize::from(thread < frames % threads)
}

/// Where frames come from.
struct Source<'a> {
    size: Size,
    /// Random pixels where there are none.
    frames: &'a Frames,
}

fn time_frames(
    model: &LoadedModel,
    query: &Query,
    source: &Source<'_>,
    frames: usize,
    thread: usize,
    bar: &ProgressBar,
) -> Result<Times, Stop> {
    let mut pipeline = model.pipeline()?;
    let input = model.admitted().input();
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15 ^ thread as u64);
    let mut image = vec![0.0; input.channels * input.height * input.width];
    let mut times = Times::default();
    let mut turn = (0..source.frames.len()).cycle();
    for frame in 0..WARM_UP + frames {
        match turn.next() {
            None => image.fill_with(|| noise.next()),
            Some(at) => {
                let names = model.admitted().class_names();
                let loaded = source.frames.load(at, source.size, names);
                let frame = loaded.map_err(|error| Stop::Input(with_causes(&error)))?;
                image.clear();
                image.extend_from_slice(frame.picture.planes());
            }
        }
        let outcome = pipeline
            .judge(&image, query)
            .map_err(|error| anyhow::anyhow!("frame {frame}: {}", with_causes(&error)))?;
        if frame >= WARM_UP {
            times.forward.push(outcome.forward);
            times.certificate.push(outcome.certificate);
            bar.inc(1);
        }
    }
    Ok(times)
}

/// Pixels without a pattern, the same in every run (xorshift64, Marsaglia 2003).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The upper 8 bits, as a camera gives them.
        f32::from((self.0 >> 56) as u8) / 255.0
    }
}

fn table(query: &Query, source: &Source<'_>, threads: usize, mut times: Times) -> String {
    let mut both: Vec<Duration> = times
        .forward
        .iter()
        .zip(&times.certificate)
        .map(|(forward, certificate)| *forward + *certificate)
        .collect();
    let total = sum(&both);
    let pixels = match source.frames.len() {
        0 => format!("{} random pixels", source.size),
        1 => format!("{} pixels, always the same one", source.size),
        found => format!("{} pixels, {found} in turn", source.size),
    };
    let patches: Vec<String> = query.patches.iter().map(ToString::to_string).collect();
    let mut text = format!(
        "{} frames of {pixels}, patch {}, {}, {threads} thread{}, after {WARM_UP} warm-up frames each\n\n",
        both.len(),
        patches.join(", "),
        named(query),
        if threads == 1 { "" } else { "s" },
    );
    let number = |head: &str| (head.to_owned(), 12, Align::Right);
    let columns = Columns::new([
        ("part".to_owned(), 26, Align::Left),
        number("p50"),
        number("p99"),
        number("p99.9"),
        number("max"),
        number("share"),
    ]);
    text += &columns.head();
    for (name, part) in [
        ("forward pass", &mut times.forward),
        ("binarise and certificate", &mut times.certificate),
        ("both", &mut both),
    ] {
        let share = sum(part).as_secs_f64() / total.as_secs_f64().max(f64::MIN_POSITIVE);
        part.sort_unstable();
        let mut cells = vec![name.to_owned()];
        cells.extend([500, 990, 999, 1000].map(|permille| microseconds(quantile(part, permille))));
        cells.push(format!("{:.3} %", share * 100.0));
        text += &columns.line(&cells);
    }
    if both.len() < 1000 {
        text += "\np99.9 needs 1000 frames; with fewer it is the slowest one.\n";
    }
    text += &format!(
        "\n{:.1} frames per second on all threads together\n",
        (both.len() * threads) as f64 / total.as_secs_f64().max(f64::MIN_POSITIVE),
    );
    text
}

fn sum(times: &[Duration]) -> Duration {
    times.iter().sum()
}

/// The smallest time that at least `permille` of 1000 parts of all do not exceed (nearest rank).
fn quantile(sorted: &[Duration], permille: usize) -> Duration {
    let rank = (sorted.len() * permille).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn microseconds(time: Duration) -> String {
    format!("{:.1} us", time.as_secs_f64() * 1e6)
}
