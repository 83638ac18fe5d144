//! The same image gives the same scores in libtorch and, through the exported file, in tract.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{io::Cursor, path::Path};

use bagcert::{
    admission::admit_bytes,
    engine::{Engine, ForwardPass},
};
use bagcert_certifier::{Certifier, Condition, Geometry, PatchSize, ScoreMap, Shape, Verdict};
use bagcert_trainer::{
    checkpoint::{Checkpoint, Header, save},
    config::{NetworkConfig, Scores},
    export::{ExportError, export, onnx_bytes},
    network::Mode,
    run::build,
};
use common::untrained::{header, unsettled};
use tch::{Device, Kind, Tensor, no_grad};
use tract_onnx::prelude::*;

fn config(text: &str) -> NetworkConfig {
    toml::from_str(text).unwrap()
}

fn tract_logits(bytes: &[u8], images: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let model = tract_onnx::onnx()
        .model_for_read(&mut Cursor::new(bytes))
        .unwrap();
    let plan = model.into_optimized().unwrap().into_runnable().unwrap();
    let run = |image: &Vec<f32>| {
        let input = tract_ndarray::Array4::from_shape_vec((1, 3, 32, 32), image.clone()).unwrap();
        let output = plan.run(tvec!(Tensor4::from(input).into_tvalue())).unwrap();
        output[0]
            .to_plain_array_view::<f32>()
            .unwrap()
            .iter()
            .copied()
            .collect()
    };
    images.iter().map(run).collect()
}

/// Logits of the engine that certifies, after all of its checks.
fn engine_logits(bytes: &[u8], images: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let model = admit_bytes(bytes, Path::new("network.onnx")).unwrap();
    let mut engine = Engine::new(&model).unwrap();
    let images = images.iter();
    images
        .map(|image| engine.forward(image).unwrap().to_vec())
        .collect()
}

type Tensor4 = tract_onnx::prelude::Tensor;

fn verdict(logits: &[f32], geometry: &Geometry) -> (Vec<u32>, Verdict) {
    let shape = Shape::new(
        10,
        geometry.y.outputs() as usize,
        geometry.x.outputs() as usize,
    )
    .unwrap();
    let (mut scores, mut table) = (vec![0; shape.score_len()], vec![0; shape.table_len()]);
    let map = ScoreMap::from_logits(shape, logits, &mut scores).unwrap();
    let certifier = Certifier::new(&map, geometry, &mut table).unwrap();
    let verdict = certifier
        .certify(PatchSize::new(5, 5).unwrap(), Condition::SumWindow32)
        .unwrap();
    (map.votes().collect(), verdict)
}

#[test]
fn libtorch_and_tract_agree_on_every_kind_of_network() {
    let networks = [
        "width = 16\nkernels = [3, 1, 3, 1]\n",
        "width = 16\nkernels = [3, 1, 1]\npaths = 1\nstem_kernel = 4\nstem_stride = 2\n",
        "width = 16\nkernels = [3, 1]\nstem_kernel = 2\nstem_stride = 2\nposition_embedding = true\n",
        "width = 12\nkernels = [3, 1, 3]\nstrides = [2, 1, 2]\nwidths = [12, 16, 24]\n",
        "width = 12\nkernels = [3, 1, 3]\nstrides = [2, 1, 2]\nwidths = [12, 16, 24]\nposition_embedding = true\n",
        "width = 12\nkernels = [3, 1, 3]\nstrides = [2, 1, 2]\nwidths = [12, 16, 24]\nhidden_widths = [20, 8, 16]\n",
        "width = 12\nkernels = [1, 3, 3]\nstem_kernel = 2\nstrides = [1, 1, 2]\ndilations = [1, 2, 3]\nposition_embedding = true\n",
    ];
    for text in networks {
        let header = header(config(text));
        let (network, geometry) = unsettled(&header, 5);
        let images = Tensor::rand([6, 3, 32, 32], (Kind::Float, Device::Cpu));
        let logits = no_grad(|| network.forward(&images, Mode::Evaluate));
        let rows = |tensor: &Tensor| -> Vec<Vec<f32>> {
            (0..6)
                .map(|index| {
                    Vec::<f32>::try_from(tensor.get(index).contiguous().flatten(0, -1)).unwrap()
                })
                .collect()
        };
        let bytes = onnx_bytes(&header, &network).unwrap();
        assert_eq!(
            engine_logits(&bytes, &rows(&images)),
            tract_logits(&bytes, &rows(&images)),
            "{text}"
        );
        let mut votes = std::collections::BTreeSet::new();
        for (ours, theirs) in rows(&logits)
            .iter()
            .zip(tract_logits(&bytes, &rows(&images)))
        {
            assert_eq!(ours.len(), theirs.len(), "{text}");
            let scale = ours
                .iter()
                .fold(1.0f32, |scale, value| scale.max(value.abs()));
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert!(
                    (ours - theirs).abs() <= 2e-5 * scale,
                    "{text}: {ours} in libtorch, {theirs} in tract"
                );
            }
            let (ours, theirs) = (verdict(ours, &geometry), verdict(&theirs, &geometry));
            assert_eq!(ours, theirs, "{text}");
            votes.extend(ours.0);
        }
        assert!(
            votes.len() > 10,
            "{text}: the score maps are all alike: {votes:?}"
        );
    }
}

#[test]
fn a_checkpoint_gives_the_same_network_back() {
    let header = header(config("width = 16\nkernels = [3, 1]\n"));
    let (network, _) = unsettled(&header, 5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    save(&path, &header, &network, None).unwrap();
    let checkpoint = Checkpoint::read(&path).unwrap();
    assert_eq!(checkpoint.header, header);
    let (mut restored, _) = build(&checkpoint.header, Device::Cpu).unwrap();
    checkpoint.restore(&mut restored, None).unwrap();
    assert!(onnx_bytes(&header, &network).unwrap() == onnx_bytes(&header, &restored).unwrap());
}

#[test]
fn a_network_without_votes_is_not_exported() {
    let with = |scores| Header {
        scores,
        ..header(config("width = 8\nkernels = [3, 1]\n"))
    };
    let (network, _) = unsettled(&with(Scores::Softmax), 5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    let error = export(&path, &with(Scores::Softmax), &network).unwrap_err();
    assert!(matches!(error, ExportError::NoVotes(_)), "{error}");
    assert!(error.to_string().contains("heaviside") && !path.exists());
    // A sigmoid of a half is a logit of 0.
    for scores in [Scores::Heaviside, Scores::Sigmoid] {
        export(&path, &with(scores), &network).unwrap();
    }
    // Before scores were kept there was no such word in a checkpoint.
    let mut old = serde_json::to_value(with(Scores::Softmax)).unwrap();
    old.as_object_mut().unwrap().remove("scores").unwrap();
    let old: Header = serde_json::from_value(old).unwrap();
    assert_eq!(old, with(Scores::Heaviside));
}
