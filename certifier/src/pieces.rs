//! Slices cut into whole pieces, like `chunks_exact`, but without its division and its panic for a
//! length of zero: neither is linked into firmware.

use core::mem;

/// Whole pieces of `len` (of one, where `len` is zero, which no shape allows).
pub(crate) fn pieces<T>(slice: &[T], len: usize) -> Pieces<'_, T> {
    Pieces {
        rest: slice,
        len: len.max(1),
    }
}

/// [`pieces`], to write.
pub(crate) fn pieces_mut<T>(slice: &mut [T], len: usize) -> PiecesMut<'_, T> {
    PiecesMut {
        rest: slice,
        len: len.max(1),
    }
}

pub(crate) struct Pieces<'a, T> {
    rest: &'a [T],
    len: usize,
}

impl<'a, T> Iterator for Pieces<'a, T> {
    type Item = &'a [T];

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (piece, rest) = self.rest.split_at_checked(self.len)?;
        self.rest = rest;
        Some(piece)
    }

    // At once, where the default would go piece by piece.
    #[inline]
    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        self.rest = n
            .checked_mul(self.len)
            .and_then(|at| self.rest.get(at..))
            .unwrap_or_default();
        self.next()
    }
}

pub(crate) struct PiecesMut<'a, T> {
    rest: &'a mut [T],
    len: usize,
}

impl<'a, T> Iterator for PiecesMut<'a, T> {
    type Item = &'a mut [T];

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (piece, rest) = mem::take(&mut self.rest).split_at_mut_checked(self.len)?;
        self.rest = rest;
        Some(piece)
    }

    #[inline]
    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        let rest = mem::take(&mut self.rest);
        self.rest = n
            .checked_mul(self.len)
            .and_then(|at| rest.get_mut(at..))
            .unwrap_or_default();
        self.next()
    }
}
