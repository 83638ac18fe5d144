//! What `attack` shows beside its counts: attacks drawn, and the patches themselves.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use bagcert_trainer::{
    attack::{
        Attacked, FoundPatch, Record,
        figure::{Scene, figure, table},
    },
    checkpoint::write_output,
};

use super::{super::same_file, AttackArgs};

/// What was asked for, and has been found of it.
pub(super) struct Wanted<'a> {
    figure: Option<&'a Path>,
    patches: Option<&'a Path>,
    /// The images to draw; the first of each kind where none is named.
    images: &'a [i64],
    examples: Vec<Attacked>,
    found: Vec<FoundPatch>,
}

/// Certified first, then those that held.
fn kind(record: &Record) -> [bool; 3] {
    [!record.certified, record.flipped(), !record.right()]
}

impl<'a> Wanted<'a> {
    pub(super) fn new(args: &'a AttackArgs) -> Self {
        Self {
            figure: args.figure.as_deref(),
            patches: args.patches.as_deref(),
            images: &args.images,
            examples: vec![],
            found: vec![],
        }
    }

    /// Those of the images in `done` that have to be attacked again to be seen.
    pub(super) fn missing(&self, done: &[Record]) -> Vec<i64> {
        let mut drawn: Vec<&Record> = vec![];
        let attacked = done.iter().filter(|record| record.attack.is_some());
        for record in attacked {
            if self.patches.is_some() || (self.figure.is_some() && self.is_new(record, &drawn)) {
                drawn.push(record);
            }
        }
        drawn.iter().map(|record| record.image).collect()
    }

    /// Whether a figure that has `others` shows this one too.
    fn is_new(&self, record: &Record, others: &[&Record]) -> bool {
        if self.images.is_empty() {
            return others.iter().all(|other| kind(other) != kind(record));
        }
        self.images.contains(&record.image)
    }

    /// Takes what it needs.
    pub(super) fn offer(&mut self, attacked: Vec<Attacked>, scene: &Scene<'_>) {
        for one in attacked.into_iter().filter(|one| one.pictures.is_some()) {
            if self.patches.is_some() {
                let width = scene.geometry.x.inputs();
                self.found.extend(one.patch(scene.patch, width));
            }
            let drawn: Vec<&Record> = self.examples.iter().map(|one| &one.record).collect();
            if self.figure.is_some() && self.is_new(&one.record, &drawn) {
                self.examples.push(one);
            }
        }
    }

    /// Writes the files.
    pub(super) fn write(mut self, scene: &Scene<'_>) -> Result<()> {
        if let Some(path) = self.patches {
            self.found.sort_by_key(|patch| patch.record.image);
            let lines = self.found.iter();
            let lines = lines.map(|patch| Ok(serde_json::to_string(patch)? + "\n"));
            write_output(path, lines.collect::<Result<String>>()?.as_bytes())?;
        }
        let Some(path) = self.figure else {
            return Ok(());
        };
        if self.images.is_empty() {
            self.examples.sort_by_key(|one| kind(&one.record));
        } else {
            let images = self.images;
            let place = |one: &Attacked| images.iter().position(|at| *at == one.record.image);
            self.examples.sort_by_key(place);
        }
        let examples: Vec<&Attacked> = self.examples.iter().collect();
        if examples.is_empty() {
            bail!(
                "--figure {}: there is nothing to draw, for no image was attacked: only those are that are right or certified",
                path.display()
            );
        }
        write_output(path, figure(scene, &examples).as_bytes())?;
        write_output(&beside(path), table(scene, &examples).csv().as_bytes())?;
        Ok(())
    }
}

/// No file that is asked for may take the place of another, or of the network: the numbers of a drawing lie beside it.
pub(super) fn check_paths(args: &AttackArgs) -> Result<()> {
    let figure = args.figure.as_deref();
    let files = [
        ("--output", args.output.clone()),
        ("--patches", args.patches.clone()),
        ("--figure", figure.map(Path::to_owned)),
        ("the CSV file of --figure", figure.map(beside)),
    ];
    let mut taken: Vec<(&str, PathBuf)> = vec![];
    for (name, path) in files {
        let Some(path) = path else {
            continue;
        };
        let path = std::path::absolute(path)?;
        if same_file(&path, args.network.path()) {
            bail!(
                "{name} would take the place of the network, {}; name another file",
                args.network.path().display()
            );
        }
        if let Some((other, _)) = taken.iter().find(|(_, other)| *other == path) {
            bail!(
                "{name} would take the place of {other}: both are {}; name other files",
                path.display()
            );
        }
        taken.push((name, path));
    }
    Ok(())
}

/// Where the numbers of a drawing go.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("csv")
}
