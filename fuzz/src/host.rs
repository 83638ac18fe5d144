//! The simulation's own reader of scenarios: it is a program, not a library.

#[path = "../../firmware-sim/src/host/scenario.rs"]
#[allow(dead_code)]
pub(crate) mod scenario;
#[path = "../../firmware-sim/src/host/stop.rs"]
#[allow(dead_code)]
pub(crate) mod stop;
