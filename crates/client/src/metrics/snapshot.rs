use std::fmt;
use std::sync::Arc;

/// One number, as it was when the snapshot was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Kafka's group, such as `producer-metrics`.
    pub group: &'static str,
    /// Kafka's name, such as `record-send-rate`.
    pub name: &'static str,
    /// What it is about: `client-id`, and where it applies `topic`, `partition`, `node-id`.
    pub tags: Tags,
    /// The value; NaN for an average or extreme of nothing.
    pub value: f64,
    /// What it tells, with its unit.
    pub description: &'static str,
}

/// The tags of a metric; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tags(Arc<[(&'static str, Arc<str>)]>);

impl Tags {
    /// In the order given.
    pub fn new(tags: impl IntoIterator<Item = (&'static str, Arc<str>)>) -> Self {
        Self(tags.into_iter().collect())
    }

    /// These and one more.
    pub(super) fn with(&self, tag: &'static str, value: impl Into<Arc<str>>) -> Self {
        Self(self.0.iter().cloned().chain([(tag, value.into())]).collect())
    }

    /// The value of `tag`.
    pub fn get(&self, tag: &str) -> Option<&str> {
        self.iter().find_map(|(name, value)| (name == tag).then_some(value))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(tag, value)| (*tag, &**value))
    }
}

/// `{client-id=orders, topic=clicks}`.
impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (tag, value)) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{tag}={value}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// All metrics at one moment, in the order of group, name and tags.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    metrics: Vec<Metric>,
}

impl Snapshot {
    pub(super) fn new(mut metrics: Vec<Metric>) -> Self {
        metrics.sort_by(|a, b| (a.group, a.name, &a.tags).cmp(&(b.group, b.name, &b.tags)));
        Self { metrics }
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Metric> {
        self.metrics.iter()
    }

    /// The value of one metric: the first of that group and name whose tags are exactly `tags`;
    /// `client-id` may be left out.
    ///
    /// ```
    /// # use milena_client::metrics::{ConsumerMetrics, Metrics, Sampling};
    /// # let metrics = Metrics::new(Sampling::default());
    /// # let consumer = ConsumerMetrics::new(&metrics, "billing");
    /// # let now = std::time::Duration::ZERO;
    /// # consumer.record_lag(now, "orders", 3, 17);
    /// let snapshot = metrics.snapshot(now);
    /// let group = "consumer-fetch-manager-metrics";
    /// assert_eq!(snapshot.value(group, "records-lag-max", &[]), Some(17.0));
    /// let orders_3 = [("topic", "orders"), ("partition", "3")];
    /// assert_eq!(snapshot.value(group, "records-lag", &orders_3), Some(17.0));
    /// ```
    pub fn value(&self, group: &str, name: &str, tags: &[(&str, &str)]) -> Option<f64> {
        let any_client = tags.iter().all(|(tag, _)| *tag != "client-id");
        let has_tags = |metric: &Metric| {
            let own = || metric.tags.iter().filter(|(tag, _)| *tag != "client-id" || !any_client);
            own().count() == tags.len() && own().all(|tag| tags.contains(&tag))
        };
        let found =
            self.iter().find(|metric| metric.group == group && metric.name == name && has_tags(metric));
        found.map(|metric| metric.value)
    }
}

impl<'a> IntoIterator for &'a Snapshot {
    type Item = &'a Metric;
    type IntoIter = std::slice::Iter<'a, Metric>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Snapshot {
    type Item = Metric;
    type IntoIter = std::vec::IntoIter<Metric>;

    fn into_iter(self) -> Self::IntoIter {
        self.metrics.into_iter()
    }
}
