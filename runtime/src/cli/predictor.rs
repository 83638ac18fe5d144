//! Which predictor answers, as `certify`, `eval` and `bench` ask for it.

use std::num::NonZeroU32;

use bagcert::admission::AdmittedModel;
use bagcert::pipeline::Query;
use bagcert_certifier::{Condition, MaskSet, PatchSize, Span};
use clap::Args;

use super::stop::Stop;

/// What answers for a frame, and what its certificates rest on.
#[derive(Debug, Args)]
pub(crate) struct PredictorArgs {
    /// The sufficient condition: 3.2 and 3.1 are exact for summed votes, 3.3 is cheaper and weaker;
    /// mask and double-mask certify predictors of their own.
    ///
    /// The masking predictors leave windows out of the score map. Their windows are made for all the
    /// patch sizes asked for together, so the answer itself depends on these; each line then says
    /// whether this one answer is certified against its size. To certify each size with a
    /// predictor of its own, run the command once for each.
    #[arg(long, default_value = "3.2")]
    pub(crate) condition: Condition,
    /// For mask and double-mask: take every N-th window along each axis, N - 1 cells longer; faster,
    /// and weaker.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) mask_step: NonZeroU32,
    /// For double-mask: outside every two windows a class must win with N votes fewer to override the vote, and
    /// lead by more than N to be certified. More frames keep the answer of the plain vote, and fewer are certified.
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) lead: u32,
}

impl PredictorArgs {
    /// Refuses what this model cannot answer under, for these patch sizes.
    pub(crate) fn check(&self, model: &AdmittedModel, patches: &[PatchSize]) -> Result<(), Stop> {
        check_masks(model, patches, self.condition, self.mask_step)?;
        check_lead(model, self.condition, self.lead)
    }

    /// The verdicts for these patch sizes, and nothing besides.
    pub(crate) fn query(&self, patches: Vec<PatchSize>) -> Query {
        Query {
            patches,
            condition: self.condition,
            mask_step: self.mask_step,
            lead: self.lead,
            largest_square: false,
            keep_scores: false,
        }
    }
}

/// Masks must leave something to answer with, and a step between them is for masks only.
pub(crate) fn check_masks(
    model: &AdmittedModel,
    patches: &[PatchSize],
    condition: Condition,
    step: NonZeroU32,
) -> Result<(), Stop> {
    if condition.masking().is_none() {
        if step > NonZeroU32::MIN {
            return Err(Stop::Usage(format!(
                "--mask-step {step}: condition {condition} has no masks; leave it out, or use --condition mask or double-mask"
            )));
        }
        return Ok(());
    }
    let (geometry, shape) = (model.geometry(), model.shape());
    let cells = |span: Span| (span.last - span.first + 1) as usize;
    for patch in patches {
        let one = std::slice::from_ref(patch);
        // A patch that does not fit is another error.
        let Ok(set) = MaskSet::new(&geometry, one) else {
            continue;
        };
        let set = set.with_step(step);
        let mut windows = set.windows();
        if windows
            .any(|window| (cells(window.x), cells(window.y)) == (shape.width(), shape.height()))
        {
            return Err(Stop::Usage(format!(
                "--condition {condition}: a mask for {patch} with a step of {step} covers all {}x{} cells of the score \
                 map, which leaves no vote to answer with; use smaller patches, a smaller --mask-step, or --condition 3.2",
                shape.width(),
                shape.height(),
            )));
        }
    }
    Ok(())
}

/// A lead is for double masking only, and no class can have one of as many votes as there are cells.
pub(crate) fn check_lead(
    model: &AdmittedModel,
    condition: Condition,
    lead: u32,
) -> Result<(), Stop> {
    if lead > 0 && condition != Condition::DoubleMask {
        return Err(Stop::Usage(format!(
            "--lead {lead}: condition {condition} asks for none; leave it out, or use --condition double-mask"
        )));
    }
    let cells = model.shape().cells();
    if usize::try_from(lead).is_ok_and(|lead| lead < cells) {
        return Ok(());
    }
    Err(Stop::Usage(format!(
        "--lead {lead}: no class of a score map of {cells} cells can be ahead by more votes than that; use a smaller one"
    )))
}
