//! The forecast warns before a deadline is missed, and keeps quiet where none is near.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use bagcert_firmware_sim::Pace;
use support::{DEADLINE, Random};

fn ms(time: f64) -> Duration {
    Duration::from_secs_f64(time / 1e3)
}

/// Noise between -1 and 1.
fn noise(random: &mut Random) -> f64 {
    random.below(2001) as f64 / 1000.0 - 1.0
}

#[test]
fn rising_times_are_foretold() {
    for seed in 0..100 {
        let mut random = Random(seed);
        let mut pace = Pace::new(DEADLINE);
        let mut warned = None;
        for cycle in 0..200 {
            // 15 ms for a while, then half a millisecond more each cycle; the deadline is 30 ms.
            let trend = 15.0 + 0.5 * f64::max(0.0, f64::from(cycle) - 50.0);
            let latency = ms(trend + 0.3 * noise(&mut random));
            if latency > DEADLINE {
                let warned = warned.expect("no warning before the deadline was missed");
                let ahead = cycle - warned;
                assert!(
                    (2..=12).contains(&ahead),
                    "seed {seed}: {ahead} cycles ahead"
                );
                break;
            }
            pace.observe(latency);
            if pace.forecast().unwrap().at_risk && warned.is_none() {
                warned = Some(cycle);
            }
        }
    }
}

#[test]
fn steady_times_raise_no_alarm_and_are_followed() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let mut pace = Pace::new(DEADLINE);
        for cycle in 0..2000 {
            pace.observe(ms(20.0 + noise(&mut random)));
            let forecast = pace.forecast().unwrap();
            assert!(
                !forecast.at_risk,
                "seed {seed}, cycle {cycle}: {forecast:?}"
            );
            if cycle > 200 {
                let off = (forecast.latency.as_secs_f64() - 0.020).abs();
                assert!(off < 0.0015, "seed {seed}, cycle {cycle}: {forecast:?}");
                // Uniform noise of 1 ms has a standard deviation of 0.58 ms.
                let jitter = forecast.jitter.as_secs_f64() * 1e3;
                assert!((0.3..1.2).contains(&jitter), "{jitter} ms");
            }
        }
    }
}

#[test]
fn a_hang_is_forgotten_and_odd_numbers_do_no_harm() {
    let mut pace = Pace::new(DEADLINE);
    assert!(pace.forecast().is_none());
    for _ in 0..100 {
        pace.observe(ms(10.0));
    }
    pace.observe(Duration::MAX);
    for _ in 0..20 {
        pace.observe(ms(10.0));
    }
    assert!(!pace.forecast().unwrap().at_risk);
    // But what lasts is believed.
    for _ in 0..40 {
        pace.observe(ms(35.0));
    }
    assert!(pace.forecast().unwrap().at_risk);

    let mut timeless = Pace::new(Duration::ZERO);
    for latency in [Duration::ZERO, Duration::from_secs(1), Duration::MAX] {
        timeless.observe(latency);
        let _ = timeless.forecast();
    }
}
