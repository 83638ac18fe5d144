//! How maps lie in memory: with the columns of a channel side by side, or with the channels of a cell.

use tch::Tensor;

/// The axes of a map N x C x h x w as N x h x w x C.
pub(super) const CHANNELS_TO_END: [i64; 4] = [0, 2, 3, 1];
/// And back.
pub(super) const CHANNELS_BACK: [i64; 4] = [0, 3, 1, 2];

/// `map`, N x C x h x w, with the channels of a cell side by side: its bytes lie as N x h x w x C.
pub(super) fn channels_last(map: &Tensor) -> Tensor {
    map.permute(CHANNELS_TO_END)
        .contiguous()
        .permute(CHANNELS_BACK)
}

/// Whether the channels of a cell of `map`, N x C x h x w, lie side by side.
pub(super) fn lies_channels_last(map: &Tensor) -> bool {
    map.stride().get(1) == Some(&1)
}
