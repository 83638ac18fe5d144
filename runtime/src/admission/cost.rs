//! What one frame will cost, before an engine is made: memory for its maps, and time.
//!
//! A file of a hundred bytes can describe maps of any size, held all at once, and windows as large
//! as the map over each of its cells.

use super::error::Refusal;
use super::limits::{MAX_HELD_VALUES, MAX_OPERATIONS, MAX_SCRATCH_VALUES};
use crate::network::{Network, Node, Op, Operand, Window};

/// Refuses a network whose forward pass would take too much.
pub(super) fn check(network: &Network) -> Result<(), Refusal> {
    let too_much = |what: &str, values: u64, most: u64| {
        Refusal::contract(format!(
            "{what}: {values}, at most {most} are admitted; use smaller images, maps or kernels"
        ))
    };
    let mut operations = 0u64;
    for node in network.nodes() {
        let scratch = scratch(network, node);
        if scratch > MAX_SCRATCH_VALUES {
            let what = format!("node \"{}\" lays out too many values at once", node.name);
            return Err(too_much(&what, scratch, MAX_SCRATCH_VALUES));
        }
        operations = operations.saturating_add(cost(network, node));
    }
    if operations > MAX_OPERATIONS {
        let what = "a frame takes too many operations";
        return Err(too_much(what, operations, MAX_OPERATIONS));
    }
    let held = held(network);
    if held > MAX_HELD_VALUES {
        let what = "its maps hold too many values at once";
        return Err(too_much(what, held, MAX_HELD_VALUES));
    }
    Ok(())
}

fn volume(node: &Node) -> u64 {
    node.shape.volume().map_or(u64::MAX, |values| values as u64)
}

fn taps(y: &Window, x: &Window) -> u64 {
    (y.kernel as u64).saturating_mul(x.kernel as u64)
}

/// Values that each value of a convolution is a sum over: channels of its group times taps.
fn depth(network: &Network, node: &Node) -> Option<u64> {
    let Op::Conv(conv) = &node.op else {
        return None;
    };
    let channels = network.nodes().get(conv.input)?.shape.channels;
    let per_group = channels.checked_div(conv.groups)? as u64;
    Some(per_group.saturating_mul(taps(&conv.y, &conv.x)))
}

fn cost(network: &Network, node: &Node) -> u64 {
    let each = match &node.op {
        Op::Conv(_) => depth(network, node).unwrap_or(u64::MAX),
        Op::Pool { y, x, .. } => taps(y, x),
        Op::Reduce { input, .. } => {
            let node = network.nodes().get(*input);
            node.map_or(u64::MAX, |node| node.shape.channels as u64)
        }
        _ => 1,
    };
    volume(node).saturating_mul(each)
}

/// Values of the matrix that a convolution multiplies its weights with: its inputs, once for each
/// tap that reads them.
fn scratch(network: &Network, node: &Node) -> u64 {
    let Op::Conv(conv) = &node.op else {
        return 0;
    };
    let cells = (node.shape.height as u64).saturating_mul(node.shape.width as u64);
    depth(network, node)
        .unwrap_or(u64::MAX)
        .saturating_mul(conv.groups as u64)
        .saturating_mul(cells)
}

/// The most values that are held at once, each map until its last reader is done.
fn held(network: &Network) -> u64 {
    let nodes = network.nodes();
    let mut last = vec![0usize; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        readers(&node.op, |read| {
            if let Some(last) = last.get_mut(read) {
                *last = index;
            }
        });
    }
    if let Some(output) = last.get_mut(network.output()) {
        *output = nodes.len();
    }
    let mut done = vec![0u64; nodes.len()];
    let (mut now, mut most) = (0u64, 0u64);
    for (index, node) in nodes.iter().enumerate() {
        now = now.saturating_add(volume(node));
        most = most.max(now);
        // One that nobody reads is dropped at once.
        let until = last.get(index).copied().unwrap_or(0).max(index);
        if let Some(done) = done.get_mut(until) {
            *done = done.saturating_add(volume(node));
        }
        now = now.saturating_sub(done.get(index).copied().unwrap_or(0));
    }
    most
}

/// Calls `with` with the index of each map that an operation reads.
fn readers(op: &Op, mut with: impl FnMut(usize)) {
    let mut operand = |operand: &Operand| {
        if let Operand::Node(index) = operand {
            with(*index);
        }
    };
    match op {
        Op::Input => {}
        Op::Conv(conv) => with(conv.input),
        Op::Pool { input, .. }
        | Op::Unary { input, .. }
        | Op::Reduce { input, .. }
        | Op::Pad { input, .. }
        | Op::Crop { input, .. } => with(*input),
        Op::Binary { left, right, .. } => [left, right].into_iter().for_each(operand),
        Op::Select {
            condition,
            then,
            otherwise,
        } => {
            [then, otherwise].into_iter().for_each(&mut operand);
            with(*condition);
        }
        Op::Concat { parts } => parts.iter().for_each(operand),
    }
}

#[cfg(test)]
mod tests;
