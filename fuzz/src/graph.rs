//! Graphs out of bytes: mostly whole ones, of the operators that are admitted and of some that are
//! not, here and there with sizes and attributes that nobody exports.

use arbitrary::{Result, Unstructured};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    ValueInfoProto, attribute_proto::AttributeType, tensor_proto::DataType,
};

#[path = "vocabulary.rs"]
mod vocabulary;

use vocabulary::{BINARY, ODD, REFUSED, UNARY, float, image, int, ints, text};

/// A value of the graph with four axes, and its channels as far as they are known.
#[derive(Clone)]
struct Map {
    name: String,
    channels: i64,
}

struct Making<'a, 'b> {
    u: &'a mut Unstructured<'b>,
    graph: GraphProto,
    maps: Vec<Map>,
    constants: Vec<String>,
    opset: i64,
    names: usize,
}

/// The model that these bytes choose.
pub(crate) fn model_of(u: &mut Unstructured<'_>) -> Result<ModelProto> {
    let opset = *u.choose(&[17, 9, 10, 11, 12, 13, 18, 21, 24])?;
    let height = size(u)?;
    let width = size(u)?;
    let mut graph = GraphProto {
        name: "g".into(),
        input: vec![image(u.ratio(1, 4)?, height, width)],
        ..GraphProto::default()
    };
    let nodes = u.int_in_range(1..=12)?;
    graph.node.reserve(nodes);
    let mut making = Making {
        u,
        graph,
        maps: vec![Map {
            name: "image".into(),
            channels: 3,
        }],
        constants: Vec::new(),
        opset,
        names: 0,
    };
    for _ in 0..nodes {
        making.node()?;
    }
    making.output()?;
    Ok(ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: opset,
        }],
        graph: Some(making.graph),
        ..ModelProto::default()
    })
}

fn size(u: &mut Unstructured<'_>) -> Result<i64> {
    if u.ratio(1, 40)? {
        return u.choose(&ODD).copied();
    }
    u.int_in_range(1..=12)
}

impl Making<'_, '_> {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }

    /// `value`, or now and then something else.
    fn bent(&mut self, value: i64) -> Result<i64> {
        if self.u.ratio(1, 60)? {
            self.u.choose(&ODD).copied()
        } else {
            Ok(value)
        }
    }

    fn range(&mut self, least: i64, most: i64) -> Result<i64> {
        let value = self.u.int_in_range(least..=most)?;
        self.bent(value)
    }

    fn map(&mut self) -> Result<Map> {
        // Late ones more often: graphs grow long rather than wide.
        if self.u.ratio(2, 3)?
            && let Some(last) = self.maps.last()
        {
            return Ok(last.clone());
        }
        self.u.choose(&self.maps).cloned()
    }

    fn number(&mut self) -> Result<f32> {
        Ok(match self.u.int_in_range(0..=15u8)? {
            0 => 0.0,
            1 => 1.0,
            2 => -1.0,
            3 => f32::from_bits(self.u.arbitrary()?),
            4 => 1e30,
            5 => -0.0,
            _ => f32::from(self.u.arbitrary::<i8>()?) / 64.0,
        })
    }

    /// Weights of this shape. The data is of another size where that would be large.
    fn weights(&mut self, dims: &[i64]) -> Result<String> {
        let name = self.name();
        let count = dims
            .iter()
            .try_fold(1i64, |product, dim| product.checked_mul(*dim))
            .filter(|count| (0..=4096).contains(count))
            .unwrap_or(1);
        let seed = self.number()?;
        let varied = self.u.ratio(3, 4)?;
        let values: Vec<f32> = (0..count)
            .map(|i| {
                let step = if varied {
                    ((i * 7) % 11) as f32 / 8.0
                } else {
                    0.0
                };
                seed + step
            })
            .collect();
        let mut tensor = TensorProto {
            name: name.clone(),
            dims: dims.to_vec(),
            data_type: DataType::Float as i32,
            ..TensorProto::default()
        };
        if self.u.ratio(1, 4)? {
            tensor.float_data = values;
        } else {
            tensor.raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        }
        if self.u.ratio(1, 60)? {
            tensor.data_type = self.u.int_in_range(0..=20)?;
        }
        self.keep(tensor)?;
        Ok(name)
    }

    fn integers(&mut self, values: &[i64]) -> Result<String> {
        let name = self.name();
        let count = i64::try_from(values.len()).unwrap_or(0);
        self.keep(TensorProto {
            name: name.clone(),
            dims: vec![count],
            data_type: DataType::Int64 as i32,
            int64_data: values.to_vec(),
            ..TensorProto::default()
        })?;
        Ok(name)
    }

    /// Among the weights of the graph, or as a node.
    fn keep(&mut self, mut tensor: TensorProto) -> Result<()> {
        self.constants.push(tensor.name.clone());
        if self.u.ratio(1, 4)? {
            let output = std::mem::take(&mut tensor.name);
            self.graph.node.push(NodeProto {
                op_type: "Constant".into(),
                output: vec![output],
                attribute: vec![AttributeProto {
                    name: "value".into(),
                    r#type: AttributeType::Tensor as i32,
                    t: Some(tensor),
                    ..AttributeProto::default()
                }],
                ..NodeProto::default()
            });
        } else {
            self.graph.initializer.push(tensor);
        }
        Ok(())
    }

    fn push(
        &mut self,
        op: &str,
        input: Vec<String>,
        attribute: Vec<AttributeProto>,
        channels: i64,
    ) {
        let name = self.name();
        self.graph.node.push(NodeProto {
            op_type: op.into(),
            name: String::new(),
            input,
            output: vec![name.clone()],
            attribute,
            ..NodeProto::default()
        });
        self.maps.push(Map { name, channels });
    }

    fn node(&mut self) -> Result<()> {
        match self.u.int_in_range(0..=19u8)? {
            0..=4 => self.conv(),
            5..=6 => self.pool(),
            7..=8 => self.unary(),
            9..=11 => self.binary(),
            12 => self.concat(),
            13 => self.normalisation(),
            14 => self.pad(),
            15 => self.slice(),
            16 => self.split(),
            17 => self.clip(),
            18 => self.on_constants(),
            _ => self.odd(),
        }
    }

    /// Kernel, strides, dilations and padding of a window.
    fn window(&mut self, kernel: [i64; 2]) -> Result<Vec<AttributeProto>> {
        let mut attributes = vec![ints("kernel_shape", kernel.to_vec())];
        if self.u.ratio(1, 3)? {
            let strides = vec![self.range(1, 3)?, self.range(1, 3)?];
            attributes.push(ints("strides", strides));
        }
        if self.u.ratio(1, 4)? {
            let dilations = vec![self.range(1, 3)?, self.range(1, 3)?];
            attributes.push(ints("dilations", dilations));
        }
        match self.u.int_in_range(0..=5u8)? {
            0 => {}
            1 => attributes.push(text("auto_pad", "SAME_UPPER")),
            2 => attributes.push(text("auto_pad", "SAME_LOWER")),
            3 => attributes.push(text("auto_pad", "VALID")),
            _ => {
                let pads = vec![
                    self.range(0, 3)?,
                    self.range(0, 3)?,
                    self.range(0, 3)?,
                    self.range(0, 3)?,
                ];
                attributes.push(ints("pads", pads));
            }
        }
        Ok(attributes)
    }

    fn conv(&mut self) -> Result<()> {
        let from = self.map()?;
        let kernel = [self.range(1, 4)?, self.range(1, 4)?];
        let depthwise = self.u.ratio(1, 4)?;
        let (group, outputs) = if depthwise {
            (from.channels, from.channels)
        } else {
            (1, self.range(1, 5)?)
        };
        let group = self.bent(group)?;
        let per_group = from.channels.checked_div(group).unwrap_or(1).max(1);
        let per_group = self.bent(per_group)?;
        let weights = self.weights(&[outputs, per_group, kernel[0], kernel[1]])?;
        let mut input = vec![from.name, weights];
        if self.u.ratio(1, 2)? {
            input.push(self.weights(&[outputs])?);
        }
        let mut attributes = self.window(kernel)?;
        attributes.push(int("group", group));
        self.push("Conv", input, attributes, outputs);
        Ok(())
    }

    fn pool(&mut self) -> Result<()> {
        let from = self.map()?;
        let kernel = [self.range(1, 3)?, self.range(1, 3)?];
        let mut attributes = self.window(kernel)?;
        if self.u.ratio(1, 4)? {
            attributes.push(int("ceil_mode", self.range(0, 1)?));
        }
        let average = self.u.arbitrary()?;
        if average && self.u.ratio(1, 3)? {
            attributes.push(int("count_include_pad", self.range(0, 1)?));
        }
        let op = if average { "AveragePool" } else { "MaxPool" };
        self.push(op, vec![from.name], attributes, from.channels);
        Ok(())
    }

    fn unary(&mut self) -> Result<()> {
        let from = self.map()?;
        let op = *self.u.choose(&UNARY)?;
        let mut attributes = Vec::new();
        if self.u.ratio(1, 4)? {
            attributes.push(float("alpha", self.number()?));
        }
        self.push(op, vec![from.name], attributes, from.channels);
        Ok(())
    }

    fn binary(&mut self) -> Result<()> {
        let left = self.map()?;
        let op = *self.u.choose(&BINARY)?;
        let right = if self.u.ratio(1, 2)? {
            self.map()?.name
        } else {
            let rank = self.range(0, 4)?;
            match rank {
                0 => self.weights(&[])?,
                3 => self.weights(&[left.channels, 1, 1])?,
                4 => self.weights(&[1, left.channels, 1, 1])?,
                _ => {
                    let (height, width) = (self.range(1, 8)?, self.range(1, 8)?);
                    self.weights(&[1, 1, height, width])?
                }
            }
        };
        let mut input = vec![left.name, right];
        if op != "PRelu" && self.u.ratio(1, 3)? {
            input.swap(0, 1);
        }
        self.push(op, input, Vec::new(), left.channels);
        Ok(())
    }

    fn concat(&mut self) -> Result<()> {
        let parts = self.u.int_in_range(1..=3)?;
        let mut input = Vec::new();
        let mut channels = 0i64;
        for _ in 0..parts {
            let part = self.map()?;
            channels = channels.saturating_add(part.channels);
            input.push(part.name);
        }
        let axis = self.bent(1)?;
        self.push("Concat", input, vec![int("axis", axis)], channels);
        Ok(())
    }

    fn normalisation(&mut self) -> Result<()> {
        let from = self.map()?;
        let mut input = vec![from.name];
        for _ in 0..4 {
            input.push(self.weights(&[from.channels])?);
        }
        let mut attributes = Vec::new();
        if self.u.ratio(1, 2)? {
            attributes.push(float("epsilon", self.number()?));
        }
        if self.u.ratio(1, 20)? {
            attributes.push(int("training_mode", 1));
        }
        self.push("BatchNormalization", input, attributes, from.channels);
        Ok(())
    }

    fn pad(&mut self) -> Result<()> {
        let from = self.map()?;
        let mut pads = vec![0; 8];
        for at in [2, 3, 6, 7] {
            pads[at] = self.range(0, 3)?;
        }
        pads[0] = self.bent(0)?;
        pads[1] = self.bent(0)?;
        let mode = if self.u.ratio(1, 10)? {
            "edge"
        } else {
            "constant"
        };
        let (input, attributes) = if self.opset < 11 {
            (
                vec![from.name],
                vec![text("mode", mode), ints("pads", pads)],
            )
        } else {
            let pads = self.integers(&pads)?;
            (vec![from.name, pads], vec![text("mode", mode)])
        };
        self.push("Pad", input, attributes, from.channels);
        Ok(())
    }

    fn slice(&mut self) -> Result<()> {
        let from = self.map()?;
        let axis = self.range(1, 3)?;
        let (start, end) = (self.range(-4, 4)?, self.range(-4, 9)?);
        let step = self.bent(1)?;
        let (input, attributes) = if self.opset < 10 {
            let attributes = vec![
                ints("axes", vec![axis]),
                ints("starts", vec![start]),
                ints("ends", vec![end]),
            ];
            (vec![from.name], attributes)
        } else {
            let mut input = vec![from.name];
            for value in [start, end, axis, step] {
                input.push(self.integers(&[value])?);
            }
            (input, Vec::new())
        };
        let channels = if axis == 1 {
            end.saturating_sub(start).clamp(1, from.channels.max(1))
        } else {
            from.channels
        };
        self.push("Slice", input, attributes, channels);
        Ok(())
    }

    fn split(&mut self) -> Result<()> {
        let from = self.map()?;
        let first = self.range(1, 2)?;
        let second = from.channels.saturating_sub(first);
        let mut input = vec![from.name];
        let mut attributes = vec![int("axis", self.bent(1)?)];
        if self.opset < 13 {
            attributes.push(ints("split", vec![first, second]));
        } else {
            input.push(self.integers(&[first, second])?);
        }
        self.push("Split", input, attributes, first);
        let name = self.name();
        if let Some(node) = self.graph.node.last_mut() {
            node.output.push(name.clone());
        }
        self.maps.push(Map {
            name,
            channels: second,
        });
        Ok(())
    }

    fn clip(&mut self) -> Result<()> {
        let from = self.map()?;
        let (low, high) = (self.number()?, self.number()?);
        let (input, attributes) = if self.opset < 11 {
            (vec![from.name], vec![float("min", low), float("max", high)])
        } else {
            let low = self.weights(&[])?;
            let high = self.weights(&[])?;
            (vec![from.name, low, high], Vec::new())
        };
        self.push("Clip", input, attributes, from.channels);
        Ok(())
    }

    /// Relabels a constant or a map.
    fn on_constants(&mut self) -> Result<()> {
        let from = if self.u.ratio(1, 3)? || self.constants.is_empty() {
            self.map()?.name
        } else {
            self.u.choose(&self.constants)?.clone()
        };
        let op = *self
            .u
            .choose(&["Unsqueeze", "Squeeze", "Reshape", "Cast", "Identity"])?;
        let mut input = vec![from];
        let mut attributes = Vec::new();
        match op {
            "Cast" => attributes.push(int("to", self.range(0, 20)?)),
            "Reshape" => {
                let count = self.u.int_in_range(0..=6usize)?;
                let mut shape = Vec::new();
                for _ in 0..count {
                    shape.push(self.range(-1, 4)?);
                }
                input.push(self.integers(&shape)?);
            }
            "Unsqueeze" | "Squeeze" => {
                let count = self.u.int_in_range(0..=4usize)?;
                let mut axes = Vec::new();
                for _ in 0..count {
                    axes.push(self.range(-4, 4)?);
                }
                if self.opset < 13 {
                    attributes.push(ints("axes", axes));
                } else {
                    input.push(self.integers(&axes)?);
                }
            }
            _ => {}
        }
        let output = self.name();
        self.graph.node.push(NodeProto {
            op_type: op.into(),
            input,
            output: vec![output.clone()],
            attribute: attributes,
            ..NodeProto::default()
        });
        self.constants.push(output.clone());
        if self.u.ratio(1, 4)? {
            self.maps.push(Map {
                name: output,
                channels: 3,
            });
        }
        Ok(())
    }

    /// Any operator on anything.
    fn odd(&mut self) -> Result<()> {
        let from = self.map()?;
        let refused: bool = self.u.arbitrary()?;
        let op = if refused {
            *self.u.choose(&REFUSED)?
        } else {
            *self.u.choose(&[
                "Conv",
                "MaxPool",
                "AveragePool",
                "BatchNormalization",
                "Pad",
                "Slice",
                "Split",
                "Clip",
                "Concat",
                "Sum",
                "Celu",
                "Swish",
                "Cast",
                "Constant",
            ])?
        };
        let mut input = vec![from.name];
        for _ in 0..self.u.int_in_range(0..=4u8)? {
            let other = if self.u.arbitrary()? && !self.constants.is_empty() {
                self.u.choose(&self.constants)?.clone()
            } else if self.u.ratio(1, 4)? {
                String::new()
            } else {
                self.u.choose(&self.maps)?.name.clone()
            };
            input.push(other);
        }
        let mut attributes = Vec::new();
        for name in ["axis", "pads", "kernel_shape", "to", "alpha", "mode"] {
            if self.u.ratio(1, 5)? {
                let values = vec![self.u.choose(&ODD).copied()?; 2];
                attributes.push(match self.u.int_in_range(0..=3u8)? {
                    0 => int(name, self.range(-4, 4)?),
                    1 => float(name, self.number()?),
                    2 => text(name, "reflect"),
                    _ => ints(name, values),
                });
            }
        }
        self.push(op, input, attributes, from.channels);
        Ok(())
    }

    fn output(&mut self) -> Result<()> {
        let name = self.map()?.name;
        self.graph.output.push(ValueInfoProto {
            name,
            ..ValueInfoProto::default()
        });
        Ok(())
    }
}
