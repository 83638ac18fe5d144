//! What the commands put into their HTML report.

use std::fs;
use std::path::Path;

use bagcert::admission::AdmittedModel;
use bagcert::pipeline::Query;
use bagcert::report::{self, Gallery, ModelFacts, Report, ReportError};
use bagcert::tally::Tally;

use super::say;
use super::stop::Stop;

/// The parts of a report that `certify` and `eval` share.
pub(crate) struct Page<'a> {
    pub(crate) title: &'a str,
    pub(crate) path: &'a Path,
    pub(crate) model: &'a AdmittedModel,
    pub(crate) query: &'a Query,
    pub(crate) tally: &'a Tally,
    pub(crate) gallery: &'a Gallery,
    pub(crate) failures: usize,
    pub(crate) seconds: f64,
    pub(crate) data: Option<&'a str>,
}

impl Page<'_> {
    /// Writes the report and says where it is.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Stop> {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        let report = Report {
            title: self.title,
            model: ModelFacts {
                name: name.to_string_lossy().into_owned(),
                sha256: self.model.sha256(),
                parameters: self.model.parameters(),
                macs: self.model.macs(),
                channels: self.model.input().channels,
                shape: self.model.shape(),
                geometry: self.model.geometry(),
                class_names: self.model.class_names(),
            },
            query: self.query,
            tally: self.tally,
            gallery: self.gallery,
            failures: self.failures,
            seconds: self.seconds,
            data: self.data,
        };
        let index = report::write(folder, &report).map_err(stop)?;
        say(&format!("report written: {}", index.display()));
        Ok(())
    }
}

/// Refuses a report folder that holds something else, before any work is done, and makes the folder around it.
pub(crate) fn check(folder: Option<&Path>) -> Result<(), Stop> {
    let Some(folder) = folder else {
        return Ok(());
    };
    report::check_target(folder).map_err(stop)?;
    let parent = folder.parent().unwrap_or(folder);
    if parent.as_os_str().is_empty() || parent.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(parent).map_err(|error| {
        Stop::Usage(format!(
            "--report {}: the folder {} cannot be made: {error}",
            folder.display(),
            parent.display()
        ))
    })
}

fn stop(error: ReportError) -> Stop {
    match error {
        ReportError::Taken { .. } | ReportError::NotAFolder { .. } => {
            Stop::Usage(format!("--report {error}"))
        }
        // Its words hold the system's reason already.
        other => Stop::Failed(anyhow::anyhow!("--report {other}")),
    }
}
