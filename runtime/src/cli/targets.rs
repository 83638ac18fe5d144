//! Where results go: `--output` and `--report`.

use std::fs;
use std::path::{Path, PathBuf};

use bagcert::frames::Input;
use bagcert::integrity::LoadedModel;
use clap::Args;

use super::output::Output;
use super::page;
use super::stop::Stop;
use super::trust::TrustArgs;

/// Where results go.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// Write the results to this file, which appears only once it is whole [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write an HTML report into this folder, which must be new, empty, or an earlier report.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
}

impl TargetArgs {
    /// Makes sure that results can go there before any work is done. What the command reads is not overwritten.
    pub(crate) fn open(
        &self,
        trust: &TrustArgs,
        path: &Path,
        model: &LoadedModel,
        inputs: &[Input],
    ) -> Result<Output, Stop> {
        page::check(self.report.as_deref())?;
        let Some(output) = self.output.as_deref() else {
            return Ok(Output::stdout());
        };
        // Nothing is there yet otherwise.
        if let Ok(place) = fs::canonicalize(output) {
            let mut trusted = trust.files(path, model).into_iter();
            let reads = trusted.any(|file| fs::canonicalize(file).is_ok_and(|file| file == place));
            if reads || inputs.iter().any(|input| input.reads(&place)) {
                return Err(Stop::Usage(format!(
                    "--output {}: this command reads that file; name another",
                    output.display()
                )));
            }
        }
        Output::to(output)
    }
}
