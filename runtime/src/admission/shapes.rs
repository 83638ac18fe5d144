//! Every shape must be a number before the library reasons on.
//!
//! Two maps of different sizes, put together, have a shape that the library writes as a formula and
//! carries on, though no frame could pass there. Simplifying formulas of formulas takes it memory
//! and time without bound, so they are found here one operation at a time.

use tract_onnx::prelude::{InferenceFact, InferenceModel};
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::{OutletId, TVec};

use super::error::Refusal;

/// Infers the shapes forward, and refuses the first node with one that is not a number.
pub(super) fn check(model: &mut InferenceModel) -> Result<(), Refusal> {
    let failed = |error| Refusal::Analysis(format!("{error:#}"));
    for id in model.eval_order().map_err(failed)? {
        let (inputs, outputs) = model.node_facts(id).map_err(failed)?;
        let inputs: TVec<_> = inputs.into_iter().cloned().collect();
        let outputs: TVec<_> = outputs.into_iter().cloned().collect();
        let node = model.node_mut(id);
        let (name, op) = (node.name.clone(), node.op.name());
        let inferred = node
            .op
            .infer(
                inputs.iter().collect(),
                outputs.iter().collect(),
                TVec::new(),
            )
            .map_err(|error| Refusal::Analysis(format!("node \"{name}\" ({op}): {error:#}")))?;
        for (slot, (fact, before)) in inferred.1.iter().zip(&outputs).enumerate() {
            let symbolic = fact
                .shape
                .dims()
                .filter_map(|dim| dim.concretize())
                .find(|dim| dim.to_i64().is_err());
            if let Some(dim) = symbolic {
                let reason = format!(
                    "its shape is not fixed (a dimension is {dim}): it combines maps of {} cells; \
                     repeating cells over space is not local",
                    sizes(&inputs)
                );
                return Err(Refusal::node(name.as_str(), op.clone(), reason));
            }
            let fact = before.unify(fact).map_err(failed)?;
            model
                .set_outlet_fact(OutletId::new(id, slot), fact)
                .map_err(failed)?;
        }
    }
    Ok(())
}

/// Height and width of each map, for the message.
fn sizes(inputs: &[InferenceFact]) -> String {
    let sizes: Vec<String> = inputs
        .iter()
        .filter_map(|fact| match fact.shape.concretize()?.as_slice() {
            [.., height, width] => Some(format!("{height}x{width}")),
            _ => None,
        })
        .take(8)
        .collect();
    sizes.join(" and ")
}
