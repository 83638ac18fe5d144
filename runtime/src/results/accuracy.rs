//! Figures 2, 3 and 4: clean and certified accuracy.

use bagcert_certifier::{Condition, PatchSize};
use bagcert_charts::{
    Chart, ChartError, Colour, Drawing, GREY, Line, Marker, Point, Scale, Series, Table, colour,
};

use super::{Measured, Paper, Score, Subject, named, number};
use crate::pipeline::Query;

/// The conditions of Figure 2, from the weakest to the strongest.
pub(super) const CONDITIONS: [Condition; 4] = [
    Condition::SumGlobal33,
    Condition::SumWindow32,
    Condition::Mask,
    Condition::DoubleMask,
];

/// A model has one colour, a condition one marker; they are joined in the order of the conditions, and leads by a
/// dashed line.
pub(super) fn conditions(subject: &Subject, models: &[Measured]) -> Result<Drawing, ChartError> {
    let mut table = Table::new(&[
        "model",
        "patch",
        "condition",
        "frames",
        "clean",
        "certified",
        "lead",
    ]);
    let mut series = Vec::new();
    for (at, model) in models.iter().enumerate() {
        let mut joined = Vec::new();
        for score in &model.scores {
            for (patch, certified) in score.certified() {
                table.row(&[
                    model.name.clone(),
                    patch.to_string(),
                    score.query.condition.to_string(),
                    score.tally.labelled.to_string(),
                    number(score.clean()),
                    number(certified),
                    score.query.lead.to_string(),
                ]);
                joined.push((score, Point::new(score.clean(), certified)));
            }
        }
        let of = |name: String, marker, line, points| Series {
            name,
            colour: colour(at),
            marker,
            line,
            points,
        };
        // Leads go on from double masking without one, the last of the conditions.
        let asked = joined
            .iter()
            .filter(|(score, _)| score.query.lead > 0)
            .count();
        let points: Vec<Point> = joined.iter().map(|(_, point)| point.clone()).collect();
        let (plain, leads) = points.split_at(points.len() - asked);
        let leads: Vec<Point> = plain.last().into_iter().chain(leads).cloned().collect();
        series.push(of(
            model.name.clone(),
            Marker::None,
            Line::Solid,
            plain.to_vec(),
        ));
        if asked > 0 {
            series.push(of(String::new(), Marker::None, Line::Dashed, leads));
        }
        for (score, mut point) in joined {
            // With several models the legend says it.
            let Query {
                condition, lead, ..
            } = score.query;
            if models.len() == 1 {
                point.label = with_leads(named(condition), &[lead]);
            }
            let marker = match lead {
                0 => marker(condition),
                _ => Marker::Diamond,
            };
            series.push(of(String::new(), marker, Line::None, vec![point]));
        }
    }
    if models.len() > 1 {
        series.extend(CONDITIONS.map(condition_key));
        if !subject.leads.is_empty() {
            let name = with_leads(named(Condition::DoubleMask), &subject.leads);
            series.push(key(name, GREY, Marker::Diamond, Line::None));
        }
    }
    series.extend(subject.paper.map(Paper::conditions));
    let all: Vec<Point> = series.iter().flat_map(|one| one.points.clone()).collect();
    let step = |wide: bool| if wide { 5.0 } else { 1.0 };
    let chart = Chart {
        title: format!("Clean against certified accuracy at {}", subject.patch),
        x: Scale::percent(
            "clean accuracy, %",
            all.iter().map(|point| point.x),
            step(subject.paper.is_some()),
        ),
        y: Scale::percent(
            &format!("certified accuracy at {}, %", subject.patch),
            all.iter().map(|point| point.y),
            5.0,
        ),
        series,
    };
    Drawing::new(&table, &chart)
}

/// What a predictor is called that asks for one of these leads; as it was for none.
fn with_leads(name: String, leads: &[u32]) -> String {
    match leads {
        [] | [0] => name,
        [lead] => format!("{name}, a lead of {lead}"),
        many => {
            let many: Vec<String> = many.iter().map(u32::to_string).collect();
            format!("{name}, leads of {}", many.join(", "))
        }
    }
}

fn marker(condition: Condition) -> Marker {
    match condition {
        Condition::SumGlobal33 => Marker::Ring,
        Condition::Mask => Marker::Triangle,
        Condition::DoubleMask => Marker::Square,
        Condition::SumWindow32 | Condition::WorstCase31 => Marker::Disc,
    }
}

/// What the legend says of a condition, where colours tell models apart.
fn condition_key(condition: Condition) -> Series {
    key(named(condition), GREY, marker(condition), Line::None)
}

/// A series without points: the looks of a line, or a line of the legend that stands for several.
fn key(name: String, colour: Colour, marker: Marker, line: Line) -> Series {
    Series {
        name,
        colour,
        marker,
        line,
        points: vec![],
    }
}

/// A line for each model and condition, from the clean accuracy at side 0.
pub(super) fn squares(subject: &Subject, models: &[Measured]) -> Result<Drawing, ChartError> {
    let mut table = Table::new(&["model", "condition", "side", "clean", "certified"]);
    let mut series = Vec::new();
    for (style, model, condition, scores) in lines(subject, models) {
        let mut points = Vec::new();
        for score in scores {
            for (patch, certified) in score.certified() {
                if points.is_empty() && condition.masking().is_none() {
                    points.push(Point::new(0.0, score.clean()));
                }
                table.row(&[
                    model.name.clone(),
                    condition.to_string(),
                    patch.width().to_string(),
                    number(score.clean()),
                    number(certified),
                ]);
                points.push(Point::new(f64::from(patch.width()), certified));
            }
        }
        series.push(Series { points, ..style });
    }
    series.extend(keys(subject, models));
    series.extend(subject.paper.map(Paper::squares));
    let chart = Chart {
        title: "Certified accuracy against square patches".into(),
        x: Scale::new(
            "side of the patch, pixels",
            -0.5,
            f64::from(subject.largest) + 0.5,
        ),
        y: Scale::new("certified accuracy, %", 0.0, 100.0),
        series,
    };
    Drawing::new(&table, &chart)
}

/// A line for each model and condition over the shapes, and a dashed one for all shapes at once.
pub(super) fn shapes(subject: &Subject, models: &[Measured]) -> Result<Drawing, ChartError> {
    let mut table = Table::new(&[
        "model",
        "condition",
        "patch",
        "predictor",
        "clean",
        "certified",
    ]);
    let mut series: Vec<Series> = Vec::new();
    let names = shape_names(models);
    for (style, model, condition, scores) in lines(subject, models) {
        let mut points = Vec::new();
        let mut together = None;
        for score in scores {
            let alone = score.query.patches.len() == 1 || condition.masking().is_none();
            let predictor = match (condition.masking(), alone) {
                (None, _) => "votes",
                (Some(_), true) => "of the shape",
                (Some(_), false) => "of all shapes",
            };
            for (patch, certified) in score.certified() {
                table.row(&[
                    model.name.as_str(),
                    &condition.to_string(),
                    &patch.to_string(),
                    predictor,
                    &number(score.clean()),
                    &number(certified),
                ]);
                let place = names.iter().position(|name| *name == patch.to_string());
                if let Some(place) = place.filter(|_| alone) {
                    points.push(Point::new(place as f64, certified));
                }
            }
            if score.query.patches.len() > 1 || names.len() == 1 {
                let all = score.percent(score.all_certified_right);
                table.row(&[
                    model.name.as_str(),
                    &condition.to_string(),
                    "all at once",
                    predictor,
                    &number(score.clean()),
                    &number(all),
                ]);
                together = Some(all);
            }
        }
        let ends = |all: f64| {
            vec![
                Point::new(-0.5, all),
                Point::new(names.len() as f64 - 0.5, all),
            ]
        };
        // Of one model every line has its own name, of several they have one for all.
        let name = if models.len() == 1 {
            format!("{}, all at once", style.name)
        } else {
            String::new()
        };
        let all = together.map(|all| Series {
            name,
            marker: Marker::None,
            line: Line::Dashed,
            points: ends(all),
            ..style.clone()
        });
        series.push(Series { points, ..style });
        series.extend(all);
    }
    series.extend(keys(subject, models));
    let dashed = series.iter().any(|one| one.line == Line::Dashed);
    if dashed && models.len() > 1 {
        let name = "all shapes at once".into();
        series.push(key(name, GREY, Marker::None, Line::Dashed));
    }
    series.extend(subject.paper.and_then(|paper| paper.shapes(names.len())));
    let values = series.iter().flat_map(|one| &one.points);
    let most = values.map(|point| point.y).fold(10.0, f64::max);
    let chart = Chart {
        title: format!(
            "Certified accuracy against patches of {} pixels",
            subject.area
        ),
        x: Scale::named("shape of the patch, width x height", names),
        y: Scale::new(
            "certified accuracy, %",
            0.0,
            ((most / 10.0).ceil() + 0.5) * 10.0,
        ),
        series,
    };
    Drawing::new(&table, &chart)
}

/// The scores of each model and condition, with what their line looks like: a condition has one marker; colours tell
/// models apart, or the conditions of a single model.
fn lines<'m>(
    subject: &Subject,
    models: &'m [Measured],
) -> impl Iterator<Item = (Series, &'m Measured, Condition, Vec<&'m Score>)> {
    let conditions = subject.conditions.clone();
    let one = models.len() == 1;
    models.iter().enumerate().flat_map(move |(of, model)| {
        let lines = conditions.clone().into_iter().enumerate();
        lines.map(move |(at, condition)| {
            let scores = model.scores.iter();
            let scores = scores.filter(|score| score.query.condition == condition);
            let (name, at) = if one {
                (named(condition), at)
            } else {
                (String::new(), of)
            };
            let style = key(name, colour(at), marker(condition), Line::Solid);
            (style, model, condition, scores.collect())
        })
    })
}

/// The legend of several models: their colours, then the markers of the conditions.
fn keys(subject: &Subject, models: &[Measured]) -> Vec<Series> {
    if models.len() == 1 {
        return vec![];
    }
    let models = models.iter().enumerate();
    let colours =
        models.map(|(at, model)| key(model.name.clone(), colour(at), Marker::None, Line::Solid));
    let conditions = subject.conditions.iter().copied();
    colours.chain(conditions.map(condition_key)).collect()
}

/// Every shape that was asked for, from tall to wide.
fn shape_names(models: &[Measured]) -> Vec<String> {
    let mut shapes: Vec<PatchSize> = Vec::new();
    let scores = models.iter().flat_map(|model| &model.scores);
    for patch in scores.flat_map(|score| &score.query.patches) {
        if !shapes.contains(patch) {
            shapes.push(*patch);
        }
    }
    shapes.sort_by_key(|patch| patch.width());
    shapes.iter().map(ToString::to_string).collect()
}
