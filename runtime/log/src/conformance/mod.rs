//! One suite of cases for every log that keeps records. A log's test binary names a [`Subject`] and gets one test per case from
//! [`conformance_tests!`](crate::conformance_tests).
//!
//! Cases ask for no more than the seam promises: offsets may have gaps, a rebalance may ask for more partitions than it moves, news may take a while.

mod ground;
mod groups;
mod membership;
mod records;
mod tables;
mod topics;
mod transactions;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::Log;

/// The log under test.
#[async_trait::async_trait]
pub trait Subject: Send + Sync + Debug {
    /// The log. Called once per case, first.
    async fn open(&self) -> Arc<dyn Log>;

    /// A name that no other case uses, also not one that ran on the same servers before.
    fn unique(&self, prefix: &str) -> String;

    /// The log as a new process finds it after the one that had `log` was killed; `None` when this cannot be had here.
    async fn reopen_after_crash(&self, _log: Arc<dyn Log>) -> Option<Arc<dyn Log>> {
        None
    }

    /// Applies the topic's retention settings now; false when nothing can make the log do so.
    async fn enforce_retention(&self, _log: &Arc<dyn Log>, _topic: &str) -> bool {
        false
    }

    /// Compacts the topic now; false when nothing can make the log do so.
    async fn compact(&self, _log: &Arc<dyn Log>, _topic: &str) -> bool {
        false
    }

    /// The least timestamp that is kept: librdkafka cannot tell 0 from "now".
    fn least_timestamp(&self) -> i64 {
        0
    }

    /// The shortest session that groups of this log grant.
    fn least_session_timeout(&self) -> Duration {
        Duration::from_secs(6)
    }

    /// How long something that has to happen may take.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// A case: panics when the log does not behave.
pub type Case = for<'a> fn(&'a dyn Subject) -> BoxFuture<'a, ()>;

/// Runs one case and fails it when it hangs.
pub async fn run(name: &str, case: Case, subject: &dyn Subject) {
    let limit = subject.patience() * 4;
    assert!(
        tokio::time::timeout(limit, case(subject)).await.is_ok(),
        "case {name} did not end within {limit:?}"
    );
}

/// Calls a macro with the name of every case, after `$head`.
#[doc(hidden)]
#[macro_export]
macro_rules! for_each_conformance_case {
    ($callback:path; $($head:tt)*) => {
        $callback! { $($head)*;
            records::order_is_kept_within_a_partition,
            records::deliveries_name_where_records_are_read,
            records::null_and_empty_are_kept_apart,
            records::headers_are_kept_in_order,
            records::timestamps_are_kept,
            records::append_time_replaces_the_senders,
            records::keys_go_where_java_sends_them,
            records::a_large_batch_passes_through_a_small_buffer,
            records::a_record_that_is_too_large_is_refused_alone,
            records::a_partition_that_does_not_exist_is_refused,
            records::a_missing_topic_is_made_by_the_first_record,
            records::readers_start_where_they_are_told,
            records::a_reader_hears_of_new_records,
            records::a_reader_of_an_unknown_topic_fails,
            records::a_closed_log_refuses_everything,
            transactions::a_transaction_is_seen_whole_across_partitions,
            transactions::nothing_of_an_open_transaction_is_seen,
            transactions::an_aborted_transaction_is_never_seen,
            transactions::a_dropped_producer_leaves_nothing_behind,
            transactions::positions_commit_with_their_records,
            transactions::a_newer_producer_fences_the_older_one,
            transactions::producers_with_other_ids_are_not_fenced,
            transactions::a_refused_record_spoils_its_transaction_only,
            transactions::a_large_transaction_is_one,
            transactions::committing_nothing_is_fine,
            tables::a_table_is_read_to_its_end_then_followed,
            tables::a_table_sees_its_own_writes,
            tables::tombstones_and_order_of_a_key_are_kept,
            tables::every_opening_starts_at_the_beginning,
            tables::a_missing_topic_is_made_compacted,
            tables::a_topic_that_forgets_is_refused,
            tables::a_topic_that_forgets_is_taken_when_told_so,
            tables::more_replicas_than_brokers_are_lowered_when_told_so,
            tables::a_write_tells_where_its_records_are,
            tables::an_empty_table_ends_at_once,
            tables::a_compacted_topic_takes_no_record_without_a_key,
            groups::a_member_goes_on_where_its_group_has_committed,
            groups::without_a_position_the_start_is_as_asked,
            groups::two_members_share_and_nothing_is_lost_or_doubled,
            groups::a_partition_is_handed_over_only_after_its_release,
            groups::a_former_owner_cannot_commit,
            groups::a_member_that_leaves_makes_room,
            groups::paused_partitions_deliver_nothing,
            groups::a_seek_goes_back_and_forth,
            groups::a_pattern_finds_new_topics,
            groups::a_subscribed_topic_may_come_later,
            groups::lag_is_what_is_left,
            groups::positions_of_a_group_with_members_are_not_altered,
            groups::cancelled_waiting_loses_nothing,
            membership::a_member_alone_leads,
            membership::a_second_member_brings_a_new_generation,
            membership::a_leader_that_leaves_is_replaced_at_once,
            membership::a_member_that_dies_is_evicted_when_its_session_expires,
            membership::metadata_and_assignments_arrive_unchanged,
            membership::a_member_that_joins_again_shows_its_new_metadata,
            membership::a_follower_can_bring_a_new_generation_without_news,
            membership::leases_are_prolonged_and_end_with_the_generation,
            membership::an_owner_that_is_busy_stays_in_the_group,
            membership::the_protocol_that_all_members_speak_is_chosen,
            membership::groups_do_not_disturb_each_other,
            membership::another_protocol_type_is_refused,
            membership::a_static_member_comes_back_without_a_rebalance,
            membership::a_static_member_is_fenced_by_its_double,
            membership::a_closed_log_ends_memberships,
            membership::options_that_cannot_work_are_refused,
            topics::asking_for_a_missing_topic_does_not_make_it,
            topics::topics_are_made_listed_and_deleted,
            topics::settings_in_force_are_told,
            topics::offsets_span_the_records,
            topics::positions_are_set_and_removed,
            topics::what_is_unknown_is_called_so,
            topics::retention_by_size_drops_the_oldest,
            topics::retention_by_age_drops_the_oldest,
            topics::compaction_keeps_the_last_value_and_offsets,
            topics::what_was_acknowledged_survives_a_crash,
            topics::fencing_survives_a_crash,
        }
    };
}

macro_rules! list {
    (cases; $($module:ident::$name:ident,)*) => {
        /// All cases by name.
        pub const CASES: &[(&str, Case)] = &[$((stringify!($name), |subject| Box::pin($module::$name(subject))),)*];
    };
}

crate::for_each_conformance_case!(list; cases);

/// Looks a case up by name. Panics when there is none.
pub fn case(name: &str) -> Case {
    CASES
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, case)| *case)
        .unwrap_or_else(|| panic!("no conformance case is called {name}"))
}

/// Makes one `#[tokio::test]` per case for the [`Subject`] that the expression gives; it is evaluated once per test, inside an async block.
///
/// ```text
/// millrace_log::conformance_tests!(MySubject::new().await);
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($subject:expr) => {
        $crate::for_each_conformance_case!($crate::conformance_tests; @each $subject);
    };
    (@each $subject:expr; $($module:ident::$name:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let subject = $subject;
                $crate::conformance::run(stringify!($name), $crate::conformance::case(stringify!($name)), &subject).await;
            }
        )*
    };
}
