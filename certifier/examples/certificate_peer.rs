//! The certifier's side of `cargo xtask peers`.
//!
//! Reads score maps from a file of little-endian f32 logits. For each line that comes on
//! standard input it certifies every map once, against one square patch under Condition 3.2,
//! and answers with one line of JSON: the seconds that each map took, from logits to verdict,
//! and the verdicts. The script that drives it takes turns between this and the same
//! certificate in Python.

use bagcert_certifier::{
    Axis, Certifier, Condition, Fault, Geometry, PatchSize, ScoreMap, Shape, Verdict,
};
use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

const USAGE: &str = "usage: certificate_peer FILE CLASSES CELLS PIXELS STRIDE LO HI PATCH";

struct Case {
    shape: Shape,
    geometry: Geometry,
    patch: PatchSize,
}

fn parse(arguments: &[String]) -> Result<(String, Case), Box<dyn Error>> {
    let [file, classes, cells, pixels, stride, lo, hi, patch] = arguments else {
        return Err(USAGE.into());
    };
    let side: u32 = cells.parse()?;
    let axis = Axis::new(
        pixels.parse()?,
        side,
        stride.parse()?,
        lo.parse()?,
        hi.parse()?,
    )?;
    let patch: u32 = patch.parse()?;
    let case = Case {
        shape: Shape::new(classes.parse()?, cells.parse()?, cells.parse()?)?,
        geometry: Geometry { x: axis, y: axis },
        patch: PatchSize::new(patch, patch)?,
    };
    Ok((file.clone(), case))
}

fn certify(
    case: &Case,
    logits: &[f32],
    scores: &mut [bagcert_certifier::ScoreWord],
    table: &mut [bagcert_certifier::TableWord],
) -> Result<Verdict, Fault> {
    let map = ScoreMap::from_logits(case.shape, logits, scores)?;
    Certifier::new(&map, &case.geometry, table)?.certify(case.patch, Condition::SumWindow32)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (file, case) = parse(&arguments)?;
    let bytes = std::fs::read(&file).map_err(|error| format!("{file}: {error}"))?;
    let (words, rest) = bytes.as_chunks::<4>();
    let logits: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    let per_map = case.shape.classes() * case.shape.cells();
    if !rest.is_empty() || logits.is_empty() || !logits.len().is_multiple_of(per_map) {
        return Err(format!("{file} does not hold whole maps of {per_map} logits").into());
    }
    let mut scores = vec![0; case.shape.score_len()];
    let mut table = vec![0; case.shape.table_len()];

    for line in std::io::stdin().lock().lines() {
        line?;
        let mut seconds = Vec::new();
        let mut verdicts = Vec::new();
        for map in logits.chunks_exact(per_map) {
            let start = Instant::now();
            let verdict = certify(&case, map, &mut scores, &mut table)?;
            seconds.push(format!("{:e}", start.elapsed().as_secs_f64()));
            verdicts.push(format!(
                "[{},{},{}]",
                verdict.predicted, verdict.certified, verdict.slack
            ));
        }
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "{{\"seconds\":[{}],\"verdicts\":[{}]}}",
            seconds.join(","),
            verdicts.join(",")
        )?;
        out.flush()?;
    }
    Ok(())
}
