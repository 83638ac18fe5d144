//! How many taps the library lists, against counting window by window.

use super::listed;
use crate::network::Window;

#[test]
fn windows_that_reach_into_the_padding() {
    let mut compared = 0;
    for code in 0..4 * 4 * 3 * 4 * 4 * 9 {
        let mut rest = code;
        let mut digit = |base: usize| {
            let digit = rest % base;
            rest /= base;
            digit
        };
        let window = Window {
            kernel: 1 + digit(4),
            stride: 1 + digit(4),
            dilation: 1 + digit(3),
            pad_before: digit(4),
            pad_after: digit(4),
        };
        let inputs = 1 + digit(9);
        for ceil in [false, true] {
            let (Some(outputs), Some(field)) = (window.outputs(inputs, ceil), window.field())
            else {
                continue;
            };
            let inside = |output: &usize| {
                let start = output * window.stride;
                start >= window.pad_before && start + field <= window.pad_before + inputs
            };
            let at_border = outputs - (0..outputs).filter(inside).count();
            let expected = window.kernel * (at_border + 1);
            assert_eq!(
                listed(&window, inputs, outputs),
                expected,
                "{window:?}, {inputs}"
            );
            compared += 1;
        }
    }
    assert!(compared > 10_000, "{compared}");
}
