//! Charts: what is drawn, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bagcert_charts::{Chart, ChartError, GREY, Line, Marker, Point, Scale, Series, colour, svg};

fn series(name: &str, marker: Marker, points: &[(f64, f64)]) -> Series {
    Series {
        name: name.into(),
        colour: colour(0),
        marker,
        line: Line::Solid,
        points: points.iter().map(|&(x, y)| Point::new(x, y)).collect(),
    }
}

fn chart(all: Vec<Series>) -> Chart {
    Chart {
        title: "Clean & <certified>".into(),
        x: Scale::new("clean accuracy, %", 60.0, 90.0),
        y: Scale::new("certified accuracy, %", 0.0, 80.0),
        series: all,
    }
}

#[test]
fn a_chart_shows_every_point_and_name_inside_itself() {
    let mut all = vec![series(
        "one",
        Marker::Disc,
        &[(62.0, 10.0), (70.0, 20.0), (80.0, 30.0)],
    )];
    all.push(Series {
        colour: GREY,
        line: Line::None,
        ..series("two & more", Marker::Ring, &[(85.0, 60.0)])
    });
    all.push(series("", Marker::Triangle, &[(61.0, 70.0)]));
    all[1].points[0].label = "here <".into();
    let svg = svg(&chart(all)).unwrap();
    assert!(
        svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"),
        "{svg}"
    );
    let head = svg.split('>').next().unwrap();
    for attribute in ["viewBox=", "width=", "height=", "xmlns=", "role="] {
        assert_eq!(head.matches(attribute).count(), 1, "{attribute} in {head}");
    }
    // Three discs; a ring is a white disc and a line; each again in the legend.
    assert_eq!(svg.matches("<circle").count(), 3 + 2 + 1 + 2);
    for text in [
        "one",
        "two &amp; more",
        "here &lt;",
        "Clean &amp; &lt;certified&gt;",
        "clean accuracy, %",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    // Nothing is loaded from elsewhere.
    assert!(!svg.contains("href") && !svg.contains("url("));
}

#[test]
fn names_stand_at_their_places() {
    let names: Vec<String> = ["1x24", "2x12", "3x8"].map(String::from).to_vec();
    let chart = Chart {
        x: Scale::named("patch", names.clone()),
        ..chart(vec![series("", Marker::Disc, &[(0.0, 5.0), (2.0, 9.0)])])
    };
    let svg = svg(&chart).unwrap();
    for name in names {
        assert_eq!(
            svg.matches(&format!("{name}\n")).count(),
            1,
            "{name} in {svg}"
        );
    }
}

#[test]
fn a_percent_scale_holds_its_values() {
    for values in [vec![24.4, 34.8], vec![0.0], vec![99.0, 100.0], vec![35.0]] {
        let scale = Scale::percent("", values.iter().copied(), 5.0);
        assert!(scale.from >= 0.0 && scale.to <= 100.0 && scale.from < scale.to);
        assert!(
            values
                .iter()
                .all(|value| (scale.from..=scale.to).contains(value)),
            "{scale:?}"
        );
    }
    let empty = Scale::percent("", [], 5.0);
    assert_eq!((empty.from, empty.to), (0.0, 100.0));
}

#[test]
fn what_is_no_number_is_refused() {
    let bad = chart(vec![series("one", Marker::Disc, &[(f64::NAN, 1.0)])]);
    assert!(matches!(svg(&bad), Err(ChartError::Point { series }) if series == "one"));
    for (from, to) in [
        (1.0, 1.0),
        (2.0, 1.0),
        (f64::NAN, 1.0),
        (0.0, f64::INFINITY),
    ] {
        let bad = Chart {
            y: Scale::new("y", from, to),
            ..chart(vec![])
        };
        assert!(
            matches!(svg(&bad), Err(ChartError::Scale { .. })),
            "{from} to {to}"
        );
    }
}

/// Left, top, right and bottom of the words of a chart, by its SVG.
fn covered(svg: &str, words: &str) -> [f64; 4] {
    let (before, _) = svg.split_once(&format!(">\n{words}\n")).expect("words");
    let tag = before.rsplit("<text ").next().expect("a tag");
    let attribute = |name: &str| {
        let (_, after) = tag.split_once(&format!("{name}=\"")).unwrap_or_default();
        after.split('"').next().unwrap_or_default()
    };
    let x: f64 = attribute("x").parse().unwrap();
    let y: f64 = attribute("y").parse().unwrap();
    let width = 7.0 * words.len() as f64;
    let left = match attribute("text-anchor") {
        "start" => x,
        "middle" => x - width / 2.0,
        "end" => x - width,
        other => panic!("{other:?} in {tag}"),
    };
    // Where letters stand on their line, hang from it or lie across it.
    let top = match attribute("dy") {
        "-0.5ex" => y - 12.0,
        "0.76em" => y,
        "0.5ex" => y - 6.0,
        other => panic!("{other:?} in {tag}"),
    };
    [left, top, left + width, top + 12.0]
}

/// The middles of all discs of a chart.
fn discs(svg: &str) -> Vec<(f64, f64)> {
    let number = |tag: &str, name: &str| -> f64 {
        let (_, after) = tag.split_once(&format!("{name}=\"")).unwrap();
        after.split('"').next().unwrap().parse().unwrap()
    };
    let tags = svg.split("<circle ").skip(1);
    tags.map(|tag| (number(tag, "cx"), number(tag, "cy")))
        .collect()
}

#[test]
fn words_stand_on_no_mark() {
    let cross = |x, y| {
        let mut cross = series("", Marker::Cross, &[(x, y)]);
        cross.points[0].label = "of a paper".into();
        cross
    };
    let alone = covered(&svg(&chart(vec![cross(75.0, 40.0)])).unwrap(), "of a paper");
    // A row of discs through where the words were, and others at each side.
    let rows = [
        vec![],
        vec![40.0],
        vec![43.0],
        vec![37.0, 43.0],
        vec![37.0, 40.0, 43.0],
    ];
    let mut moved = 0;
    for y in rows {
        for from in [70.0, 72.0, 74.0, 76.0] {
            let at = y.iter().map(|&y| (from, y));
            let discs_at: Vec<_> = at.collect();
            let all = vec![series("", Marker::Disc, &discs_at), cross(75.0, 40.0)];
            let all = svg(&chart(all)).unwrap();
            let [left, top, right, under] = covered(&all, "of a paper");
            moved += usize::from([left, top, right, under] != alone);
            for (x, y) in discs(&all) {
                let apart = x + 5.0 < left || x - 5.0 > right || y + 5.0 < top || y - 5.0 > under;
                assert!(
                    apart,
                    "the disc at {x}, {y} in {left}..{right}, {top}..{under}"
                );
            }
        }
    }
    assert!(moved > 0, "no disc was in the way");
    // At the edges no word leaves the chart: its plot ends 16 pixels before 620.
    for x in [60.0, 61.0, 75.0, 89.0, 90.0] {
        let [left, _, right, _] =
            covered(&svg(&chart(vec![cross(x, 40.0)])).unwrap(), "of a paper");
        assert!(left >= 0.0 && right <= 604.0, "{left}..{right}");
    }
}

#[test]
fn words_stand_on_no_line_and_no_other_words() {
    let cross = |x, y, label: &str| {
        let mut cross = series("", Marker::Cross, &[(x, y)]);
        cross.points[0].label = label.into();
        cross
    };
    let alone = covered(
        &svg(&chart(vec![cross(75.0, 40.0, "first")])).unwrap(),
        "first",
    );
    // A line between two far points, level with where the words were: 44 is 16 pixels above 40.
    let line = series("", Marker::None, &[(62.0, 44.0), (88.0, 44.0)]);
    let beside = svg(&chart(vec![line, cross(75.0, 40.0, "first")])).unwrap();
    assert_ne!(covered(&beside, "first"), alone, "words on a line");
    // Crosses so near to each other that both would have their words in the same place.
    for (dx, dy) in [(0.5, 0.0), (1.0, 0.5), (0.0, 2.0)] {
        let two = vec![
            cross(75.0, 40.0, "first"),
            cross(75.0 + dx, 40.0 + dy, "other"),
        ];
        let two = svg(&chart(two)).unwrap();
        let ([left, top, right, under], other) = (covered(&two, "first"), covered(&two, "other"));
        let apart = other[0] > right || other[2] < left || other[1] > under || other[3] < top;
        assert!(
            apart,
            "{dx}, {dy}: {other:?} in {left}..{right}, {top}..{under}"
        );
    }
}
