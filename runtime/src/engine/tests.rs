//! Failures that no admitted model brings about, made by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use tract_core::internal::{Datum, InletId, SpecialOps, TypedFact, TypedModel};
use tract_core::ops::math;

use super::{Engine, EngineError, check_numerics, proof};
use crate::admission::{AdmittedModel, ImageShape, admit};

fn model() -> AdmittedModel {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/cifar10-rf8.onnx");
    admit(Path::new(path)).unwrap()
}

/// What an interrupted pass leaves behind is not trusted: there are no logits any more.
#[test]
fn a_pass_that_fails_is_the_engines_last() {
    let model = model();
    let image = vec![0.5; 3 * 32 * 32];
    let mut engine = Engine::unchecked(&model).unwrap();
    engine.logits(&image).unwrap();
    let output = engine.output;
    engine.output = [output[0], output[2], output[1] + 1];
    let error = engine.logits(&image).unwrap_err();
    assert!(matches!(error, EngineError::Forward(_)), "{error}");
    engine.output = output;
    for _ in 0..2 {
        let error = engine.logits(&image).unwrap_err();
        assert!(matches!(error, EngineError::Broken), "{error}");
    }
}

#[test]
fn a_graph_that_goes_in_circles_is_not_built() {
    let mut graph = TypedModel::default();
    let fact = TypedFact::dt_shape(f32::datum_type(), [1, 3, 32, 32]);
    let image = graph.add_source("image", fact).unwrap();
    let sum = graph
        .wire_node("sum", math::add(), &[image, image])
        .unwrap();
    graph.select_output_outlets(&sum).unwrap();
    graph
        .add_edge(sum[0], InletId::new(sum[0].node, 1))
        .unwrap();
    let outcome = proof::check(&graph, model().network());
    assert!(matches!(outcome, Err(EngineError::Build(_))), "{outcome:?}");
}

#[test]
fn an_image_that_cannot_be_is_not_checked() {
    let model = model();
    let mut engine = Engine::unchecked(&model).unwrap();
    let image = ImageShape {
        channels: 3,
        height: usize::MAX,
        width: 2,
    };
    let outcome = check_numerics(&mut engine, image, model.shape(), &model.geometry(), 1);
    assert!(
        matches!(outcome, Err(EngineError::Placement(_))),
        "{outcome:?}"
    );
}
