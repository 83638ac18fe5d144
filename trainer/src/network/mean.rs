//! The mean of networks (Izmailov et al., 2018; Wortsman et al., 2022).

use super::Network;

/// The mean of the numbers of `parts`, networks of the same layers, each by its weight, a number above 0; nothing where there
/// are none. Batch normalisation has to be folded in: statistics of a mean are not the mean of statistics.
pub fn mean(parts: &[(Network, f64)]) -> Option<Network> {
    let (first, _) = parts.first()?;
    let all: f64 = parts.iter().map(|(_, weight)| weight).sum();
    let numbers = parts
        .iter()
        .map(|(network, weight)| network.parameters.flat.detach() * (weight / all))
        .reduce(|sum, part| sum + part)?;
    let statistics = &first.parameters.statistics;
    Some(first.with(first.parameters.with(&numbers, statistics)))
}
