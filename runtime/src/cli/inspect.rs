//! `bagcert inspect`: what a model is, or why it is refused.

use std::path::Path;

use bagcert::admission::AdmittedModel;
use bagcert::integrity::{self, LoadedModel, Standing};
use bagcert_certifier::{Axis, PatchSize};
use serde::Serialize;

use super::args::{InspectArgs, InspectFormat, check_fits};
use super::output::Output;
use super::printable;
use super::rows::json;
use super::stop::Stop;

/// Runs the command. A refused model ends with its reason and status 3; with `--format json` the
/// standard output says so as well.
pub(crate) fn run(args: &InspectArgs) -> Result<usize, Stop> {
    let mut output = Output::stdout();
    let loaded = match LoadedModel::bare(&args.model) {
        Ok(loaded) => loaded,
        Err(error) => {
            let stop = Stop::from(error);
            if let (Stop::Refused(reason), InspectFormat::Json) = (&stop, args.format) {
                let refusal = Refusal {
                    admitted: false,
                    reason,
                };
                output.write(&(json(&refusal)? + "\n"))?;
                output.finish()?;
            }
            return Err(stop);
        }
    };
    let model = loaded.admitted();
    let standing = integrity::standing(&args.model, loaded.fingerprint());
    let facts = Facts::new(model, &standing, &args.patch)?;
    let text = match args.format {
        InspectFormat::Json => json(&facts)? + "\n",
        InspectFormat::Table => facts.table(model) + &manifest_line(&args.model, &standing),
    };
    output.write(&text)?;
    output.finish()?;
    Ok(0)
}

#[derive(Serialize)]
struct Refusal<'a> {
    admitted: bool,
    reason: &'a str,
}

/// The facts of an admitted model; keys and their order are part of the interface.
#[derive(Serialize)]
struct Facts<'a> {
    admitted: bool,
    input: InputFacts,
    output: OutputFacts,
    receptive_field: ReceptiveField,
    affected: Vec<Affected>,
    parameters: u64,
    macs: u64,
    sha256: &'a str,
    /// "matches", "differs", "missing" or "invalid".
    manifest: &'static str,
}

#[derive(Serialize)]
struct InputFacts {
    channels: usize,
    height: u32,
    width: u32,
}

#[derive(Serialize)]
struct OutputFacts {
    classes: usize,
    height: usize,
    width: usize,
}

#[derive(Serialize)]
struct ReceptiveField {
    x: AxisFacts,
    y: AxisFacts,
}

#[derive(Serialize)]
struct AxisFacts {
    stride: u32,
    lo: i32,
    hi: i32,
}

#[derive(Serialize)]
struct Affected {
    patch: [u32; 2],
    max_cells: u32,
}

impl<'a> Facts<'a> {
    fn new(
        model: &'a AdmittedModel,
        standing: &Standing,
        patches: &[PatchSize],
    ) -> Result<Facts<'a>, Stop> {
        let size = model.image_size();
        let geometry = model.geometry();
        let shape = model.shape();
        let mut affected = Vec::with_capacity(patches.len());
        for &patch in patches {
            check_fits(patch, size)?;
            let max_cells = geometry
                .max_affected_cells(patch)
                .map_err(|error| Stop::Usage(format!("--patch {patch}: {error}")))?;
            affected.push(Affected {
                patch: [patch.width(), patch.height()],
                max_cells,
            });
        }
        Ok(Facts {
            admitted: true,
            input: InputFacts {
                channels: model.input().channels,
                height: size.height,
                width: size.width,
            },
            output: OutputFacts {
                classes: shape.classes(),
                height: shape.height(),
                width: shape.width(),
            },
            receptive_field: ReceptiveField {
                x: AxisFacts::new(&geometry.x),
                y: AxisFacts::new(&geometry.y),
            },
            affected,
            parameters: model.parameters(),
            macs: model.macs(),
            sha256: model.sha256(),
            manifest: match standing {
                Standing::Matches(_) => "matches",
                Standing::Differs(_) => "differs",
                Standing::Missing => "missing",
                Standing::Invalid(_) => "invalid",
            },
        })
    }

    fn table(&self, model: &AdmittedModel) -> String {
        let geometry = model.geometry();
        let cells = u64::from(geometry.x.outputs()) * u64::from(geometry.y.outputs());
        let mut text = format!(
            "admitted         yes: every operation is local\n\
             input            {} channels, {} x {} pixels (width x height)\n\
             output           {} classes, {} x {} cells\n\
             receptive field  {} x {} pixels\n",
            self.input.channels,
            self.input.width,
            self.input.height,
            self.output.classes,
            self.output.width,
            self.output.height,
            geometry.x.receptive_field(),
            geometry.y.receptive_field(),
        );
        for (name, axis) in [
            ("x", &self.receptive_field.x),
            ("y", &self.receptive_field.y),
        ] {
            text += &format!(
                "  along {name}        cell i reads pixels {}i{:+} to {}i{:+}\n",
                axis.stride, axis.lo, axis.stride, axis.hi
            );
        }
        for affected in &self.affected {
            let [width, height] = affected.patch;
            text += &format!(
                "{:<17}affects at most {} of {cells} cells\n",
                format!("patch {width}x{height}"),
                affected.max_cells
            );
        }
        text += &format!(
            "parameters       {}\nmultiply-adds    {}\nsha256           {}\nclasses          {}\n",
            self.parameters,
            self.macs,
            self.sha256,
            model.class_names().join(", ").escape_debug()
        );
        text
    }
}

/// Whether `certify`, `eval` and `bench` will load the file as it is.
fn manifest_line(model: &Path, standing: &Standing) -> String {
    let path = integrity::manifest_path(model);
    let path = printable(&path.display().to_string());
    let words = match standing {
        Standing::Matches(manifest) => {
            format!(
                "{path}: of this file, with {} golden frames",
                manifest.golden().len()
            )
        }
        Standing::Differs(manifest) => {
            format!("{path}: of another file, {}", manifest.model().sha256)
        }
        Standing::Missing => "none".to_owned(),
        Standing::Invalid(reason) => printable(&format!("not understood: {reason}")),
    };
    format!("manifest         {words}\n")
}

impl AxisFacts {
    fn new(axis: &Axis) -> AxisFacts {
        AxisFacts {
            stride: axis.stride(),
            lo: axis.lo(),
            hi: axis.hi(),
        }
    }
}
