//! How much a model file may hold, and ask for.
//!
//! Each limit is far above what networks for cameras need, and low enough that any file is
//! admitted or refused in bounded time and memory.

/// Larger files are refused before they are read.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 28;

/// Fields of the protocol buffer, nested ones counted: each takes time.
pub(crate) const MAX_FIELDS: usize = 1 << 19;
/// What decoding allocates, but for the data of weights. A message of some hundred bytes takes two
/// in the file.
pub(crate) const MAX_DECODED_BYTES: usize = 1 << 26;
/// Messages within messages. A tensor in an attribute of a node is the fifth.
pub(crate) const MAX_NESTING: usize = 12;
/// Bytes of one name, as of a node, an operator or an input.
pub(crate) const MAX_NAME_BYTES: usize = 1 << 12;

/// Nodes of the graph.
pub(crate) const MAX_NODES: usize = 1 << 10;
/// Constants: weights of the graph, and nodes that hold one. The library compares each with all
/// before it.
pub(crate) const MAX_CONSTANTS: usize = 1 << 11;
/// Values that those comparisons read before they see a difference.
pub(crate) const MAX_COMPARED_VALUES: usize = 1 << 29;
/// Inputs and outputs of all nodes together.
pub(crate) const MAX_EDGES: usize = 1 << 13;
/// Attributes of one node.
pub(crate) const MAX_ATTRIBUTES: usize = 32;
/// Axes of a tensor.
pub(crate) const MAX_RANK: usize = 8;
/// Values of a tensor of integers, or of a list in an attribute: shapes, axes, pads, parts.
pub(crate) const MAX_INTEGERS: usize = 64;
/// No dimension of a tensor in the file may be larger.
pub(crate) const MAX_DIM: i64 = 1 << 24;
/// Kernels, strides, dilations and pads.
pub(crate) const MAX_STEP: i64 = 1 << 12;

/// Height and width of the image.
pub(crate) const MAX_IMAGE_SIDE: i64 = 1 << 14;
/// Values of one map (1 GiB of f32).
pub(crate) const MAX_VALUES: usize = 1 << 28;
/// Fixed values that all nodes read together, each reading counted: whoever reads copies.
pub(crate) const MAX_READ_VALUES: usize = 1 << 26;

/// Values of all maps that are held at the same time (2 GiB of f32).
pub(crate) const MAX_HELD_VALUES: u64 = 1 << 29;
/// Values that one convolution lays out for its matrix product (4 GiB of f32).
pub(crate) const MAX_SCRATCH_VALUES: u64 = 1 << 30;
/// Multiply-adds, taps of pools and other single steps of one frame.
pub(crate) const MAX_OPERATIONS: u64 = 1 << 40;
