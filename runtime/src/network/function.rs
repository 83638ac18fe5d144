//! Element-wise functions.

/// A function of one number. Where no formula is given, it is the function of that name.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Unary {
    /// x
    Identity,
    /// |x|
    Abs,
    /// -x
    Neg,
    /// -1, 0 or 1
    Sign,
    /// 1 / x
    Recip,
    /// x * x
    Square,
    /// Square root
    Sqrt,
    /// 1 / sqrt(x)
    Rsqrt,
    /// e^x
    Exp,
    /// Natural logarithm
    Ln,
    /// Largest integer not above x
    Floor,
    /// Smallest integer not below x
    Ceil,
    /// Nearest integer, halves to the even one
    RoundHalfToEven,
    /// Sine
    Sin,
    /// Cosine
    Cos,
    /// Hyperbolic tangent
    Tanh,
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// x * sigmoid(x)
    Silu,
    /// x * clamp(x / 6 + 1 / 2, 0, 1)
    HardSwish,
    /// x, or alpha * x where x < 0
    LeakyRelu {
        /// Slope below zero.
        alpha: f32,
    },
}

impl Unary {
    /// The value at `x`, in f32. An engine may differ from it by rounding.
    #[must_use]
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Unary::Identity => x,
            Unary::Abs => x.abs(),
            Unary::Neg => -x,
            Unary::Sign if x == 0.0 => 0.0,
            Unary::Sign => x.signum(),
            Unary::Recip => x.recip(),
            Unary::Square => x * x,
            Unary::Sqrt => x.sqrt(),
            Unary::Rsqrt => x.sqrt().recip(),
            Unary::Exp => x.exp(),
            Unary::Ln => x.ln(),
            Unary::Floor => x.floor(),
            Unary::Ceil => x.ceil(),
            Unary::RoundHalfToEven => x.round_ties_even(),
            Unary::Sin => x.sin(),
            Unary::Cos => x.cos(),
            Unary::Tanh => x.tanh(),
            Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Unary::Silu => x / (1.0 + (-x).exp()),
            Unary::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Unary::LeakyRelu { alpha } if x < 0.0 => alpha * x,
            Unary::LeakyRelu { .. } => x,
        }
    }
}

/// A function of two numbers. Comparisons give 1 for true and 0 for false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Binary {
    /// left + right
    Add,
    /// left - right
    Sub,
    /// left * right
    Mul,
    /// left / right
    Div,
    /// The larger
    Max,
    /// The smaller
    Min,
    /// left < right
    Less,
    /// left > right
    Greater,
    /// left <= right
    LessOrEqual,
    /// left >= right
    GreaterOrEqual,
}

impl Binary {
    /// Whether the result is a truth value.
    #[must_use]
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            Binary::Less | Binary::Greater | Binary::LessOrEqual | Binary::GreaterOrEqual
        )
    }

    /// The value at `left`, `right`, in f32.
    #[must_use]
    pub fn apply(self, left: f32, right: f32) -> f32 {
        match self {
            Binary::Add => left + right,
            Binary::Sub => left - right,
            Binary::Mul => left * right,
            Binary::Div => left / right,
            Binary::Max => left.max(right),
            Binary::Min => left.min(right),
            Binary::Less => f32::from(u8::from(left < right)),
            Binary::Greater => f32::from(u8::from(left > right)),
            Binary::LessOrEqual => f32::from(u8::from(left <= right)),
            Binary::GreaterOrEqual => f32::from(u8::from(left >= right)),
        }
    }
}
