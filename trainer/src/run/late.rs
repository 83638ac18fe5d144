//! An epoch that was trained and not measured, because an image was damaged, is measured when its run goes on.

use super::{EpochLog, Observer, Run, TrainError};

/// How the line of such an epoch ends in the log.
const OPEN: &str = "\"validation\":null}\n";

impl Run<'_> {
    /// Measures the last epoch, where it should have been and is not, and writes down what came of it.
    ///
    /// # Errors
    /// An image that still cannot be used; the run's folder is then as it was.
    pub(super) fn measure_late(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let last = self.log.lines().last().unwrap_or_default();
        let Ok(entry) = serde_json::from_str::<EpochLog>(last) else {
            return Ok(());
        };
        // What else the line says stays to the letter: read and written again, its numbers may round otherwise.
        let Some(before) = self.log.strip_suffix(OPEN) else {
            return Ok(());
        };
        if entry.epoch != self.header.epoch {
            return Ok(());
        }
        let Some(validation) = self.measure()? else {
            return Ok(());
        };
        self.log = format!("{before}\"validation\":{validation}}}\n");
        self.header.data = Some(self.fingerprint.clone());
        // Before the log: a kill between the two leaves an epoch that is measured once more.
        self.save()?;
        self.write_log()?;
        observer.epoch(&EpochLog {
            validation: Some(validation),
            ..entry
        });
        Ok(())
    }
}
