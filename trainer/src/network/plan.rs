//! The layers of a network, worked out from its configuration before any memory is taken.

use bagcert_certifier::{Axis, Geometry, GeometryError};

use super::sampling::Sampling;
use crate::config::NetworkConfig;

/// A convolution, followed by batch normalisation unless it is the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Its name, unique in the network.
    pub name: String,
    /// Channels in.
    pub input: i64,
    /// Channels out.
    pub output: i64,
    /// Kernel size, the same along both axes.
    pub kernel: i64,
    /// Stride, the same along both axes.
    pub stride: i64,
    /// Input cells from one tap of the kernel to the next; 1 where they lie side by side.
    pub dilation: i64,
    /// Followed by batch normalisation; otherwise it has a bias of its own.
    pub normalised: bool,
}

impl Convolution {
    /// Input cells from the first tap of the kernel to its last.
    pub fn span(&self) -> i64 {
        (self.kernel - 1) * self.dilation
    }

    /// Zeros added before the first cell and after the last: with stride 1 so many that the size is kept, with others
    /// as many after as before.
    pub fn padding(&self) -> [i64; 2] {
        let before = self.span() / 2;
        let rest = self.span() - before;
        [before, if self.stride == 1 { rest } else { before }]
    }

    /// Reads several cells, or skips some: an output cell is no function of the input cell in its place alone.
    pub fn is_spatial(&self) -> bool {
        self.kernel > 1 || self.stride > 1
    }

    /// Cells along an axis that had `input` cells; `None` where the kernel does not fit.
    pub fn output_len(&self, input: i64) -> Option<i64> {
        let room = input + self.padding().iter().sum::<i64>() - self.span();
        (room > 0).then(|| (room - 1) / self.stride + 1)
    }
}

/// A learnt number for each cell and channel, added to a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedding {
    /// Its name, unique in the network.
    pub name: String,
    /// Channels, rows and columns.
    pub shape: [i64; 3],
}

/// What holds trainable numbers.
#[derive(Clone, Copy, Debug)]
pub enum Layer<'p> {
    /// A convolution, with its batch normalisation.
    Convolution(&'p Convolution),
    /// A position embedding.
    Embedding(&'p Embedding),
}

/// A residual block: one or two paths of two convolutions each, and a shortcut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its name, unique in the network.
    pub name: String,
    /// The convolutions of each path, in order.
    pub paths: Vec<[Convolution; 2]>,
    /// A 1x1 convolution where the block changes width or stride; otherwise the identity.
    pub shortcut: Option<Convolution>,
    /// Added to the sum of paths and shortcut.
    pub embedding: Option<Embedding>,
}

impl Block {
    /// Cells along an axis of its output that had `input` cells; 0 where a kernel does not fit.
    pub fn output_len(&self, input: i64) -> i64 {
        let path = self.paths.iter().take(1).flatten();
        path.fold(input, |len, c| c.output_len(len).unwrap_or(0))
    }

    fn convolutions(&self) -> impl Iterator<Item = &Convolution> {
        self.paths.iter().flatten().chain(&self.shortcut)
    }
}

/// Of the two convolutions of a path of a block that turns the cells of `from` into those of `to`: the cells that each
/// gives. They change at the spatial one.
pub(super) fn cells_given(path: &[Convolution; 2], from: Sampling, to: Sampling) -> [Sampling; 2] {
    if path[1].is_spatial() {
        [from, to]
    } else {
        [to, to]
    }
}

/// The whole network: stem, blocks, head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The first convolution.
    pub stem: Convolution,
    /// Added to the stem's output.
    pub stem_embedding: Option<Embedding>,
    /// Pixels along each side of the images, which are square.
    pub image_size: u32,
    /// The residual blocks.
    pub blocks: Vec<Block>,
    /// The 1x1 convolution to one logit per class.
    pub head: Convolution,
}

impl Plan {
    /// The layers that `config` asks for, from square images of `image_size` pixels with `channels` channels to
    /// `classes` classes.
    pub fn new(config: &NetworkConfig, image_size: u32, channels: i64, classes: i64) -> Self {
        let list = |list: Option<Vec<i64>>| list.into_iter().flatten();
        let config = config.written_out();
        let stem = unit(
            "stem".into(),
            channels,
            config.width,
            config.stem_kernel,
            config.stem_stride,
        );
        // Where an image is too small for a layer, `geometry` says so.
        let mut len = stem.output_len(i64::from(image_size)).unwrap_or(0);
        let embedding = |name: &str, channels: i64, len: i64| {
            config.position_embedding.then(|| Embedding {
                name: format!("{name}.place"),
                shape: [channels, len, len],
            })
        };
        let stem_embedding = embedding(&stem.name, stem.output, len);
        let mut input = config.width;
        let mut blocks = Vec::with_capacity(config.kernels.len());
        let outer = list(config.strides.clone()).zip(list(config.widths.clone()));
        let inner = list(config.hidden_widths.clone()).zip(list(config.dilations.clone()));
        let shapes = outer.zip(inner);
        for (&kernel, ((stride, width), (hidden, dilation))) in config.kernels.iter().zip(shapes) {
            let shape = BlockShape {
                input,
                hidden,
                width,
                kernel,
                stride,
                dilation,
            };
            let mut block = shape.block(format!("b{}", blocks.len() + 1), config.paths);
            len = block.output_len(len);
            block.embedding = embedding(&block.name, width, len);
            blocks.push(block);
            input = width;
        }
        let head = Convolution {
            normalised: false,
            ..unit("head".into(), input, classes, 1, 1)
        };
        Self {
            stem,
            stem_embedding,
            image_size,
            blocks,
            head,
        }
    }

    /// The same layers with a bias in each convolution and no batch normalisation: what an export holds.
    #[must_use]
    pub fn folded(mut self) -> Self {
        let blocks = self
            .blocks
            .iter_mut()
            .flat_map(|block| block.paths.iter_mut().flatten().chain(&mut block.shortcut));
        for c in std::iter::once(&mut self.stem).chain(blocks) {
            c.normalised = false;
        }
        self
    }

    /// Everything that holds trainable numbers, in the order of evaluation.
    pub fn layers(&self) -> impl Iterator<Item = Layer<'_>> {
        let blocks = self.blocks.iter().flat_map(|block| {
            let convolutions = block.convolutions().map(Layer::Convolution);
            convolutions.chain(block.embedding.as_ref().map(Layer::Embedding))
        });
        std::iter::once(Layer::Convolution(&self.stem))
            .chain(self.stem_embedding.as_ref().map(Layer::Embedding))
            .chain(blocks)
            .chain(std::iter::once(Layer::Convolution(&self.head)))
    }

    /// Every convolution, in the order of evaluation.
    pub fn convolutions(&self) -> impl Iterator<Item = &Convolution> {
        self.layers().filter_map(|layer| match layer {
            Layer::Convolution(c) => Some(c),
            Layer::Embedding(_) => None,
        })
    }

    /// The cells that the stem and each block must work out for those of the score map that `sampling` takes.
    pub(super) fn samplings(&self, sampling: Sampling) -> Vec<Sampling> {
        let mut needed = vec![sampling];
        for block in self.blocks.iter().rev() {
            let after = needed.last().copied().unwrap_or(sampling);
            let path = block.paths.iter().take(1).flatten();
            needed.push(path.rev().fold(after, |cells, c| cells.before(c)));
        }
        needed.reverse();
        needed
    }

    /// Trainable numbers: weights, biases, scale and shift of each batch normalisation, position embeddings.
    pub fn parameter_count(&self) -> i64 {
        let count = |layer| match layer {
            Layer::Convolution(c) => {
                let weights = c.output * c.input * c.kernel * c.kernel;
                weights + if c.normalised { 2 * c.output } else { c.output }
            }
            Layer::Embedding(embedding) => embedding.shape.iter().product(),
        };
        self.layers().map(count).sum()
    }

    /// Multiply-adds of the convolutions for one image.
    pub fn multiply_adds(&self) -> i64 {
        self.sampled_multiply_adds(1)
    }

    /// The same where only every `stride`-th cell of the score map is worked out along both axes, counted from the
    /// first cell (see [`Sampling`]).
    pub fn sampled_multiply_adds(&self, stride: i64) -> i64 {
        let sampling = Sampling::new(stride, [0, 0]);
        let samplings = self.samplings(sampling);
        let mut sum = 0;
        let mut add = |c: &Convolution, input: i64, from: Sampling, to: Sampling| {
            let len = c.output_len(input).unwrap_or(0);
            let cells = to.worked_out(&from);
            sum += cells.count(0, len).pow(2) * c.output * c.input * c.kernel * c.kernel;
            len
        };
        let first = samplings.first().copied().unwrap_or(sampling);
        let mut len = add(&self.stem, i64::from(self.image_size), Sampling::ALL, first);
        let ends = samplings.iter().zip(samplings.iter().skip(1));
        for (block, (&from, &to)) in self.blocks.iter().zip(ends) {
            let input = len;
            for path in &block.paths {
                let [first, second] = path;
                let [middle, end] = cells_given(path, from, to);
                let hidden = add(first, input, from, middle);
                len = add(second, hidden, middle, end);
            }
            if let Some(c) = &block.shortcut {
                add(c, input, from, to);
            }
        }
        add(&self.head, len, sampling, sampling);
        sum
    }

    /// Which inputs each output cell reads, by propagating intervals through the layers.
    ///
    /// # Errors
    /// Where an image is too small for the layers.
    pub fn geometry(&self) -> Result<Geometry, GeometryError> {
        let size = self.image_size;
        let mut reach = Reach {
            stride: 1,
            lo: 0,
            hi: 0,
            len: i64::from(size),
        };
        reach = reach.through(&self.stem)?;
        for block in &self.blocks {
            let before = reach;
            reach = match &block.shortcut {
                Some(c) => before.through(c)?,
                None => before,
            };
            for path in &block.paths {
                let end = path.iter().try_fold(before, |reach, c| reach.through(c))?;
                reach = reach.hull(end);
            }
        }
        reach = reach.through(&self.head)?;
        let narrow = |value: i64| i32::try_from(value).map_err(|_| GeometryError::ExtentTooLarge);
        let outputs = u32::try_from(reach.len).map_err(|_| GeometryError::ExtentTooLarge)?;
        let stride = u32::try_from(reach.stride).map_err(|_| GeometryError::ExtentTooLarge)?;
        let axis = Axis::new(size, outputs, stride, narrow(reach.lo)?, narrow(reach.hi)?)?;
        Ok(Geometry { x: axis, y: axis })
    }
}

/// Cell i reads inputs `stride * i + lo ..= stride * i + hi`; there are `len` cells.
#[derive(Clone, Copy)]
struct Reach {
    stride: i64,
    lo: i64,
    hi: i64,
    len: i64,
}

impl Reach {
    fn through(self, c: &Convolution) -> Result<Self, GeometryError> {
        let [before, _] = c.padding();
        let moved = |at: i64, taps: i64| at.checked_add(self.stride.checked_mul(taps)?);
        let reach = || {
            Some(Self {
                stride: self.stride.checked_mul(c.stride)?,
                lo: moved(self.lo, -before)?,
                hi: moved(self.hi, c.span() - before)?,
                len: c.output_len(self.len).unwrap_or(0),
            })
        };
        reach().ok_or(GeometryError::ExtentTooLarge)
    }

    fn hull(self, other: Self) -> Self {
        Self {
            lo: self.lo.min(other.lo),
            hi: self.hi.max(other.hi),
            ..self
        }
    }
}

fn unit(name: String, input: i64, output: i64, kernel: i64, stride: i64) -> Convolution {
    Convolution {
        name,
        input,
        output,
        kernel,
        stride,
        dilation: 1,
        normalised: true,
    }
}

/// What a block is made from.
#[derive(Clone, Copy)]
struct BlockShape {
    /// Channels in, between the two convolutions of a path, and out.
    input: i64,
    hidden: i64,
    width: i64,
    kernel: i64,
    stride: i64,
    dilation: i64,
}

impl BlockShape {
    fn block(self, name: String, paths: usize) -> Block {
        let paths = (1..=paths).map(|path| self.path(&format!("{name}.path{path}"), path));
        let paths = paths.collect();
        let changes = self.input != self.width || self.stride != 1;
        let shortcut = || {
            let name = format!("{name}.shortcut");
            unit(name, self.input, self.width, 1, self.stride)
        };
        Block {
            paths,
            shortcut: changes.then(shortcut),
            name,
            embedding: None,
        }
    }

    fn path(self, name: &str, path: usize) -> [Convolution; 2] {
        // The second path has its kernels in the other order: more diverse, the same receptive field. The stride sits at
        // the larger kernel, so that no input cell is skipped by a 1x1 convolution.
        let larger = (self.kernel, self.stride);
        let [first, second] = if path == 1 || self.kernel == 1 {
            [larger, (1, 1)]
        } else {
            [(1, 1), larger]
        };
        let convolution = |number, input, output, (kernel, stride)| {
            let name = format!("{name}.conv{number}");
            Convolution {
                dilation: if kernel == 1 { 1 } else { self.dilation },
                ..unit(name, input, output, kernel, stride)
            }
        };
        [
            convolution(1, self.input, self.hidden, first),
            convolution(2, self.hidden, self.width, second),
        ]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn paper(kernels: &[i64]) -> NetworkConfig {
        NetworkConfig {
            width: 768,
            stem_kernel: 3,
            stem_stride: 1,
            kernels: kernels.to_vec(),
            strides: None,
            widths: None,
            hidden_widths: None,
            dilations: None,
            paths: 2,
            shake: true,
            position_embedding: false,
        }
    }

    /// Table 1: the parameters (to the 0.1 M that batch normalisation, stem and head make) and receptive fields of the paper's five CIFAR-10 networks.
    #[test]
    fn table_1() {
        let table: [(&[i64], u32, f64); 5] = [
            (&[3, 1, 1, 1, 1, 1, 1, 1], 5, 28.3),
            (&[3, 1, 3, 1, 1, 1, 1, 1], 7, 37.8),
            (&[3, 1, 3, 1, 3, 1, 1, 1], 9, 47.2),
            (&[3, 1, 3, 1, 3, 1, 3, 1], 11, 56.7),
            (&[3, 3, 3, 1, 3, 1, 3, 1], 13, 66.1),
        ];
        for (kernels, receptive_field, millions) in table {
            let plan = Plan::new(&paper(kernels), 32, 3, 10);
            let axis = plan.geometry().unwrap().x;
            assert_eq!(axis.receptive_field(), receptive_field);
            assert_eq!((axis.outputs(), axis.stride()), (32, 1));
            let found = plan.parameter_count() as f64 / 1e6;
            assert!(
                (found - millions).abs() < 0.1,
                "rf {receptive_field}: {found} M, the paper has {millions} M"
            );
        }
    }

    /// The ImageNet networks of Section A.1.2: strides 2 in blocks 1 and 3.
    #[test]
    fn imagenet_receptive_fields() {
        let table: [(&[i64], u32); 3] = [
            (&[3, 1, 3, 1, 3, 1, 1, 1], 17),
            (&[3, 1, 3, 1, 3, 1, 3, 1], 25),
            (&[3, 3, 3, 1, 3, 1, 3, 1], 29),
        ];
        for (kernels, receptive_field) in table {
            let config = NetworkConfig {
                width: 64,
                strides: Some(vec![2, 1, 2, 1, 1, 1, 1, 1]),
                widths: Some(vec![64, 64, 128, 128, 256, 256, 512, 512]),
                ..paper(kernels)
            };
            let axis = Plan::new(&config, 224, 3, 1000).geometry().unwrap().x;
            assert_eq!(
                (axis.receptive_field(), axis.outputs(), axis.stride()),
                (receptive_field, 56, 4)
            );
        }
    }

    /// Blocks that each skip seven of eight cells, all within the configuration's range.
    #[test]
    fn a_stride_past_all_numbers_is_an_error() {
        for kernel in [1, 3] {
            let config = NetworkConfig {
                strides: Some(vec![8; 22]),
                ..paper(&[kernel; 22])
            };
            assert!(config.check().is_ok());
            let found = Plan::new(&config, 32, 3, 10).geometry();
            assert_eq!(found, Err(GeometryError::ExtentTooLarge), "{kernel}");
        }
    }

    #[test]
    fn an_even_stem_has_an_even_receptive_field() {
        let config = NetworkConfig {
            stem_kernel: 4,
            stem_stride: 2,
            ..paper(&[3, 1])
        };
        let axis = Plan::new(&config, 32, 3, 10).geometry().unwrap().x;
        assert_eq!(
            (axis.outputs(), axis.stride(), axis.lo(), axis.hi()),
            (16, 2, -3, 4)
        );
    }
}
