//! Networks that learnt nothing.

use bagcert_certifier::Geometry;
use bagcert_trainer::{
    checkpoint::Header,
    config::{NetworkConfig, Scores},
    data::CLASS_NAMES,
    network::{Mode, Network},
    run::build,
};
use tch::{Device, Kind, Tensor, no_grad};

/// What a checkpoint of a network for CIFAR-10 says, before its first epoch.
pub(crate) fn header(network: NetworkConfig) -> Header {
    Header {
        version: 1,
        network,
        scores: Scores::Heaviside,
        classes: CLASS_NAMES.map(String::from).to_vec(),
        dataset: "CIFAR-10".into(),
        normalisation: vec![(0.4914, 0.2470), (0.4822, 0.2435), (0.4465, 0.2616)],
        image_size: 32,
        resize: None,
        data: None,
        epoch: 0,
        steps: 0,
        seed: 0,
        teachers: vec![],
        initial: None,
    }
}

/// A network whose batch-normalisation statistics and scales are not the initial ones.
pub(crate) fn unsettled(header: &Header, seed: i64) -> (Network, Geometry) {
    tch::manual_seed(seed);
    let (network, geometry) = build(header, Device::Cpu).unwrap();
    no_grad(|| {
        let images = Tensor::rand([64, 3, 32, 32], (Kind::Float, Device::Cpu));
        for _ in 0..20 {
            let _ = network.forward(&images, Mode::Train { shake: true });
        }
        let flat = network.parameters.flat.shallow_clone();
        let _ = flat.shallow_clone().g_add_(&(flat.randn_like() * 0.02));
    });
    (network, geometry)
}
