//! Time of certificates on score maps of the paper's sizes: `cargo bench -p bagcert-certifier`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use bagcert_certifier::{
    Axis, Certifier, Condition, Geometry, MaskCertifier, MaskSet, Masking, PatchSize, ScoreMap,
    Shape, rectangles_of_area,
};
use criterion::{Criterion, criterion_group, criterion_main};

/// A square network output and a map in its caller's memory.
struct Frame {
    shape: Shape,
    geometry: Geometry,
    logits: Vec<f32>,
    scores: Vec<u8>,
    table: Vec<i16>,
}

impl Frame {
    fn new(classes: usize, axis: Axis) -> Self {
        let side = axis.outputs() as usize;
        let shape = Shape::new(classes, side, side).unwrap();
        Self {
            shape,
            geometry: Geometry { x: axis, y: axis },
            logits: logits(shape),
            scores: vec![0; shape.score_len()],
            table: vec![0; shape.table_len().max(shape.masks_len(1))],
        }
    }

    /// CIFAR-10 at receptive field 7.
    fn cifar() -> Self {
        Self::new(10, Axis::new(32, 32, 1, -3, 3).unwrap())
    }

    /// ImageNet at receptive field 17.
    fn imagenet() -> Self {
        Self::new(1000, Axis::new(224, 56, 4, -8, 8).unwrap())
    }
}

/// Logits of blotches: one class in the middle of the map, the others strewn about. Reproducible.
fn logits(shape: Shape) -> Vec<f32> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut logits = Vec::with_capacity(shape.classes() * shape.cells());
    for class in 0..shape.classes() {
        for cell in 0..shape.cells() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let (y, x) = (cell / shape.width(), cell % shape.width());
            let inner = y > shape.height() / 8 && x > shape.width() / 8;
            let noise = (state >> 40) as f32 / (1u64 << 24) as f32;
            let bias = if class == 3 && inner { 0.05 } else { 0.9 };
            logits.push(noise - bias);
        }
    }
    logits
}

fn certificates(c: &mut Criterion) {
    let square = |side| PatchSize::new(side, side).unwrap();

    let mut f = Frame::cifar();
    c.bench_function("binarise/10x32x32", |b| {
        b.iter(|| {
            let map = ScoreMap::from_logits(f.shape, black_box(&f.logits), &mut f.scores).unwrap();
            map.predicted()
        });
    });
    let map = ScoreMap::from_logits(f.shape, &f.logits, &mut f.scores).unwrap();
    let mut run = |name: &str, body: &dyn Fn(&Certifier<'_>) -> i64| {
        c.bench_function(name, |b| {
            b.iter(|| {
                let certifier = Certifier::new(black_box(&map), &f.geometry, &mut f.table).unwrap();
                body(&certifier)
            });
        });
    };
    run("tables/10x32x32", &|_| 0);
    let condition = Condition::SumWindow32;
    run("tables+certify/10x32x32/5x5", &|certifier| {
        certifier.certify(square(5), condition).unwrap().slack
    });
    run("tables+sweep/10x32x32/24 pixels", &|certifier| {
        let sweep = certifier.sweep(rectangles_of_area(24, 32, 32), condition);
        sweep.map(|verdict| verdict.unwrap().slack).sum()
    });
    run("tables+sweep/10x32x32/squares 1..=32", &|certifier| {
        certifier
            .squares(condition)
            .map(|verdict| verdict.slack)
            .sum()
    });
    run("tables+largest square/10x32x32", &|certifier| {
        certifier.largest_square().into()
    });
    run("tables+certify/10x32x32/5x5/3.3", &|certifier| {
        certifier
            .certify(square(5), Condition::SumGlobal33)
            .unwrap()
            .slack
    });

    for (name, masking) in [("mask", Masking::Single), ("double mask", Masking::Double)] {
        c.bench_function(&format!("tables+{name}/10x32x32/5x5"), |b| {
            let patches = [square(5)];
            let set = MaskSet::new(&f.geometry, &patches).unwrap();
            b.iter(|| {
                let masks = MaskCertifier::new(black_box(&map), set, masking, &mut f.table);
                masks.unwrap().certify(square(5)).unwrap().slack
            });
        });
    }

    let mut f = Frame::imagenet();
    c.bench_function("binarise/1000x56x56", |b| {
        b.iter(|| {
            let map = ScoreMap::from_logits(f.shape, black_box(&f.logits), &mut f.scores).unwrap();
            map.predicted()
        });
    });
    let map = ScoreMap::from_logits(f.shape, &f.logits, &mut f.scores).unwrap();
    c.bench_function("tables+certify/1000x56x56/32x32", |b| {
        b.iter(|| {
            let certifier = Certifier::new(black_box(&map), &f.geometry, &mut f.table).unwrap();
            certifier.certify(square(32), condition).unwrap().slack
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(std::time::Duration::from_secs(2)).warm_up_time(std::time::Duration::from_millis(500));
    targets = certificates
}
criterion_main!(benches);
