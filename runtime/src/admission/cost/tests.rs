//! Networks that cost exactly what is admitted, and one step more.

use std::sync::Arc;

use super::check;
use super::{MAX_HELD_VALUES, MAX_OPERATIONS, MAX_SCRATCH_VALUES};
use crate::network::{
    Binary, Constant, Conv, MapShape, Network, Node, Op, Operand, PoolKind, Reach, Reduction,
    Unary, Window,
};

fn shape(channels: usize, height: usize, width: usize) -> MapShape {
    MapShape {
        channels,
        height,
        width,
    }
}

/// A network of these operations; the last is the output.
fn network(nodes: Vec<(Op, MapShape)>) -> Network {
    let output = nodes.len() - 1;
    let node = |(op, shape)| Node {
        name: "one".into(),
        op,
        shape,
        y: Reach::IMAGE,
        x: Reach::IMAGE,
    };
    Network::new(nodes.into_iter().map(node).collect(), output)
}

/// What is said of it; empty where it passes.
fn said(nodes: Vec<(Op, MapShape)>) -> String {
    match check(&network(nodes)) {
        Ok(()) => String::new(),
        Err(refusal) => refusal.in_file("model".as_ref()).to_string(),
    }
}

fn window(kernel: usize) -> Window {
    Window {
        kernel,
        stride: 1,
        dilation: 1,
        pad_before: 0,
        pad_after: 0,
    }
}

fn pool(kernel: usize) -> Op {
    Op::Pool {
        input: 0,
        kind: PoolKind::Max,
        y: window(1),
        x: window(kernel),
    }
}

fn conv(groups: usize, kernel: usize) -> Op {
    Op::Conv(Conv {
        input: 0,
        groups,
        y: window(1),
        x: window(kernel),
        weights: Arc::new([]),
        bias: None,
    })
}

fn negated(input: usize) -> Op {
    Op::Unary {
        input,
        function: Unary::Neg,
    }
}

#[test]
fn operations() {
    const SIDE: usize = 1 << 20;
    // One for the image; then 2^40 - 1 = (2^20 - 1) (2^20 + 1).
    let image = || (Op::Input, shape(1, 1, 1));
    assert_eq!(MAX_OPERATIONS, 1 << 40);
    let most = || vec![image(), (pool(SIDE + 1), shape(1, SIDE - 1, 1))];
    assert_eq!(said(most()), "");
    let mut more = most();
    more.push((negated(0), shape(1, 1, 1)));
    assert!(said(more).contains("operations: 1099511627777, at most"));

    // A convolution: 2^20 values, each a sum over 2^20 inputs.
    let image = || (Op::Input, shape(1 << 10, 1, 1));
    let found = said(vec![image(), (conv(1, 1 << 10), shape(SIDE, 1, 1))]);
    assert!(
        found.contains("operations: 1099511628800, at most"),
        "{found}"
    );
    // In groups it is a sum over those of one group only.
    assert_eq!(
        said(vec![image(), (conv(1 << 10, 1 << 10), shape(SIDE, 1, 1))]),
        ""
    );

    // Channels that are combined count each.
    let kind = Reduction::Sum;
    let reduce = Op::Reduce { input: 0, kind };
    let found = said(vec![
        (Op::Input, shape(SIDE, SIDE / 2, 1)),
        (reduce, shape(1, SIDE / 2, 1)),
        (negated(0), shape(1, 1, 1)),
    ]);
    assert!(
        found.contains("operations: 1099511627777, at most"),
        "{found}"
    );
}

#[test]
fn values_laid_out_for_a_convolution() {
    // 2^5 channels, whatever the groups, 2^10 taps, 2^15 cells.
    assert_eq!(MAX_SCRATCH_VALUES, 1 << 30);
    for groups in [1, 4, 32] {
        let image = (Op::Input, shape(32, 1, 1));
        let laid_out = |cells| {
            said(vec![
                image.clone(),
                (conv(groups, 1 << 10), shape(32, cells, 1)),
            ])
        };
        assert_eq!(laid_out(1 << 15), "");
        let found = laid_out((1 << 15) + 1);
        assert!(found.contains("node \"one\" lays out"), "{found}");
        assert!(found.contains("at once: 1073774592, at most"), "{found}");
    }
}

/// A map is held until its last reader is done, and the output to the end.
#[test]
fn values_held() {
    const HALF: usize = 1 << 28;
    assert_eq!(MAX_HELD_VALUES, 2 * HALF as u64);
    let big = shape(1, 1 << 14, 1 << 14);
    let small = shape(1, 1, 1);
    let image = || (Op::Input, big);
    assert_eq!(said(vec![image(), (negated(0), big)]), "");
    let found = said(vec![image(), (negated(0), shape(1, HALF + 1, 1))]);
    assert!(
        found.contains("hold too many values at once: 536870913, at most"),
        "{found}"
    );
    // Two after the other.
    assert_eq!(
        said(vec![image(), (negated(0), big), (negated(1), big)]),
        ""
    );
    // One that nobody reads is dropped at once, the others when they have been read.
    assert_eq!(
        said(vec![
            image(),
            (negated(0), big),
            (negated(0), big),
            (negated(2), big)
        ]),
        ""
    );
    // Whichever operation reads the image last, it is there until then.
    let constant = Constant {
        shape: small,
        values: Arc::new([0.0]),
    };
    let fixed = || Operand::Constant(constant.clone());
    let map = Operand::Node;
    let function = Binary::Add;
    let select = |condition, then, otherwise| Op::Select {
        condition,
        then,
        otherwise,
    };
    let pads = (0, 0);
    let (left, right) = (map(0), map(0));
    for late in [
        conv(1, 1),
        pool(1),
        negated(0),
        Op::Reduce {
            input: 0,
            kind: Reduction::Max,
        },
        Op::Pad {
            input: 0,
            y: pads,
            x: pads,
            value: 0.0,
        },
        Op::Crop {
            input: 0,
            channel: 0,
            y: 0,
            x: 0,
        },
        Op::Binary {
            function,
            left,
            right: fixed(),
        },
        Op::Binary {
            function,
            left: fixed(),
            right,
        },
        select(0, fixed(), fixed()),
        select(2, map(0), fixed()),
        select(2, fixed(), map(0)),
        Op::Concat {
            parts: vec![fixed(), map(0)],
        },
    ] {
        let nodes = |late| {
            vec![
                image(),
                (negated(0), big),
                (negated(1), small),
                (late, small),
            ]
        };
        let found = said(nodes(late.clone()));
        assert!(
            found.contains("at once: 536870913, at most"),
            "{late:?}: {found}"
        );
        assert_eq!(said(nodes(negated(2))), "");
    }
    // The output is held to the end, though others come after it.
    let nodes = vec![
        image(),
        (negated(0), big),
        (negated(1), small),
        (negated(2), small),
    ];
    let ended = network(nodes).nodes().to_vec();
    assert!(check(&Network::new(ended.clone(), 3)).is_ok());
    assert!(check(&Network::new(ended, 0)).is_err());
}
