//! The attack of Section A.2 on a network that learnt something: it succeeds where it may, never where certified.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use bagcert_certifier::PatchSize;
use bagcert_trainer::{
    attack::{Attack, attack},
    checkpoint::Checkpoint,
    data::{self, Part},
    run::build,
};
use common::{run, text, write_config, write_dataset};

#[test]
fn certified_images_hold_and_a_large_patch_flips_others() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 160);
    let config = write_config(folder.path(), 30, "");
    let output = folder.path().join("run");
    let arguments = [
        "train",
        "--config",
        text(&config),
        "--data",
        text(folder.path()),
        "--output",
        text(&output),
    ];
    let (result, errors) = run(&arguments);
    assert!(result.status.success(), "{errors}");

    let checkpoint = Checkpoint::read(&output.join("checkpoint.safetensors")).unwrap();
    let (mut network, geometry) = build(&checkpoint.header, tch::Device::Cpu).unwrap();
    checkpoint.restore(&mut network, None).unwrap();
    let images = data::read(folder.path(), Part::Test).unwrap().slice(0, 60);
    let mut reports = vec![];
    for side in [3, 24] {
        let options = Attack {
            patch: PatchSize::new(side, side).unwrap(),
            steps: 10,
            step_size: 0.1,
        };
        tch::manual_seed(1);
        let report = attack(&network, &images, &geometry, &options, 20, &mut |_| {}).unwrap();
        assert_eq!(report.broken, Vec::<i64>::new());
        assert!(
            report.certified <= report.attacked && report.attacked <= report.clean,
            "{report:?}"
        );
        reports.push(report);
    }
    assert!(
        reports[0].certified > 0.2,
        "too few certified to mean anything: {:?}",
        reports[0]
    );
    assert!(
        reports[1].attacked < reports[1].clean,
        "the attack never succeeds: {:?}",
        reports[1]
    );
}
