//! Recommenders: values to offer for a key, and whether a form should show it.

use std::fmt;
use std::sync::Arc;

use super::field::ConfigEnum;
use super::props::RawProps;

/// What a recommender says about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recommendation {
    /// Values to offer; empty when anything goes.
    pub values: Vec<String>,
    /// Whether the key matters with the configuration as it is.
    pub visible: bool,
}

type Recommend = dyn Fn(&RawProps) -> Recommendation + Send + Sync;

/// Computes a [`Recommendation`] from what was submitted.
#[derive(Clone)]
pub struct Recommender(Arc<Recommend>);

impl fmt::Debug for Recommender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recommender")
    }
}

impl Recommender {
    /// A recommender from a function.
    pub fn new(recommend: impl Fn(&RawProps) -> Recommendation + Send + Sync + 'static) -> Self {
        Self(Arc::new(recommend))
    }

    /// Always offers these values.
    pub fn values<I: IntoIterator<Item = S>, S: Into<String>>(values: I) -> Self {
        let values: Vec<String> = values.into_iter().map(Into::into).collect();
        Self::new(move |_| Recommendation {
            values: values.clone(),
            visible: true,
        })
    }

    /// Always offers the literals of `T`.
    pub fn literals_of<T: ConfigEnum>() -> Self {
        Self::values(T::literals())
    }

    /// Offers nothing; the key is shown when `visible` says so.
    pub fn visible_when(visible: impl Fn(&RawProps) -> bool + Send + Sync + 'static) -> Self {
        Self::new(move |props| Recommendation {
            values: Vec::new(),
            visible: visible(props),
        })
    }

    /// What it says about a key with this configuration.
    pub fn recommend(&self, props: &RawProps) -> Recommendation {
        (self.0)(props)
    }
}
