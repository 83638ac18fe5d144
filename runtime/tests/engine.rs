//! The engine: what it takes, what it gives, and what its numerics check catches.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use bagcert::admission::admit;
use bagcert::engine::{Engine, EngineError};
use common::onnx::small_classifier;

#[test]
fn a_small_classifier_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = small_classifier(32, 32).write(folder.path(), "small.onnx");
    let model = admit(&path).unwrap();
    println!(
        "{:#?}",
        model
            .network()
            .nodes()
            .iter()
            .map(|n| (&n.name, n.shape, n.y, n.x))
            .collect::<Vec<_>>()
    );
    println!("{model:?} {} {}", model.parameters(), model.macs());
    let start = std::time::Instant::now();
    let mut engine = Engine::new(&model).unwrap();
    println!("{:?}", start.elapsed());
    let image = vec![0.5; 3 * 32 * 32];
    let logits = engine.logits(&image).unwrap();
    assert_eq!(logits.len(), 10 * 32 * 32);
    assert!(matches!(
        engine.logits(&image[1..]),
        Err(EngineError::ImageLength { .. })
    ));
}
