//! `bagcert-train attack`.

mod broken;
mod pictures;

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Context, Result, bail};
use bagcert_certifier::{Condition, Masking, PatchSize};
use bagcert_trainer::{
    attack::{Attack, Attacker, Journal, Record, Settings, Summary, figure::Scene},
    checkpoint::{Header, sha256},
    config::Scores,
    data::Test,
};
use clap::{Args, builder::RangedU64ValueParser};

use broken::Broken;

use super::{
    DeviceName, bar,
    images::ImagesArgs,
    network::NetworkArgs,
    said::{note, results},
};

/// Exit status where a certificate was broken.
pub(super) const BROKEN: u8 = 5;

#[derive(Args)]
pub(super) struct AttackArgs {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    data: ImagesArgs,
    /// The patch.
    #[arg(long, value_name = "WxH", default_value = "5x5")]
    patch: PatchSize,
    /// Certify against this size instead; if it is smaller than --patch, certificates must break: a check that
    /// the attack can break them.
    #[arg(long, value_name = "WxH")]
    certify_patch: Option<PatchSize>,
    /// What certifies: 3.2 or 3.3 the plain vote; mask or double-mask a predictor of their own, which then is
    /// what must be turned.
    #[arg(long, default_value = "3.2")]
    condition: Condition,
    /// For double-mask: the votes by which a class must be ahead beyond a majority, as `bagcert eval --lead`.
    #[arg(long, value_name = "N", default_value_t = 0)]
    lead: u32,
    /// Steps of projected gradient ascent.
    #[arg(long, default_value_t = 100)]
    steps: usize,
    /// Size of a step in pixel values.
    #[arg(long, default_value_t = 0.025)]
    step_size: f64,
    /// Only the first N test images.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    limit: Option<i64>,
    /// Only these test images.
    #[arg(
        long,
        value_name = "INDEX",
        value_delimiter = ',',
        conflicts_with = "limit"
    )]
    images: Vec<i64>,
    /// Stop once this many certified images were attacked; it is an error if there are fewer.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    certified: Option<usize>,
    /// Images attacked at once.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Write a JSON line per image to this file as the attack goes on.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Go on with the attack in --output.
    #[arg(long, requires = "output")]
    resume: bool,
    /// Draw attacks as in the paper's Figure 6, in an SVG file, and a CSV file with the same name but for its ending:
    /// those of --images, else the first of each kind (certified or not, flipped or not, certified and wrong). With
    /// --resume, those that are in --output already are attacked once more for it.
    #[arg(long, value_name = "FILE")]
    figure: Option<PathBuf>,
    /// Write the strongest patch of each attack to this file as JSON lines, to try them on another engine; with
    /// --resume of those in --output too, which are attacked once more for it.
    #[arg(long, value_name = "FILE")]
    patches: Option<PathBuf>,
    /// Where images are saved whose certificates were broken.
    #[arg(long, value_name = "DIR", default_value = "broken-certificates")]
    broken: PathBuf,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceName,
}

/// Whether every certificate held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certificates {
    Held,
    Broken,
}

/// Attacks, and prints accuracy without a patch, under attack, and certified.
pub(super) fn attack(args: &AttackArgs) -> Result<Certificates> {
    let patch = args.patch;
    let certified = args.certify_patch.unwrap_or(patch);
    if !(args.step_size > 0.0 && args.step_size <= 1.0) {
        bail!(
            "--step-size {}: it must lie in (0, 1], the range of a pixel",
            args.step_size
        );
    }
    if args.lead > 0 && args.condition != Condition::DoubleMask {
        bail!(
            "--lead {}: condition {} asks for none; leave it out, or use --condition double-mask",
            args.lead,
            args.condition
        );
    }
    pictures::check_paths(args)?;
    let device = args.device.open()?;
    let (header, network, geometry) = args.network.load(device)?;
    let votes = header.scores.expect_votes();
    votes.with_context(|| format!("{} cannot be attacked", args.network.path().display()))?;
    if header.scores == Scores::Sigmoid {
        note(
            "note: this network was trained on sigmoid scores; it is attacked and certified as votes, a logit of 0 or more \
             being one",
        );
    }
    let data = args.data.open(&header)?;
    let attack = Attack {
        patch,
        certified,
        condition: args.condition,
        lead: args.lead,
        steps: args.steps,
        step_size: args.step_size,
        seed: header.seed,
    };
    let scene = Scene {
        geometry: &geometry,
        patch,
        certified,
        classes: &header.classes,
    };
    // Before there is a journal, which would be of an attack that cannot be made.
    let wanted = choose(args, data.images.count())?;
    let mut attacker = Attacker::new(&network, &geometry, attack)?;
    let (mut journal, done) = open_journal(args, &header, &data, &attack)?;
    let data = data.images;
    let have: BTreeSet<i64> = done.iter().map(|record| record.image).collect();
    let open: Vec<i64> = wanted
        .iter()
        .copied()
        .filter(|image| !have.contains(image))
        .collect();

    let mut summary: Summary = done.iter().collect();
    let enough = |summary: &Summary| {
        args.certified
            .is_some_and(|enough| summary.certified_attacked >= enough)
    };
    let bar = bar(
        wanted.len() as u64,
        "{bar:40} {pos}/{len} images, {msg} certified, {eta} left",
    );
    let mut pictures = pictures::Wanted::new(args);
    let mut broken = Broken::new(&args.broken);
    // A journal has no pictures: what shall be seen of it is attacked again, from the same start, and not counted again.
    let mut others = 0;
    // Whatever ends the attack early, that a certificate broke is told first.
    let mut stopped: Result<()> = Ok(());
    let missing = pictures.missing(&done);
    let again = super::bar(
        missing.len() as u64,
        "{bar:40} {pos}/{len} images once more, {eta} left",
    );
    for indices in missing.chunks(usize::from(args.batch)) {
        let attacked = match attacker.images(&*data, indices) {
            Ok(attacked) => attacked,
            Err(error) => {
                stopped = Err(error.into());
                break;
            }
        };
        again.inc(indices.len() as u64);
        for one in &attacked {
            others += usize::from(!done.contains(&one.record));
            broken.offer(one, &scene);
            if one.record.broken() && !summary.broken.contains(&one.record.image) {
                summary.broken.push(one.record.image);
            }
        }
        pictures.offer(attacked, &scene);
    }
    again.finish_and_clear();
    if others > 0 {
        note(&format!(
            "note: attacked once more, {others} images came out otherwise than in the journal (libtorch rounds by batch and \
             device); pictures and patches are of the second attack, counts of the first"
        ));
    }
    for indices in open.chunks(usize::from(args.batch)) {
        if stopped.is_err() || enough(&summary) {
            break;
        }
        let attacked = match attacker.images(&*data, indices) {
            Ok(attacked) => attacked,
            Err(error) => {
                stopped = Err(error.into());
                break;
            }
        };
        for one in &attacked {
            summary.add(&one.record);
            broken.offer(one, &scene);
        }
        if let Some(journal) = &mut journal {
            let lines: Vec<&Record> = attacked.iter().map(|one| &one.record).collect();
            stopped = journal.append(&lines).map_err(Into::into);
            if stopped.is_err() {
                break;
            }
        }
        bar.set_position(summary.images as u64);
        bar.set_message(summary.certified_attacked.to_string());
        pictures.offer(attacked, &scene);
    }
    bar.finish_and_clear();
    if summary.broken.is_empty() {
        stopped?;
        pictures.write(&scene)?;
        results(&told(&summary, &header, args, &attack))?;
    } else {
        let written = stopped.and_then(|()| pictures.write(&scene));
        let printed = results(&told(&summary, &header, args, &attack));
        let saved = match &broken.failed {
            None => format!("saved in {}", args.broken.display()),
            Some(error) => format!("not all of them could be saved: {error:#}"),
        };
        note(&format!(
            "error: {} certificates were broken, which must never happen: test images {:?}; {saved}",
            summary.broken.len(),
            summary.broken,
        ));
        for error in [written, printed].into_iter().filter_map(Result::err) {
            note(&format!("error: {error:#}"));
        }
        return Ok(Certificates::Broken);
    }
    if let Some(asked) = args.certified.filter(|_| !enough(&summary)) {
        bail!(
            "--certified {asked}: only {} certified images among these {}",
            summary.certified_attacked,
            summary.images
        );
    }
    Ok(Certificates::Held)
}

fn open_journal(
    args: &AttackArgs,
    header: &Header,
    data: &Test,
    attack: &Attack,
) -> Result<(Option<Journal>, Vec<Record>)> {
    let Some(path) = &args.output else {
        return Ok((None, vec![]));
    };
    let settings = Settings {
        checkpoint: sha256(args.network.path())?,
        dataset: header.dataset.clone(),
        images: Some(data.fingerprint.clone()),
        resize: data.resize,
        patch: [attack.patch.width(), attack.patch.height()],
        certified: [attack.certified.width(), attack.certified.height()],
        condition: attack.condition.to_string(),
        lead: attack.lead,
        steps: attack.steps,
        step_size: attack.step_size,
        seed: attack.seed,
    };
    let (journal, done) = Journal::open(path, &settings, &header.classes, args.resume)?;
    Ok((Some(journal), done))
}

/// The images asked for, each once.
fn choose(args: &AttackArgs, count: i64) -> Result<Vec<i64>> {
    if args.images.is_empty() {
        return Ok((0..args.limit.unwrap_or(i64::MAX).min(count)).collect());
    }
    let wrong = args
        .images
        .iter()
        .find(|image| !(0..count).contains(*image));
    if let Some(image) = wrong {
        bail!("--images {image}: there are {count} test images");
    }
    let mut seen = BTreeSet::new();
    let images = args.images.iter().copied();
    Ok(images.filter(|image| seen.insert(*image)).collect())
}

fn named(attack: &Attack) -> String {
    match attack.condition.masking() {
        None => format!("Condition {}", attack.condition),
        Some(Masking::Single) => "the mask aggregator".into(),
        Some(Masking::Double) if attack.lead > 0 => {
            format!("double masking with a lead of {}", attack.lead)
        }
        Some(Masking::Double) => "double masking".into(),
    }
}

/// The results in lines.
fn told(summary: &Summary, header: &Header, args: &AttackArgs, attack: &Attack) -> String {
    let mut lines = vec![format!(
        "{} test images of {}, patch {}, {} steps of {}",
        summary.images, header.dataset, attack.patch, args.steps, args.step_size
    )];
    let condition = format!(", {} at {}", named(attack), attack.certified);
    for (name, count, more) in [
        ("clean accuracy    ", summary.right, ""),
        ("attacked accuracy ", summary.held, ""),
        (
            "certified accuracy",
            summary.certified_right,
            condition.as_str(),
        ),
    ] {
        lines.push(format!(
            "{name} {:.2} % ({count}){more}",
            summary.percent(count)
        ));
    }
    lines.push(format!(
        "certified images attacked: {} ({} of them classified wrongly); certificates broken: {}",
        summary.certified_attacked,
        summary.certified_wrong,
        summary.broken.len()
    ));
    if summary.outside_changed > 0 {
        lines.push(format!(
            "votes outside the affected region changed in {} images: rounding of libtorch",
            summary.outside_changed
        ));
    }
    lines.join("\n") + "\n"
}
