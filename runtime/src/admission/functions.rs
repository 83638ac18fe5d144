//! Element-wise functions of the typed graph that are on the list.

use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::element_wise::ElementWiseOp;
use tract_core::ops::{logic, math, nn};

use crate::network::{Binary, Unary};

/// The function of one number.
pub(crate) fn unary(op: &ElementWiseOp) -> Result<Unary, String> {
    if op.1.is_some() {
        return Err("changes the type of numbers; all maps must be f32".into());
    }
    let function = op.0.as_ref();
    let plain = [
        (function.is::<math::Abs>(), Unary::Abs),
        (function.is::<math::Neg>(), Unary::Neg),
        (function.is::<math::Sign>(), Unary::Sign),
        (function.is::<math::Recip>(), Unary::Recip),
        (function.is::<math::Square>(), Unary::Square),
        (function.is::<math::Sqrt>(), Unary::Sqrt),
        (function.is::<math::Rsqrt>(), Unary::Rsqrt),
        (function.is::<math::Exp>(), Unary::Exp),
        (function.is::<math::Ln>(), Unary::Ln),
        (function.is::<math::Floor>(), Unary::Floor),
        (function.is::<math::Ceil>(), Unary::Ceil),
        (
            function.is::<math::RoundHalfToEven>(),
            Unary::RoundHalfToEven,
        ),
        (function.is::<math::Sin>(), Unary::Sin),
        (function.is::<math::Cos>(), Unary::Cos),
        (function.is::<math::Tanh>(), Unary::Tanh),
        (function.is::<nn::Sigmoid>(), Unary::Sigmoid),
        (function.is::<nn::Silu>(), Unary::Silu),
        (function.is::<nn::HardSwish>(), Unary::HardSwish),
    ];
    if let Some((_, function)) = plain.into_iter().find(|(is, _)| *is) {
        return Ok(function);
    }
    match function.downcast_ref::<nn::LeakyRelu>() {
        Some(leaky) if leaky.alpha.is_finite() => Ok(Unary::LeakyRelu { alpha: leaky.alpha }),
        Some(_) => Err("its slope is not finite".into()),
        None => Err("it is not on the list of element-wise functions".into()),
    }
}

/// The function of two numbers, and whether its arguments change places.
pub(crate) fn binary(op: &TypedBinOp) -> Result<(Binary, bool), String> {
    if op.1.is_some() {
        return Err("changes the type of numbers; all maps must be f32".into());
    }
    let function = op.0.as_ref();
    let plain = [
        (function.is::<math::Add>(), Binary::Add, false),
        (function.is::<math::Sub>(), Binary::Sub, false),
        (function.is::<math::SubF>(), Binary::Sub, true),
        (function.is::<math::Mul>(), Binary::Mul, false),
        (function.is::<math::Div>(), Binary::Div, false),
        (function.is::<math::Max>(), Binary::Max, false),
        (function.is::<math::Min>(), Binary::Min, false),
        (function.is::<logic::CompLT>(), Binary::Less, false),
        (function.is::<logic::CompGT>(), Binary::Greater, false),
        (function.is::<logic::CompLTE>(), Binary::LessOrEqual, false),
        (
            function.is::<logic::CompGTE>(),
            Binary::GreaterOrEqual,
            false,
        ),
    ];
    plain
        .into_iter()
        .find(|(is, ..)| *is)
        .map(|(_, function, swapped)| (function, swapped))
        .ok_or_else(|| "it is not on the list of functions of two maps".into())
}
