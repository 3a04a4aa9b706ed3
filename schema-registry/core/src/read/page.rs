use crate::{Page, RegistryError};

/// Where a page starts and how long it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    offset: usize,
    limit: usize,
}

impl Window {
    /// `limits`: default and maximum. A limit that is not positive or above the maximum means the default.
    ///
    /// # Errors
    /// 500 for a negative offset, as the original.
    pub(super) fn new(page: Page, limits: (i32, i32)) -> Result<Self, RegistryError> {
        let limit = page
            .limit
            .filter(|limit| *limit > 0 && *limit <= limits.1)
            .unwrap_or(limits.0);
        Ok(Self {
            offset: usize::try_from(page.offset.unwrap_or(0))
                .map_err(|_| RegistryError::internal())?,
            limit: usize::try_from(limit).unwrap_or(0),
        })
    }

    pub(super) fn cut<T>(self, all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        all.skip(self.offset).take(self.limit)
    }
}
