//! From values to pixels along one axis, and the round values at which an axis is marked.

/// Marks wanted at least and at most.
const TICKS_MIN: f64 = 4.0;
const TICKS_MAX: usize = 7;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    logarithmic: bool,
    from: f64,
    to: f64,
    start: f64,
    end: f64,
    step: f64,
}

impl Scale {
    /// From zero to a round value not below `most`.
    pub(crate) fn from_zero(most: f64, start: f64, end: f64) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let step = below(most / TICKS_MIN);
        Self { logarithmic: false, from: 0.0, to: (most / step).ceil() * step, start, end, step }
    }

    /// Exactly from one value to another, with no marks of its own.
    pub(crate) fn exact(from: f64, to: f64, start: f64, end: f64) -> Self {
        Self { logarithmic: false, from, to: to.max(from + f64::MIN_POSITIVE), start, end, step: f64::INFINITY }
    }

    /// By powers, between round values around `least` and `most`, both above zero.
    pub(crate) fn logarithmic(least: f64, most: f64, start: f64, end: f64) -> Self {
        let least = if least > 0.0 && least.is_finite() { least } else { 1.0 };
        let (from, most) = (below(least * 1.0001), most.max(least));
        let mut to = from;
        while to < most {
            to = next(to);
        }
        let to = if to > from { to } else { next(from) };
        Self { logarithmic: true, from, to, start, end, step: 0.0 }
    }

    /// Values beyond an end are shown at it.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value.max(self.from) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        self.start + share.clamp(0.0, 1.0) * (self.end - self.start)
    }

    pub(crate) fn ticks(&self) -> Vec<f64> {
        if !self.logarithmic {
            let count = ((self.to - self.from) / self.step).round();
            return (0..=count as u32).map(|index| self.from + f64::from(index) * self.step).collect();
        }
        let mut ticks = vec![self.from];
        while let Some(last) = ticks.last().copied().filter(|last| *last < self.to * 0.999) {
            ticks.push(next(last));
        }
        if ticks.len() > TICKS_MAX {
            ticks.retain(|tick| below(*tick).log10().fract().abs() < 1e-6);
        }
        ticks
    }
}

/// The largest of 1, 2, 5 times a power of ten that is not above `value`.
fn below(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let fitting = [5.0, 2.0, 1.0].into_iter().find(|digit| digit * power <= value * 1.000_001);
    fitting.unwrap_or(1.0) * power
}

/// The next one of 1, 2, 5 times a power of ten.
fn next(value: f64) -> f64 {
    let power = 10_f64.powf((value * 1.000_001).log10().floor());
    match (value / power).round() as u8 {
        1 => 2.0 * power,
        2 => 5.0 * power,
        _ => 10.0 * power,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(ticks: Vec<f64>) -> Vec<i64> {
        ticks.into_iter().map(|tick| (tick * 1000.0).round() as i64).collect()
    }

    #[test]
    fn marks_are_round() {
        assert_eq!(rounded(Scale::from_zero(43.0, 0.0, 1.0).ticks()), [0, 10_000, 20_000, 30_000, 40_000, 50_000]);
        assert_eq!(rounded(Scale::from_zero(0.0, 0.0, 1.0).ticks()), [0, 200, 400, 600, 800, 1000]);
        assert_eq!(rounded(Scale::logarithmic(0.3, 4.0, 0.0, 1.0).ticks()), [200, 500, 1000, 2000, 5000]);
        assert_eq!(rounded(Scale::logarithmic(0.3, 900.0, 0.0, 1.0).ticks()), [1000, 10_000, 100_000, 1_000_000]);
        assert_eq!(rounded(Scale::logarithmic(1.0, 1.0, 0.0, 1.0).ticks()), [1000, 2000]);
    }

    #[test]
    fn values_lie_between_the_ends() {
        let scale = Scale::logarithmic(1.0, 100.0, 200.0, 0.0);
        assert_eq!([1.0, 10.0, 100.0, 1e9, 0.0].map(|value| scale.at(value).round()), [200.0, 100.0, 0.0, 0.0, 200.0]);
        let scale = Scale::exact(10.0, 20.0, 0.0, 100.0);
        assert_eq!([10.0, 15.0, 30.0].map(|value| scale.at(value)), [0.0, 50.0, 100.0]);
    }

    #[test]
    fn no_value_makes_a_scale_that_is_none() {
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let scale = Scale::logarithmic(value, value, 0.0, 1.0);
            assert!(scale.at(1.0).is_finite() && scale.ticks().len() < 1000, "{value}");
        }
    }
}
