//! An exported file gives the network back, and nothing else is taken for one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::{fs, path::Path};

use bagcert_trainer::{
    checkpoint::Header,
    export::{export, onnx_bytes},
    import::{ImportError, import},
    network::{Mode, Network},
};
use common::untrained::{header, unsettled};
use prost::Message;
use tch::{Device, Kind, Tensor, no_grad};
use tract_onnx::pb::ModelProto;

fn network(layers: &str) -> (Header, Network) {
    let header = Header {
        epoch: 3,
        steps: 4,
        seed: 5,
        teachers: vec![],
        initial: None,
        ..header(toml::from_str(layers).unwrap())
    };
    let (network, _) = unsettled(&header, 11);
    (header, network)
}

#[test]
fn every_kind_of_network_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    for layers in [
        "width = 16\nkernels = [3, 1, 3, 1]\n",
        "width = 16\nkernels = [3, 1, 1]\npaths = 1\nstem_kernel = 4\nstem_stride = 2\n",
        "width = 16\nkernels = [3, 1]\nstem_kernel = 2\nstem_stride = 2\nposition_embedding = true\n",
        "width = 12\nkernels = [3, 1, 3]\nstrides = [2, 1, 2]\nwidths = [12, 16, 24]\n",
        "width = 12\nkernels = [3, 1, 3]\nstrides = [2, 1, 2]\nwidths = [12, 16, 24]\nposition_embedding = true\n",
        "width = 12\nkernels = [3, 1, 3]\nstrides = [2, 1, 2]\nwidths = [12, 16, 24]\nhidden_widths = [20, 8, 16]\n",
        "width = 12\nkernels = [1, 3, 3]\nstem_kernel = 2\nstrides = [1, 1, 2]\ndilations = [1, 2, 3]\nposition_embedding = true\n",
    ] {
        let (header, before) = network(layers);
        export(&path, &header, &before).unwrap();
        let (found, after, geometry) = import(&path, Device::Cpu).unwrap();
        assert_eq!(found.classes, header.classes);
        assert_eq!(found.dataset, header.dataset);
        assert_eq!(geometry, before.plan.geometry().unwrap());
        let images = Tensor::rand([8, 3, 32, 32], (Kind::Float, Device::Cpu));
        let logits = |network: &Network| no_grad(|| network.forward(&images, Mode::Evaluate));
        let (ours, theirs) = (logits(&before), logits(&after));
        let off = (&ours - &theirs).abs().max().double_value(&[]);
        let scale = ours.abs().max().double_value(&[]);
        assert!(off <= 2e-5 * scale.max(1.0), "{layers}: {off} of {scale}");
        assert!(
            ours.std(true).double_value(&[]) > 1e-3,
            "{layers}: all alike"
        );
        // Once more gives the same file.
        assert!(
            onnx_bytes(&found, &after).unwrap() == fs::read(&path).unwrap(),
            "{layers}"
        );
    }
}

/// The shipped model, whose checkpoint is not in the repository.
#[test]
fn the_shipped_model_comes_back() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/cifar10-rf8.onnx");
    let (header, network, geometry) = import(&path, Device::Cpu).unwrap();
    assert_eq!(header.classes[3], "cat");
    // The six numbers of the normalisation are not trained.
    assert_eq!(network.plan.parameter_count(), 153_904 - 6);
    assert_eq!(
        (geometry.x.receptive_field(), geometry.x.outputs()),
        (8, 16)
    );
}

/// Every change of the file is refused: a node, an attribute, a number, a name, or what lies beside the graph.
#[test]
fn other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    let (header, network) = network("width = 8\nkernels = [3, 1]\nposition_embedding = true\n");
    let bytes = onnx_bytes(&header, &network).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let error = import(&path, Device::Cpu).map(|_| ()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("m.onnx"), "{text}");
        (error, text)
    };
    let changed = |change: &dyn Fn(&mut ModelProto)| {
        let mut model = ModelProto::decode(bytes.as_slice()).unwrap();
        change(&mut model);
        refused(&model.encode_to_vec())
    };
    let graph = |change: &dyn Fn(&mut tract_onnx::pb::GraphProto)| {
        let (error, text) = changed(&|model| change(model.graph.as_mut().unwrap()));
        assert!(matches!(error, ImportError::Foreign { .. }), "{text}");
        text
    };
    let relu = |graph: &mut tract_onnx::pb::GraphProto| {
        let node = graph.node.iter_mut().find(|node| node.name == "b1.relu");
        node.unwrap().op_type = "Sigmoid".into();
    };
    assert!(graph(&relu).contains("b1.relu"));
    assert!(graph(&|graph| drop(graph.node.pop())).contains("nodes"));
    graph(&|graph| drop(graph.initializer.pop()));
    graph(&|graph| graph.initializer[2].dims[0] += 1);
    graph(&|graph| graph.initializer[2].raw_data.truncate(8));
    graph(&|graph| graph.input.clear());
    graph(&|graph| graph.output.clear());
    graph(&|graph| {
        let stem = graph
            .node
            .iter_mut()
            .find(|node| node.name == "stem")
            .unwrap();
        let pads = stem.attribute.iter_mut().find(|a| a.name == "pads");
        pads.unwrap().ints[0] = 0;
    });
    graph(&|graph| {
        let scale = graph
            .initializer
            .iter_mut()
            .find(|t| t.name == "normalise.scale");
        scale.unwrap().raw_data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let constant = |name: &'static str, change: &dyn Fn(&mut tract_onnx::pb::TensorProto)| {
        graph(&|graph| {
            let tensor = graph.initializer.iter_mut().find(|t| t.name == name);
            change(tensor.unwrap());
        })
    };
    for name in ["stem.place.value", "b2.place.value"] {
        assert!(constant(name, &|tensor| tensor.name.push('s')).contains(name));
        assert!(constant(name, &|tensor| tensor.dims[2] += 1).contains(name));
        assert!(constant(name, &|tensor| tensor.raw_data.truncate(8)).contains(name));
    }
    // Images of a size whose embeddings no memory holds.
    graph(&|graph| {
        let input = graph.input[0].r#type.as_mut().unwrap();
        let Some(tract_onnx::pb::type_proto::Value::TensorType(tensor)) = &mut input.value else {
            panic!("no tensor");
        };
        let size = tract_onnx::pb::tensor_shape_proto::dimension::Value::DimValue(4_000_000_000);
        tensor.shape.as_mut().unwrap().dim[3].value = Some(size);
    });
    // Strides that no configuration may have.
    let far = |graph: &mut tract_onnx::pb::GraphProto| {
        let node = graph.node.iter_mut().find(|node| node.name == "stem");
        let attributes = &mut node.unwrap().attribute;
        let strides = attributes.iter_mut().find(|a| a.name == "strides").unwrap();
        strides.ints = vec![9, 9];
    };
    assert!(graph(&far).contains("network.stem_stride = 9"));
    // A block whose kernel would shrink the map.
    let narrow = |graph: &mut tract_onnx::pb::GraphProto| {
        for tensor in &mut graph.initializer {
            if tensor.name == "b1.path1.conv1.weight" {
                (tensor.dims[2], tensor.dims[3]) = (2, 2);
                tensor.raw_data.truncate(8 * 8 * 2 * 2 * 4);
            }
        }
    };
    assert!(graph(&narrow).contains("b1"));
    // As many numbers as anyone asks for are not taken on trust.
    graph(&|graph| {
        for tensor in &mut graph.initializer {
            for dim in &mut tensor.dims {
                *dim = 8192;
            }
        }
    });
    changed(&|model| model.metadata_props.clear());
    changed(&|model| model.graph = None);
    let (error, _) = refused(b"not at all");
    assert!(matches!(error, ImportError::Onnx { .. }), "{error}");
    let (error, _) = refused(&[]);
    assert!(matches!(error, ImportError::Foreign { .. }), "{error}");
    for end in (0..bytes.len()).step_by(97) {
        refused(&bytes[..end]);
    }
    fs::remove_file(&path).unwrap();
    let error = import(&path, Device::Cpu).map(|_| ()).unwrap_err();
    assert!(matches!(error, ImportError::Read { .. }), "{error}");
}
