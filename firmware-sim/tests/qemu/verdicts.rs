//! Verdicts of the targets against this machine's.

use std::collections::BTreeMap;

use bagcert_firmware_sim::packed::{Job, write_verdict};

use super::boards::{self, Board, instructions};
use super::maps::{self, Maps, Random};

/// What one map took in one step, and the verdict.
pub(crate) struct Line {
    pub(crate) map: usize,
    pub(crate) step: String,
    pub(crate) instructions: u64,
    pub(crate) stack: u64,
    pub(crate) verdict: String,
}

/// Runs `bagcert-firmware-maps`; what the counter says of itself is checked on the way.
pub(crate) fn run(board: &Board, maps: &Maps) -> Vec<Line> {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("maps"), folder.path().join("answers"));
    maps.write(&input);
    let run = board.run("bagcert-firmware-maps", &[&input, &output]);
    let errors = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{}: {errors}", board.core);
    let text = std::fs::read_to_string(output).unwrap();
    let mut lines = text.lines();
    let words: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let [
        "ticks-per-second",
        rate,
        "nothing",
        nothing,
        "thousand",
        thousand,
    ] = words[..]
    else {
        panic!("{words:?}");
    };
    let [rate, nothing, thousand] = [rate, nothing, thousand].map(|word| word.parse().unwrap());
    // The counter counts instructions, and each of them.
    assert_eq!(
        instructions(thousand, rate) - instructions(nothing, rate),
        1000
    );
    let lines: Vec<Line> = lines
        .map(|line| {
            let mut words = line.splitn(5, ' ');
            let mut next = || words.next().unwrap_or_default();
            Line {
                map: next().parse().unwrap(),
                step: next().to_owned(),
                instructions: instructions(next().parse().unwrap(), rate)
                    - instructions(nothing, rate),
                stack: next().parse().unwrap(),
                verdict: next().to_owned(),
            }
        })
        .collect();
    assert_eq!(lines.len(), maps.maps.len() * (1 + Job::ALL.len()));
    lines
}

/// The verdicts of this machine, in the firmware's words.
fn here(maps: &Maps) -> BTreeMap<(usize, &'static str), String> {
    let layout = &maps.layout;
    let mut scores = vec![0xA5; layout.shape().score_len()];
    let mut table = vec![0x5AA5; layout.table_len()];
    let mut found = BTreeMap::new();
    for (number, map) in maps.maps.iter().enumerate() {
        let map = layout.unpack(map, &mut scores).unwrap();
        for job in Job::ALL {
            let verdict = job.run(layout, &map, &mut table).unwrap();
            let mut text = String::new();
            write_verdict(&mut text, &verdict).unwrap();
            found.insert((number, job.name()), text);
        }
    }
    found
}

fn compare(board: &Board, what: &str, maps: &Maps) {
    let expected = here(maps);
    let (mut compared, mut certified) = (0, 0);
    for line in run(board, maps) {
        if line.step == "unpack" {
            continue;
        }
        let job = Job::ALL.into_iter().find(|job| job.name() == line.step);
        let key = (line.map, job.unwrap().name());
        let found = expected.get(&key);
        assert_eq!(Some(&line.verdict), found, "{}: {key:?}", board.core);
        compared += 1;
        certified += u32::from(line.verdict.starts_with("certified"));
    }
    assert_eq!(compared, maps.maps.len() * Job::ALL.len());
    println!(
        "measured: {}: {compared} verdicts on {} {what} maps as here, {certified} of them certified",
        board.core,
        maps.maps.len()
    );
}

#[test]
fn verdicts_on_real_maps_are_those_of_this_machine() {
    let boards = boards::built();
    if boards.is_empty() {
        return;
    }
    let real = maps::real();
    for board in boards {
        compare(board, "real", &real);
    }
}

#[test]
fn verdicts_on_hard_maps_of_many_shapes_are_those_of_this_machine() {
    let mut random = Random(6);
    for board in boards::built() {
        for (classes, extents, field, patch) in [
            (10, (16, 16), (2, 8), (5, 5)),
            (2, (1, 5), (1, 2), (1, 1)),
            (9, (7, 12), (3, 6), (4, 9)),
            (16, (32, 32), (1, 6), (5, 5)),
        ] {
            let layout = maps::layout(classes, extents, field, patch);
            compare(board, "hard", &maps::hard(layout, &mut random));
        }
    }
}
