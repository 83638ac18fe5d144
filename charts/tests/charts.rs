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
