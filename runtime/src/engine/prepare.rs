//! From the graph that was proved local to one that tract may optimise.

use tract_core::internal::{
    OutletId, TractResult, TypedModel, TypedModelPatch, TypedNode, TypedOp,
};
use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::cnn::{Conv, PaddingSpec};
use tract_core::ops::konst::Const;
use tract_core::ops::math;
use tract_core::ops::source::TypedSource;

/// Works around two rules of tract 0.23.9's optimiser that change what a model computes.
pub(super) fn prepare(typed: &TypedModel) -> TractResult<TypedModel> {
    let mut model = typed.clone();
    turn(&mut model)?;
    make_padding_explicit(&mut model)?;
    Ok(model)
}

/// Writes padding that follows from the size of the map as fixed numbers.
///
/// The optimiser moves the stride of a 1x1 convolution to the convolution before it; with padding
/// by rule ("same") that changes the padding too, and with it what each cell reads.
fn make_padding_explicit(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes().len() {
        let node = model.node(id);
        let Some(conv) = node.op_as::<Conv>() else {
            continue;
        };
        if !matches!(
            conv.pool_spec.padding,
            PaddingSpec::SameUpper | PaddingSpec::SameLower
        ) {
            continue;
        }
        let Some(input) = node.inputs.first() else {
            continue;
        };
        let fact = model.outlet_fact(*input)?;
        let Some([_, _, height, width]) = fact.shape.as_concrete() else {
            continue;
        };
        let padding = conv.pool_spec.computed_padding(&[*height, *width]);
        let before = padding.iter().map(|axis| axis.pad_before).collect();
        let after = padding.iter().map(|axis| axis.pad_after).collect();
        let mut conv = conv.clone();
        conv.pool_spec.padding = PaddingSpec::Explicit(before, after);
        TypedModelPatch::replace_single_op(model, node, &node.inputs, conv)?.apply(model)?;
    }
    Ok(())
}

/// Writes `a - b` as `a + (-b)` and `a / b` as `a * (1 / b)` where `b` is a map.
///
/// The optimiser of tract 0.23.9 folds "per-channel constant minus convolution" (and the same
/// with a division) into the convolution's weights as if the operands stood the other way round
/// (`Conv::declutter_channel_arithmetic_succ`), which gives other logits. It has no such rule for
/// the forms written here. The first is exact; the second may round differently.
fn turn(model: &mut TypedModel) -> TractResult<()> {
    let nodes: Vec<usize> = model
        .nodes()
        .iter()
        .filter(|node| rewritten(model, node).is_some())
        .map(|node| node.id)
        .collect();
    for id in nodes {
        let node = model.node(id);
        let Some((inverse, joined)) = rewritten(model, node) else {
            continue;
        };
        let name = model.unique_name(format!("{}.turned", node.name));
        let mut patch = TypedModelPatch::default();
        let taps = patch.taps(model, &node.inputs)?;
        let (Some(left), Some(right)) = (taps.first(), taps.get(1)) else {
            continue;
        };
        let right = patch.wire_node(format!("{name}.inverse"), inverse, &[*right])?;
        let inputs: Vec<OutletId> = std::iter::once(*left).chain(right).collect();
        let joined = patch.wire_node(name, joined, &inputs)?;
        if let Some(outlet) = joined.first() {
            patch.shunt_outside(model, id.into(), *outlet)?;
        }
        patch.apply(model)?;
    }
    Ok(())
}

/// What stands for the right operand, and what joins it to the left one.
fn rewritten(model: &TypedModel, node: &TypedNode) -> Option<(Box<dyn TypedOp>, Box<dyn TypedOp>)> {
    let op = node.op_as::<TypedBinOp>()?;
    let (_, right) = (node.inputs.first()?, node.inputs.get(1)?);
    if !depends_on_image(model, *right) {
        return None;
    }
    if op.0.is::<math::Sub>() {
        Some((Box::new(math::neg()), Box::new(math::add())))
    } else if op.0.is::<math::Div>() {
        Some((Box::new(math::recip()), Box::new(math::mul())))
    } else {
        None
    }
}

/// Whether any input of the graph lies behind this value.
fn depends_on_image(model: &TypedModel, outlet: OutletId) -> bool {
    let mut seen = vec![false; model.nodes().len()];
    let mut open = vec![outlet.node];
    while let Some(id) = open.pop() {
        let (Some(node), Some(seen)) = (model.nodes().get(id), seen.get_mut(id)) else {
            continue;
        };
        if std::mem::replace(seen, true) || node.op_is::<Const>() {
            continue;
        }
        if node.op_is::<TypedSource>() {
            return true;
        }
        open.extend(node.inputs.iter().map(|input| input.node));
    }
    false
}
