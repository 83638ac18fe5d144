//! Which inputs an output cell reads, along one axis.

/// A sliding window along one axis, as convolutions and pools use it: output cell `i` has taps
/// at `stride * i - pad_before + k * dilation` for `k` in `0..kernel`. Taps outside the map read
/// padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Number of taps, at least 1.
    pub kernel: usize,
    /// Cells between neighbouring windows, at least 1.
    pub stride: usize,
    /// Cells between neighbouring taps, at least 1.
    pub dilation: usize,
    /// Cells of padding before the map.
    pub pad_before: usize,
    /// Cells of padding after the map.
    pub pad_after: usize,
}

impl Window {
    /// Cells from the first tap to the last, both counted. `None` on overflow or a zero field.
    #[must_use]
    pub fn field(&self) -> Option<usize> {
        if self.stride == 0 || self.dilation == 0 {
            return None;
        }
        self.kernel
            .checked_sub(1)?
            .checked_mul(self.dilation)?
            .checked_add(1)
    }

    /// Number of windows that lie wholly inside a padded map of `inputs` cells; with `ceil`, also
    /// a last one that starts inside the map or the padding before it but runs past the end
    /// (ONNX `ceil_mode`). `None` where not even one window fits.
    #[must_use]
    pub fn outputs(&self, inputs: usize, ceil: bool) -> Option<usize> {
        let before = inputs.checked_add(self.pad_before)?;
        let room = before
            .checked_add(self.pad_after)?
            .checked_sub(self.field()?)?;
        if !ceil {
            return Some(room / self.stride + 1);
        }
        let last = room.div_ceil(self.stride);
        if last.checked_mul(self.stride)? < before {
            last.checked_add(1)
        } else {
            Some(last)
        }
    }

    /// The input cell that tap `tap` of window `output` reads, or `None` where it reads padding
    /// (of a map of `inputs` cells).
    #[must_use]
    pub fn tap(&self, output: usize, tap: usize, inputs: usize) -> Option<usize> {
        let at = output
            .checked_mul(self.stride)?
            .checked_add(tap.checked_mul(self.dilation)?)?;
        at.checked_sub(self.pad_before)
            .filter(|cell| *cell < inputs)
    }
}

/// Cell `i` of a map depends on no image pixel outside `stride * i + lo ..= stride * i + hi`
/// along this axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Pixels between the intervals of neighbouring cells.
    pub stride: i64,
    /// First pixel, relative to `stride * i`.
    pub lo: i64,
    /// Last pixel, relative to `stride * i`.
    pub hi: i64,
}

impl Reach {
    /// The image itself: cell `i` is pixel `i`.
    pub const IMAGE: Reach = Reach {
        stride: 1,
        lo: 0,
        hi: 0,
    };

    /// The reach of windows over a map with this reach. Cell `i` reads cells `s*i - p` to
    /// `s*i - p + (k-1)*d`; the interval of each is that of cell `s*i` shifted by whole strides.
    /// `None` on overflow.
    #[must_use]
    pub fn through(self, window: &Window) -> Option<Reach> {
        let before = i64::try_from(window.pad_before).ok()?;
        let last = i64::try_from(window.field()?.checked_sub(1)?).ok()?;
        Some(Reach {
            stride: self
                .stride
                .checked_mul(i64::try_from(window.stride).ok()?)?,
            lo: self.lo.checked_sub(self.stride.checked_mul(before)?)?,
            hi: self
                .hi
                .checked_add(self.stride.checked_mul(last.checked_sub(before)?)?)?,
        })
    }

    /// The reach of a map whose cell `i` is cell `i + cells` of the map with this reach.
    /// `None` on overflow.
    #[must_use]
    pub fn shifted(self, cells: i64) -> Option<Reach> {
        let pixels = self.stride.checked_mul(cells)?;
        Some(Reach {
            stride: self.stride,
            lo: self.lo.checked_add(pixels)?,
            hi: self.hi.checked_add(pixels)?,
        })
    }

    /// The smallest interval that holds both. `None` where the strides differ: then no interval
    /// of this form holds both for every cell.
    #[must_use]
    pub fn hull(self, other: Reach) -> Option<Reach> {
        (self.stride == other.stride).then(|| Reach {
            stride: self.stride,
            lo: self.lo.min(other.lo),
            hi: self.hi.max(other.hi),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Reach, Window};

    fn window(kernel: usize, stride: usize, dilation: usize, pads: (usize, usize)) -> Window {
        Window {
            kernel,
            stride,
            dilation,
            pad_before: pads.0,
            pad_after: pads.1,
        }
    }

    #[test]
    fn field_and_outputs() {
        assert_eq!(window(3, 1, 2, (0, 0)).field(), Some(5));
        assert_eq!(window(0, 1, 1, (0, 0)).field(), None);
        assert_eq!(window(3, 0, 1, (0, 0)).outputs(5, false), None);
        assert_eq!(window(3, 2, 1, (1, 1)).outputs(8, false), Some(4));
        assert_eq!(window(3, 2, 1, (1, 1)).outputs(8, true), Some(5));
        // The window that would start past the map is not made, even with ceil.
        assert_eq!(window(2, 3, 1, (0, 2)).outputs(4, true), Some(2));
        assert_eq!(window(2, 3, 1, (0, 2)).outputs(6, true), Some(2));
        assert_eq!(window(7, 1, 1, (1, 1)).outputs(4, false), None);
    }

    #[test]
    fn reach_follows_the_definition() {
        let first = Reach::IMAGE.through(&window(3, 2, 1, (1, 1)));
        assert_eq!(
            first,
            Some(Reach {
                stride: 2,
                lo: -1,
                hi: 1
            })
        );
        // Taps of the second layer at cells 3i-2 and 3i+1 of the first: pixels 6i-5 ..= 6i+3.
        let second = first.and_then(|reach| reach.through(&window(2, 3, 3, (2, 0))));
        assert_eq!(
            second,
            Some(Reach {
                stride: 6,
                lo: -5,
                hi: 3
            })
        );
        assert_eq!(
            second.and_then(|reach| reach.shifted(-1)),
            Some(Reach {
                stride: 6,
                lo: -11,
                hi: -3
            })
        );
        assert_eq!(
            Reach::IMAGE.hull(Reach {
                stride: 2,
                lo: 0,
                hi: 0
            }),
            None
        );
    }

    #[test]
    fn overflow_is_none() {
        let far = Reach {
            stride: i64::MAX,
            lo: 0,
            hi: 0,
        };
        assert_eq!(far.through(&window(3, 2, 1, (1, 1))), None);
        assert_eq!(far.shifted(2), None);
        assert_eq!(window(usize::MAX, 1, 2, (0, 0)).field(), None);
    }
}
