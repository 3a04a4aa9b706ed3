use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const POLL: Duration = Duration::from_millis(20);

/// Calls `check` every 20 ms until it returns a value, and returns that.
///
/// `Ok(None)` means "not yet"; an error ends the wait at once. When `within` has passed the error reads
/// `not within 10 s: <what>`, so `what` states the condition: "the sink has 100 rows".
///
/// ```no_run
/// # async fn example() -> anyhow::Result<()> {
/// use std::time::Duration;
/// let file = millrace_testkit::wait_until(Duration::from_secs(10), "the file is there", async || {
///     Ok(std::fs::read("file").ok())
/// })
/// .await?;
/// # Ok(()) }
/// ```
pub async fn wait_until<T>(
    within: Duration,
    what: &str,
    mut check: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = check().await? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("not within {:.0?}: {what}", within);
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn the_value_comes_out_when_the_condition_holds() {
        let mut looks = 0;
        let value = wait_until(Duration::from_secs(10), "three looks", async || {
            looks += 1;
            Ok((looks == 3).then_some("here"))
        });
        assert_eq!(value.await.unwrap(), "here");
    }

    #[tokio::test]
    async fn a_condition_that_never_holds_is_named() {
        let error = wait_until(Duration::from_millis(30), "the moon is blue", async || {
            Ok(None::<()>)
        })
        .await
        .unwrap_err();
        assert_eq!(error.to_string(), "not within 30ms: the moon is blue");
    }

    #[tokio::test]
    async fn an_error_ends_the_wait() {
        let error = wait_until(Duration::from_secs(60), "never", async || {
            Err::<Option<()>, _>(anyhow::anyhow!("broken"))
        })
        .await;
        assert_eq!(error.unwrap_err().to_string(), "broken");
    }
}
