//! The log of a cycle: defmt frames on bare metal where the feature `defmt` is on, else nothing.
//!
//! Which logger carries them is the firmware's choice. On a host nothing is logged from here, with
//! or without the feature: defmt needs a linker script of its own there (and no test of a crate
//! that depends on this one would link), so that programs there log the [`Report`] themselves.

use crate::outcome::Report;

#[cfg(all(feature = "defmt", target_os = "none"))]
pub(crate) fn cycle(report: &Report) {
    use crate::outcome::Outcome;
    match report.outcome {
        Outcome::Certified { class, slack } => {
            defmt::info!(
                "{=u64}: certified, class {=usize}, slack {=i64}",
                report.cycle,
                class,
                slack
            );
        }
        Outcome::NotCertified { class, slack } => {
            defmt::info!(
                "{=u64}: not certified, class {=usize}, slack {=i64}",
                report.cycle,
                class,
                slack
            );
        }
        Outcome::Fault { reason } => defmt::warn!("{=u64}: fault: {}", report.cycle, reason),
    }
    if report.lost > 0 {
        defmt::warn!(
            "{=u64}: {=u32} frames lost before this one",
            report.cycle,
            report.lost
        );
    }
    if let Some(forecast) = report.forecast.filter(|forecast| forecast.at_risk) {
        defmt::warn!("{=u64}: deadline at risk: {}", report.cycle, forecast);
    }
}

#[cfg(not(all(feature = "defmt", target_os = "none")))]
pub(crate) fn cycle(_: &Report) {}
