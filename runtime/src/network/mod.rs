//! A typed description of an admitted network: operations that were proved local, in evaluation
//! order, with their weights.
//!
//! It holds everything that is needed to evaluate the network, and nothing of the library that
//! read it, so that an engine can be built from it alone. Every map is one image's: channels x
//! height x width, row-major, channel slowest, f32.

mod function;
mod reach;

use std::sync::Arc;

pub use function::{Binary, Unary};
pub use reach::{Reach, Window};

/// Channels, height and width of a map, in cells (of the image: in pixels).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MapShape {
    /// Number of channels.
    pub channels: usize,
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
}

/// The shape of the network's input.
pub type ImageShape = MapShape;

impl MapShape {
    /// Number of values, channels x height x width. `None` on overflow.
    #[must_use]
    pub fn volume(&self) -> Option<usize> {
        self.channels
            .checked_mul(self.height)?
            .checked_mul(self.width)
    }
}

impl std::fmt::Display for MapShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// Fixed values, each dimension either that of the map they are combined with or 1 (repeated).
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// The constant's own shape.
    pub shape: MapShape,
    /// Its values, row-major, channel slowest. All finite.
    pub values: Arc<[f32]>,
}

/// What an operation works on.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// The map of an earlier node, by its index.
    Node(usize),
    /// Fixed values.
    Constant(Constant),
}

/// A two-dimensional convolution (a cross-correlation, as in ONNX).
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Index of the node it reads.
    pub input: usize,
    /// Channels are split in this many groups, convolved apart.
    pub groups: usize,
    /// Windows along the rows (vertical).
    pub y: Window,
    /// Windows along the columns (horizontal).
    pub x: Window,
    /// output channels x (input channels / groups) x y.kernel x x.kernel, row-major.
    pub weights: Arc<[f32]>,
    /// One value per output channel.
    pub bias: Option<Arc<[f32]>>,
}

/// How a pool combines the cells of its window. Cells in the padding never count as values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// The largest.
    Max,
    /// The sum.
    Sum,
    /// The sum divided by the number of cells.
    Average {
        /// Count the padding's cells too.
        count_padding: bool,
    },
}

/// How the channels of a cell are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

/// What a node computes. Indices are of earlier nodes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// The image. Always node 0, and only there.
    Input,
    /// A convolution.
    Conv(Conv),
    /// A local pool, each channel apart.
    Pool {
        /// Index of the node it reads.
        input: usize,
        /// How cells are combined.
        kind: PoolKind,
        /// Windows along the rows (vertical).
        y: Window,
        /// Windows along the columns (horizontal).
        x: Window,
    },
    /// A function of each value.
    Unary {
        /// Index of the node it reads.
        input: usize,
        /// The function.
        function: Unary,
    },
    /// A function of each pair of values in the same cell. An operand with one channel is
    /// repeated over channels; nodes are never repeated over space.
    Binary {
        /// The function.
        function: Binary,
        /// Its first argument.
        left: Operand,
        /// Its second argument.
        right: Operand,
    },
    /// In each cell, `then` where `condition` is not 0, else `otherwise`; repeated as in `Binary`.
    Select {
        /// Index of a comparison.
        condition: usize,
        /// Taken where the condition holds.
        then: Operand,
        /// Taken elsewhere.
        otherwise: Operand,
    },
    /// Channels of several maps of equal height and width, one after the other.
    Concat {
        /// In order of channels. Constants have the full height and width.
        parts: Vec<Operand>,
    },
    /// All channels of each cell combined to one; the result has one channel.
    Reduce {
        /// Index of the node it reads.
        input: usize,
        /// How they are combined.
        kind: Reduction,
    },
    /// The map with a border of constant cells; its channels are kept.
    Pad {
        /// Index of the node it reads.
        input: usize,
        /// Rows added above and below.
        y: (usize, usize),
        /// Columns added left and right.
        x: (usize, usize),
        /// The value of the added cells.
        value: f32,
    },
    /// A part of the map, from this offset; its size is the node's shape.
    Crop {
        /// Index of the node it reads.
        input: usize,
        /// First channel.
        channel: usize,
        /// First row.
        y: usize,
        /// First column.
        x: usize,
    },
}

/// One operation and what is known of its map.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name in the model file, for messages.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Shape of its map.
    pub shape: MapShape,
    /// Which rows of the image a cell depends on.
    pub y: Reach,
    /// Which columns of the image a cell depends on.
    pub x: Reach,
}

/// A network of local operations. See the module's text.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    nodes: Vec<Node>,
    output: usize,
}

impl Network {
    /// `nodes` in evaluation order, node 0 the image; `output` is the index of the logits.
    pub(crate) fn new(nodes: Vec<Node>, output: usize) -> Network {
        Network { nodes, output }
    }

    /// The nodes, in evaluation order. Node 0 is the image.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Index of the node whose map is the logits.
    #[must_use]
    pub fn output(&self) -> usize {
        self.output
    }

    /// Number of learned values: weights and biases of convolutions, and constants that are not
    /// a single number (thresholds such as the 0 of ReLU are not learned).
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.nodes.iter().map(|node| node.op.parameters()).sum()
    }

    /// Multiply-adds of all convolutions for one frame, taps on padding counted.
    #[must_use]
    pub fn macs(&self) -> u64 {
        self.nodes
            .iter()
            .map(Node::macs)
            .fold(0, u64::saturating_add)
    }
}

impl Op {
    fn parameters(&self) -> u64 {
        let learned = |operand: &Operand| match operand {
            Operand::Constant(constant) if constant.values.len() > 1 => {
                constant.values.len() as u64
            }
            _ => 0,
        };
        match self {
            Op::Conv(conv) => {
                conv.weights.len() as u64 + conv.bias.as_ref().map_or(0, |bias| bias.len() as u64)
            }
            Op::Binary { left, right, .. } => learned(left) + learned(right),
            Op::Select {
                then, otherwise, ..
            } => learned(then) + learned(otherwise),
            Op::Concat { parts } => parts.iter().map(learned).sum(),
            _ => 0,
        }
    }
}

impl Node {
    fn macs(&self) -> u64 {
        match &self.op {
            // Each weight is used once in every output cell.
            Op::Conv(conv) => (conv.weights.len() as u64)
                .saturating_mul(self.shape.height as u64)
                .saturating_mul(self.shape.width as u64),
            _ => 0,
        }
    }
}
