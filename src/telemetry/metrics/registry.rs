//! Handles of a metric's series: registered once, found by the place of their labels.

use metrics::{Counter, Gauge, Histogram, Key, Label as KeyLabel, Level, Metadata, Recorder};

use super::super::labels::Label;

const METADATA: Metadata<'static> = Metadata::new("jeton", Level::INFO, None);

/// One handle for each value of a closed set.
#[derive(Debug)]
pub(super) struct Family<H>(Vec<H>);

/// One handle for each pair of values of two closed sets.
#[derive(Debug)]
pub(super) struct Family2<H>(Vec<Family<H>>);

impl<H> Family<H> {
    pub(super) fn new<L: Label>(make: impl Fn(Vec<KeyLabel>) -> H) -> Self {
        Self(L::ALL.iter().map(|value| make(vec![KeyLabel::new(L::NAME, value.as_str())])).collect())
    }

    pub(super) fn get(&self, label: impl Label) -> &H {
        &self.0[label.index()]
    }
}

impl<H> Family2<H> {
    pub(super) fn new<A: Label, B: Label>(make: impl Fn(Vec<KeyLabel>) -> H) -> Self {
        let row = |a: &A| {
            Family::new::<B>(|mut labels| {
                labels.insert(0, KeyLabel::new(A::NAME, a.as_str()));
                make(labels)
            })
        };
        Self(A::ALL.iter().map(row).collect())
    }

    pub(super) fn get(&self, a: impl Label, b: impl Label) -> &H {
        self.0[a.index()].get(b)
    }
}

/// Registers series by name. A counter and a gauge are there from the start, with 0.
pub(super) struct Names<'a>(pub(super) &'a dyn Recorder);

impl Names<'_> {
    pub(super) fn counter(&self, name: &'static str) -> impl Fn(Vec<KeyLabel>) -> Counter {
        move |labels| {
            let counter = self.0.register_counter(&Key::from_parts(name, labels), &METADATA);
            counter.increment(0);
            counter
        }
    }

    pub(super) fn gauge(&self, name: &'static str) -> impl Fn(Vec<KeyLabel>) -> Gauge {
        move |labels| {
            let gauge = self.0.register_gauge(&Key::from_parts(name, labels), &METADATA);
            gauge.set(0.0);
            gauge
        }
    }

    pub(super) fn histogram(&self, name: &'static str) -> impl Fn(Vec<KeyLabel>) -> Histogram {
        move |labels| self.0.register_histogram(&Key::from_parts(name, labels), &METADATA)
    }
}
