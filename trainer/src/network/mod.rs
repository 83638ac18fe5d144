//! The region scorer f: a residual network with a small receptive field (Section A.1).

mod forward;
mod layout;
mod mean;
mod parameters;
mod plan;
mod rate;
mod sampling;
mod shake;

pub use forward::{BATCH_NORM_EPSILON, Compute, Mode, Network};
pub use mean::mean;
pub use parameters::Parameters;
pub use plan::{Block, Convolution, Embedding, Layer, Plan};
pub use rate::matrix_gflops;
pub use sampling::Sampling;
