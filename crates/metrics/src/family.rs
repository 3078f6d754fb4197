//! Families of series over the `prometheus` crate: bounded labels, and a list of what was declared.

use crate::labels::Label;
use core::fmt;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector,
};
use std::time::Duration;

/// One metric as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The full name.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: Vec<&'static str>,
    /// What it counts or measures.
    pub help: &'static str,
}

/// The type of a metric.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations in buckets.
    Histogram,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// A number that only grows.
#[derive(Clone, Debug)]
pub struct Counter(IntCounter);

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// `by` more.
    pub fn add(&self, by: u64) {
        self.0.inc_by(by);
    }

    /// Says what a count kept elsewhere amounts to by now. Never falls; give one series one writer.
    pub fn at_least(&self, total: u64) {
        self.0.inc_by(total.saturating_sub(self.0.get()));
    }

    /// The count so far.
    pub fn value(&self) -> u64 {
        self.0.get()
    }
}

/// A number that goes up and down.
#[derive(Clone, Debug)]
pub struct Gauge(IntGauge);

impl Gauge {
    /// Says what it is now.
    pub fn set(&self, value: u64) {
        self.0.set(i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// One more.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// One less.
    pub fn dec(&self) {
        self.0.dec();
    }

    /// What it was set to.
    pub fn value(&self) -> i64 {
        self.0.get()
    }
}

/// Durations in buckets.
#[derive(Clone, Debug)]
pub struct Histogram(prometheus::Histogram);

impl Histogram {
    /// Takes one observation.
    pub fn observe(&self, duration: Duration) {
        self.0.observe(duration.as_secs_f64());
    }

    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.0.get_sample_count()
    }
}

/// Counters by `N` labels.
#[derive(Debug)]
pub struct Counters<const N: usize> {
    series: IntCounterVec,
    labels: [Label; N],
}

impl<const N: usize> Counters<N> {
    /// A family of one label with a vocabulary is shown whole from the start: rates need a first zero.
    fn show_vocabulary(&self) {
        let Ok([label]) = <&[Label; 1]>::try_from(self.labels.as_slice()) else { return };
        for value in label.vocabulary() {
            self.series.with_label_values(&[*value]);
        }
    }

    /// One more.
    pub fn inc(&self, labels: [&str; N]) {
        self.with(labels).inc();
    }

    /// `by` more.
    pub fn add(&self, labels: [&str; N], by: u64) {
        self.with(labels).add(by);
    }

    /// Says what a count kept elsewhere amounts to by now. Never falls; give one series one writer.
    pub fn at_least(&self, labels: [&str; N], total: u64) {
        self.with(labels).at_least(total);
    }

    /// One series of the family, to keep where it is counted often.
    pub fn with(&self, labels: [&str; N]) -> Counter {
        Counter(self.series.with_label_values(&bounded(&self.labels, labels)))
    }
}

/// Gauges by `N` labels.
#[derive(Debug)]
pub struct Gauges<const N: usize> {
    series: IntGaugeVec,
    labels: [Label; N],
}

impl<const N: usize> Gauges<N> {
    /// Says what one series is now.
    pub fn set(&self, labels: [&str; N], value: u64) {
        self.with(labels).set(value);
    }

    /// One series of the family, to keep where it is set often.
    pub fn with(&self, labels: [&str; N]) -> Gauge {
        Gauge(self.series.with_label_values(&bounded(&self.labels, labels)))
    }

    /// Sets every series that exists to zero; call it before setting those that there are now.
    pub fn zero(&self) {
        for family in self.series.collect() {
            for metric in family.get_metric() {
                let values: Vec<&str> = metric.get_label().iter().map(|pair| pair.value()).collect();
                if let Ok(series) = self.series.get_metric_with_label_values(&values) {
                    series.set(0);
                }
            }
        }
    }
}

/// Histograms by `N` labels.
#[derive(Debug)]
pub struct Histograms<const N: usize> {
    series: HistogramVec,
    labels: [Label; N],
}

impl<const N: usize> Histograms<N> {
    /// Takes one observation.
    pub fn observe(&self, labels: [&str; N], duration: Duration) {
        self.observe_value(labels, duration.as_secs_f64());
    }

    /// Takes one observation of what is not a time.
    pub fn observe_value(&self, labels: [&str; N], value: f64) {
        self.series.with_label_values(&bounded(&self.labels, labels)).observe(value);
    }
}

fn bounded<'a, const N: usize>(labels: &[Label; N], values: [&'a str; N]) -> [&'a str; N] {
    let mut within = values;
    for (label, value) in labels.iter().zip(within.iter_mut()) {
        *value = label.bounded(value);
    }
    within
}

/// A count of seconds.
#[derive(Debug)]
pub(crate) struct ProcessCounter(prometheus::Counter);

impl ProcessCounter {
    pub(crate) fn at_least(&self, total: f64) {
        self.0.inc_by((total - self.0.get()).max(0.0));
    }
}

/// A moment in seconds.
#[derive(Debug)]
pub(crate) struct ProcessGauge(prometheus::Gauge);

impl ProcessGauge {
    pub(crate) fn set(&self, value: f64) {
        self.0.set(value);
    }
}

/// Everything declared so far. The names are constants of this crate: a clash is found by any test.
#[derive(Debug)]
pub(crate) struct Declarations {
    registry: Registry,
    described: Vec<Description>,
}

const CONSTANT: &str = "names and labels are valid constants, each declared once";

impl Declarations {
    pub(crate) fn new() -> Self {
        Self { registry: Registry::new(), described: Vec::new() }
    }

    pub(crate) fn counter(&mut self, name: &'static str, help: &'static str) -> Counter {
        let counter = IntCounter::new(name, help).expect(CONSTANT);
        self.declare(name, Kind::Counter, &[], help, counter.clone());
        Counter(counter)
    }

    pub(crate) fn counters<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [Label; N],
    ) -> Counters<N> {
        let series = IntCounterVec::new(Opts::new(name, help), &label_names(&labels)).expect(CONSTANT);
        self.declare(name, Kind::Counter, &labels, help, series.clone());
        let family = Counters { series, labels };
        family.show_vocabulary();
        family
    }

    pub(crate) fn gauge(&mut self, name: &'static str, help: &'static str) -> Gauge {
        let gauge = IntGauge::new(name, help).expect(CONSTANT);
        self.declare(name, Kind::Gauge, &[], help, gauge.clone());
        Gauge(gauge)
    }

    pub(crate) fn gauges<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [Label; N],
    ) -> Gauges<N> {
        let series = IntGaugeVec::new(Opts::new(name, help), &label_names(&labels)).expect(CONSTANT);
        self.declare(name, Kind::Gauge, &labels, help, series.clone());
        Gauges { series, labels }
    }

    pub(crate) fn histogram(&mut self, name: &'static str, help: &'static str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let histogram = prometheus::Histogram::with_opts(options).expect(CONSTANT);
        self.declare(name, Kind::Histogram, &[], help, histogram.clone());
        Histogram(histogram)
    }

    pub(crate) fn histograms<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [Label; N],
        buckets: &[f64],
    ) -> Histograms<N> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let series = HistogramVec::new(options, &label_names(&labels)).expect(CONSTANT);
        self.declare(name, Kind::Histogram, &labels, help, series.clone());
        Histograms { series, labels }
    }

    pub(crate) fn seconds_counter(&mut self, name: &'static str, help: &'static str) -> ProcessCounter {
        let counter = prometheus::Counter::new(name, help).expect(CONSTANT);
        self.declare(name, Kind::Counter, &[], help, counter.clone());
        ProcessCounter(counter)
    }

    pub(crate) fn seconds_gauge(&mut self, name: &'static str, help: &'static str) -> ProcessGauge {
        let gauge = prometheus::Gauge::new(name, help).expect(CONSTANT);
        self.declare(name, Kind::Gauge, &[], help, gauge.clone());
        ProcessGauge(gauge)
    }

    pub(crate) fn encode(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).expect("writing to a string does not fail")
    }

    pub(crate) fn describe(&self) -> Vec<Description> {
        let mut described = self.described.clone();
        described.sort_by_key(|metric| metric.name);
        described
    }

    fn declare(
        &mut self,
        name: &'static str,
        kind: Kind,
        labels: &[Label],
        help: &'static str,
        collector: impl Collector + 'static,
    ) {
        self.described.push(Description { name, kind, labels: label_names(labels), help });
        self.registry.register(Box::new(collector)).expect(CONSTANT);
    }
}

fn label_names(labels: &[Label]) -> Vec<&'static str> {
    labels.iter().map(|label| label.name).collect()
}
