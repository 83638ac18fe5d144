//! A look at the protocol buffer before it is decoded.
//!
//! Decoding allocates some hundred bytes for a message that takes two in the file, so a file of
//! harmless size could ask for any memory. Here its fields are counted first, without allocating.
//! What is not a whole protocol buffer is found here as well; what it says is not looked at.

use std::mem::size_of;

use tract_onnx::pb::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto,
    StringStringEntryProto, TensorAnnotation, TensorProto, TensorShapeProto, TrainingInfoProto,
    TypeProto, ValueInfoProto, tensor_shape_proto::Dimension, type_proto,
};

use super::error::Refusal;
use super::limits::{MAX_DECODED_BYTES, MAX_FIELDS, MAX_NAME_BYTES, MAX_NESTING};

/// The messages of ONNX, as far as the decoder knows them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Annotation,
    Training,
    Function,
    /// One that holds no others and no lists: operator sets, entries, segments, dimensions.
    Plain,
}

impl Message {
    /// Bytes of it once decoded, without what it holds elsewhere.
    const fn size(self) -> usize {
        match self {
            Message::Model => size_of::<ModelProto>(),
            Message::Graph => size_of::<GraphProto>(),
            Message::Node => size_of::<NodeProto>(),
            Message::Attribute => size_of::<AttributeProto>(),
            Message::Tensor => size_of::<TensorProto>(),
            Message::SparseTensor => size_of::<SparseTensorProto>(),
            Message::ValueInfo => size_of::<ValueInfoProto>(),
            Message::Type => size_of::<TypeProto>(),
            Message::TensorType => size_of::<type_proto::Tensor>(),
            Message::Shape => size_of::<TensorShapeProto>(),
            Message::Annotation => size_of::<TensorAnnotation>(),
            Message::Training => size_of::<TrainingInfoProto>(),
            Message::Function => size_of::<FunctionProto>(),
            // The largest of them.
            Message::Plain => {
                let (entry, dimension) =
                    (size_of::<StringStringEntryProto>(), size_of::<Dimension>());
                if entry > dimension { entry } else { dimension }
            }
        }
    }
}

/// What a field of some bytes holds.
#[derive(Clone, Copy)]
enum Content {
    Message(Message),
    /// Integers, one after the other.
    List,
    Name,
    /// Descriptions and metadata.
    Text,
    /// Values of weights, as large in memory as in the file, and fields that the decoder does not
    /// know and skips.
    Other,
}

/// The content of field `number` of `message`.
fn content(message: Message, number: u64) -> Content {
    use Content::{List, Name, Other, Text};
    let within = Content::Message;
    match (message, number) {
        (Message::Model, 7) => within(Message::Graph),
        (Message::Model, 8 | 14) => within(Message::Plain),
        (Message::Model, 20) => within(Message::Training),
        (Message::Model, 25) => within(Message::Function),
        (Message::Model, 2..=6) => Text,
        (Message::Graph, 1) => within(Message::Node),
        (Message::Graph, 5) => within(Message::Tensor),
        (Message::Graph, 15) => within(Message::SparseTensor),
        (Message::Graph, 11..=13) => within(Message::ValueInfo),
        (Message::Graph, 14) => within(Message::Annotation),
        (Message::Graph, 2) => Name,
        (Message::Graph, 10) => Text,
        (Message::Node, 5) => within(Message::Attribute),
        (Message::Node, 1..=4 | 7) => Name,
        (Message::Node, 6) => Text,
        (Message::Attribute, 5 | 10) => within(Message::Tensor),
        (Message::Attribute, 6 | 11) => within(Message::Graph),
        (Message::Attribute, 22 | 23) => within(Message::SparseTensor),
        (Message::Attribute, 15) => within(Message::Type),
        (Message::Attribute, 8) => List,
        (Message::Attribute, 1 | 4 | 9 | 21) => Name,
        (Message::Attribute, 13) => Text,
        (Message::Tensor, 3 | 13) => within(Message::Plain),
        (Message::Tensor, 1 | 5 | 7 | 11) => List,
        (Message::Tensor, 8) => Name,
        (Message::Tensor, 6 | 12) => Text,
        (Message::SparseTensor, 1 | 2) => within(Message::Tensor),
        (Message::SparseTensor, 3) => List,
        (Message::ValueInfo, 2) => within(Message::Type),
        (Message::ValueInfo, 1) => Name,
        (Message::ValueInfo, 3) => Text,
        (Message::Type, 1) => within(Message::TensorType),
        (Message::Type, 6) => Name,
        (Message::TensorType, 2) => within(Message::Shape),
        (Message::Shape, 1) => within(Message::Plain),
        (Message::Annotation, 2) => within(Message::Plain),
        (Message::Annotation, 1) => Name,
        (Message::Training, 1 | 2) => within(Message::Graph),
        (Message::Training, 3 | 4) => within(Message::Plain),
        (Message::Function, 7) => within(Message::Node),
        (Message::Function, 9) => within(Message::Plain),
        (Message::Function, 1 | 4 | 5 | 6 | 10) => Name,
        (Message::Function, 8) => Text,
        (Message::Plain, _) => Text,
        _ => Other,
    }
}

/// Refuses what is no whole protocol buffer, and what would take too much to decode.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Refusal> {
    let mut counts = Counts::default();
    counts.message(bytes, Message::Model, 1)
}

/// A growing list may have twice the room it needs, while the one before it is still there.
const GROWTH: usize = 3;

#[derive(Default)]
struct Counts {
    fields: usize,
    /// An upper bound of what decoding allocates, but for the data of weights.
    decoded: usize,
}

impl Counts {
    /// Goes as deep as `MAX_NESTING` only.
    fn message(&mut self, bytes: &[u8], message: Message, depth: usize) -> Result<(), Refusal> {
        if depth > MAX_NESTING {
            return Err(Refusal::contract(format!(
                "its structures are nested more than {MAX_NESTING} deep; export without sub-graphs"
            )));
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            self.fields = self.fields.saturating_add(1);
            if self.fields > MAX_FIELDS {
                return Err(Refusal::contract(format!(
                    "it has more than {MAX_FIELDS} fields; no model needs as many"
                )));
            }
            let key = varint(&mut rest)?;
            match key & 7 {
                0 => drop(varint(&mut rest)?),
                1 => drop(take(&mut rest, 8)?),
                5 => drop(take(&mut rest, 4)?),
                2 => {
                    let length = varint(&mut rest)?;
                    let length = usize::try_from(length).map_err(|_| cut_off())?;
                    let inner = take(&mut rest, length)?;
                    self.field(inner, content(message, key >> 3), depth)?;
                }
                other => {
                    return Err(Refusal::NotOnnx(format!(
                        "it holds a field of type {other}, which ONNX has not"
                    )));
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, bytes: &[u8], content: Content, depth: usize) -> Result<(), Refusal> {
        let length = bytes.len();
        let decoded = match content {
            Content::Message(message) => message.size().saturating_mul(GROWTH),
            Content::Other => 0,
            // One byte of the file can be an integer of eight.
            Content::List => length.saturating_mul(GROWTH.saturating_mul(size_of::<i64>())),
            Content::Name | Content::Text => {
                length.saturating_add(size_of::<String>().saturating_mul(GROWTH))
            }
        };
        self.decoded = self.decoded.saturating_add(decoded);
        if self.decoded > MAX_DECODED_BYTES {
            return Err(Refusal::contract(format!(
                "without its weights it would take more than {MAX_DECODED_BYTES} bytes of memory; \
                 no model needs as many nodes, lists and names"
            )));
        }
        match content {
            Content::Name if length > MAX_NAME_BYTES => Err(Refusal::contract(format!(
                "a name in it has more than {MAX_NAME_BYTES} bytes"
            ))),
            Content::Message(message) => self.message(bytes, message, depth.saturating_add(1)),
            _ => Ok(()),
        }
    }
}

/// A number of up to 64 bits, seven in each byte, the lowest first.
fn varint(rest: &mut &[u8]) -> Result<u64, Refusal> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or_else(cut_off)?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Refusal::NotOnnx("a number in it does not end".into()))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Refusal> {
    let (taken, after) = rest.split_at_checked(length).ok_or_else(cut_off)?;
    *rest = after;
    Ok(taken)
}

fn cut_off() -> Refusal {
    Refusal::NotOnnx("it ends within a field; the file is cut off".into())
}

#[cfg(test)]
mod tests;
