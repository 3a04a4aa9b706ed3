//! Settings of a Java client as settings of librdkafka.
//!
//! Every Java setting has one of three outcomes, and the table below says which: it is translated; it is ignored with a debug line, because nothing that a user could
//! observe depends on it; or it is refused with the reason and the remedy, because ignoring it would change what happens. Keys that no client has (a worker's
//! properties hold many) are ignored.

use std::fmt::Display;
use std::str::FromStr;

use millrace_log::LogError;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::security::KafkaSecurity;

/// A view of client settings; later entries win.
#[derive(Clone, Copy)]
pub(crate) struct Settings<'a> {
    entries: &'a [(String, String)],
}

impl<'a> Settings<'a> {
    pub(crate) fn new(entries: &'a [(String, String)]) -> Self {
        Self { entries }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        self.entries
            .iter()
            .rev()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.trim())
    }

    /// The value as a number between `least` and `most`.
    pub(crate) fn number<T: FromStr + PartialOrd + Display>(
        &self,
        key: &str,
        least: T,
        most: T,
    ) -> Result<Option<T>, LogError> {
        let Some(text) = self.get(key) else {
            return Ok(None);
        };
        match text.parse::<T>() {
            Ok(n) if n >= least && n <= most => Ok(Some(n)),
            _ => Err(self.refuse(
                key,
                text,
                &format!("it must be a whole number between {least} and {most}"),
            )),
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, LogError> {
        match self.get(key) {
            None => Ok(None),
            Some(t) if t.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(t) if t.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(t) => Err(self.refuse(key, t, "it must be 'true' or 'false'")),
        }
    }

    /// A refusal that shows the value. Not for secrets.
    pub(crate) fn refuse(&self, key: &str, value: &str, reason: &str) -> LogError {
        LogError::Config(format!(
            "invalid value '{value}' for Kafka client setting '{key}': {reason}"
        ))
    }

    /// A refusal that hides the value.
    pub(crate) fn refuse_hidden(&self, key: &str, reason: &str) -> LogError {
        LogError::Config(format!(
            "invalid value [hidden] for Kafka client setting '{key}': {reason}"
        ))
    }
}

/// Whose settings are translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Producer,
    Consumer,
}

enum Rule {
    /// A number, under librdkafka's name, kept within librdkafka's range when Java's is wider.
    Number(&'static str, i64, i64),
    /// One of these words, under librdkafka's name; case does not matter.
    Word(&'static str, &'static [&'static str]),
    /// Any text, under librdkafka's name.
    Text(&'static str),
    /// Read elsewhere in this crate.
    Own,
    /// Cannot matter here.
    Ignored,
    /// Would matter and cannot be done; the text is the remedy.
    Refused(&'static str),
}

use Role::{Consumer, Producer};
use Rule::{Ignored, Number, Own, Refused, Text, Word};

const MAX: i64 = i32::MAX as i64;
const BOTH: &[Role] = &[Producer, Consumer];
const P: &[Role] = &[Producer];
const C: &[Role] = &[Consumer];
const BOOL: &[&str] = &["true", "false"];
const NO_CLASSES: &str = "Java classes cannot be loaded; remove it";

#[rustfmt::skip]
const TABLE: &[(&str, &[Role], Rule)] = &[
    // The connection.
    ("bootstrap.servers", BOTH, Text("bootstrap.servers")),
    ("client.id", BOTH, Own),
    ("client.rack", BOTH, Text("client.rack")),
    ("client.dns.lookup", BOTH, Word("client.dns.lookup", &["use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"])),
    ("metadata.max.age.ms", BOTH, Number("topic.metadata.refresh.interval.ms", 10, 3_600_000)),
    ("metadata.recovery.strategy", BOTH, Word("metadata.recovery.strategy", &["none", "rebootstrap"])),
    ("metadata.recovery.rebootstrap.trigger.ms", BOTH, Number("metadata.recovery.rebootstrap.trigger.ms", 0, MAX)),
    ("reconnect.backoff.ms", BOTH, Number("reconnect.backoff.ms", 0, 3_600_000)),
    ("reconnect.backoff.max.ms", BOTH, Number("reconnect.backoff.max.ms", 0, 3_600_000)),
    ("retry.backoff.ms", BOTH, Number("retry.backoff.ms", 1, 300_000)),
    ("retry.backoff.max.ms", BOTH, Number("retry.backoff.max.ms", 1, 300_000)),
    ("request.timeout.ms", BOTH, Number("socket.timeout.ms", 2_000, 300_000)),
    ("connections.max.idle.ms", BOTH, Number("connections.max.idle.ms", 0, MAX)),
    ("socket.connection.setup.timeout.ms", BOTH, Number("socket.connection.setup.timeout.ms", 1_000, MAX)),
    ("socket.connection.setup.timeout.max.ms", BOTH, Ignored),
    ("send.buffer.bytes", BOTH, Number("socket.send.buffer.bytes", 0, 100_000_000)),
    ("receive.buffer.bytes", BOTH, Number("socket.receive.buffer.bytes", 0, 100_000_000)),
    ("enable.metrics.push", BOTH, Word("enable.metrics.push", BOOL)),
    ("interceptor.classes", BOTH, Refused(NO_CLASSES)),
    ("security.providers", BOTH, Refused(NO_CLASSES)),
    // The producer.
    ("acks", P, Own),
    ("enable.idempotence", P, Own),
    ("max.in.flight.requests.per.connection", P, Own),
    ("retries", P, Own),
    ("delivery.timeout.ms", P, Own),
    ("max.request.size", P, Own),
    ("transaction.timeout.ms", P, Own),
    ("transactional.id", P, Ignored),
    ("linger.ms", P, Number("linger.ms", 0, 900_000)),
    ("batch.size", P, Number("batch.size", 1, MAX)),
    ("compression.type", P, Word("compression.type", &["none", "gzip", "snappy", "lz4", "zstd"])),
    ("compression.gzip.level", P, Own),
    ("compression.lz4.level", P, Own),
    ("compression.zstd.level", P, Own),
    ("buffer.memory", P, Own),
    ("max.block.ms", P, Ignored),
    ("partitioner.class", P, Refused("Java classes cannot be loaded; remove it: records with a key go to the partition that Java's default partitioner chooses (murmur2)")),
    ("partitioner.ignore.keys", P, Own),
    ("partitioner.adaptive.partitioning.enable", P, Ignored),
    ("partitioner.availability.timeout.ms", P, Ignored),
    ("key.serializer", P, Ignored),
    ("value.serializer", P, Ignored),
    // The consumer.
    ("group.id", C, Own),
    ("group.instance.id", C, Text("group.instance.id")),
    ("group.protocol", C, Word("group.protocol", &["classic", "consumer"])),
    ("group.remote.assignor", C, Text("group.remote.assignor")),
    ("partition.assignment.strategy", C, Own),
    ("session.timeout.ms", C, Number("session.timeout.ms", 1, 3_600_000)),
    ("heartbeat.interval.ms", C, Number("heartbeat.interval.ms", 1, 3_600_000)),
    ("max.poll.interval.ms", C, Number("max.poll.interval.ms", 1, 86_400_000)),
    ("max.poll.records", C, Own),
    ("auto.offset.reset", C, Own),
    ("isolation.level", C, Word("isolation.level", &["read_committed", "read_uncommitted"])),
    ("fetch.min.bytes", C, Number("fetch.min.bytes", 1, 100_000_000)),
    ("fetch.max.bytes", C, Own),
    ("fetch.max.wait.ms", C, Number("fetch.wait.max.ms", 0, 300_000)),
    ("max.partition.fetch.bytes", C, Number("fetch.message.max.bytes", 1, 1_000_000_000)),
    ("check.crcs", C, Word("check.crcs", BOOL)),
    ("exclude.internal.topics", C, Own),
    ("allow.auto.create.topics", C, Word("allow.auto.create.topics", BOOL)),
    ("enable.auto.commit", C, Own),
    ("auto.commit.interval.ms", C, Ignored),
    ("default.api.timeout.ms", C, Own),
    ("key.deserializer", C, Ignored),
    ("value.deserializer", C, Ignored),
];

/// Java's `max.request.size` when it is not set.
const MAX_REQUEST_SIZE: i64 = 1_048_576;
/// What one producer may hold back, when `buffer.memory` is not set. Java has the same default.
const BUFFER_MEMORY: i64 = 32 << 20;

/// Translates `entries` for one client.
pub(crate) fn translate(
    role: Role,
    client_id: &str,
    entries: &[(String, String)],
) -> Result<ClientConfig, LogError> {
    let settings = Settings::new(entries);
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    match role {
        Producer => producer_defaults(&mut config),
        Consumer => consumer_defaults(&mut config),
    }
    for (key, value) in last_of_each(entries) {
        let Some((_, _, rule)) = TABLE
            .iter()
            .find(|(name, roles, _)| *name == key && roles.contains(&role))
        else {
            tracing::trace!(key, ?role, "not a setting of this Kafka client");
            continue;
        };
        let value = value.trim();
        match rule {
            Number(name, least, most) => {
                let given: i64 = settings
                    .number(key, i64::MIN, i64::MAX)?
                    .unwrap_or_default();
                let taken = given.clamp(*least, *most);
                if taken != given {
                    tracing::debug!(key, given, taken, "value brought into librdkafka's range");
                }
                config.set(*name, taken.to_string());
            }
            Word(name, words) => match words.iter().find(|w| w.eq_ignore_ascii_case(value)) {
                Some(word) => drop(config.set(*name, *word)),
                None => {
                    return Err(settings.refuse(
                        key,
                        value,
                        &format!("it must be one of {}", words.join(", ")),
                    ));
                }
            },
            Text(name) => drop(config.set(*name, value)),
            Own => {}
            Ignored => {
                tracing::debug!(key, "ignored: it has no counterpart and cannot matter here")
            }
            Refused(reason) if !value.is_empty() => return Err(settings.refuse(key, value, reason)),
            Refused(_) => {}
        }
    }
    if !client_id.is_empty() {
        config.set("client.id", client_id);
    } else if let Some(id) = settings.get("client.id").filter(|id| !id.is_empty()) {
        config.set("client.id", id);
    }
    if let Some(refresh) = config
        .get("topic.metadata.refresh.interval.ms")
        .and_then(|v| v.parse::<i64>().ok())
    {
        config.set(
            "metadata.max.age.ms",
            (refresh * 3).clamp(1, 86_400_000).to_string(),
        );
    }
    match role {
        Producer => producer(&settings, &mut config)?,
        Consumer => consumer(&settings, &mut config)?,
    }
    KafkaSecurity::from_settings(&settings)?.librdkafka(|key, value| {
        config.set(key, value);
    });
    Ok(config)
}

fn last_of_each(entries: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    entries
        .iter()
        .enumerate()
        .filter(|(at, (key, _))| !entries[at + 1..].iter().any(|(k, _)| k == key))
        .map(|(_, (k, v))| (k.as_str(), v.as_str()))
}

fn set_all(config: &mut ClientConfig, pairs: &[(&str, &str)]) {
    for (key, value) in pairs {
        config.set(*key, *value);
    }
}

fn producer_defaults(config: &mut ClientConfig) {
    // Large compressed batches: broker and network then spend a fraction of what small ones cost (figures: examples/produce_rate.rs).
    set_all(
        config,
        &[
            ("partitioner", "murmur2_random"),
            ("linger.ms", "5"),
            ("batch.size", "1000000"),
            ("batch.num.messages", "10000"),
            ("compression.type", "lz4"),
            ("queue.buffering.max.messages", "100000"),
            ("reconnect.backoff.ms", "50"),
            ("reconnect.backoff.max.ms", "1000"),
            ("socket.keepalive.enable", "true"),
            ("log.connection.close", "false"),
        ],
    );
}

fn consumer_defaults(config: &mut ClientConfig) {
    set_all(
        config,
        &[
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            // Java's default; librdkafka's own is read_committed.
            ("isolation.level", "read_uncommitted"),
            // Java's default is range, then cooperative-sticky; librdkafka refuses to mix eager and cooperative, and a mixed group of Java and librdkafka members
            // agrees on range.
            ("partition.assignment.strategy", "range"),
            ("check.crcs", "true"),
            // What is fetched ahead bounds memory; the short back-off keeps a full queue from idling for librdkafka's default of a second.
            ("queued.max.messages.kbytes", "16384"),
            ("queued.min.messages", "20000"),
            ("fetch.queue.backoff.ms", "5"),
            ("fetch.error.backoff.ms", "100"),
            ("fetch.max.bytes", "16777216"),
            ("topic.metadata.refresh.interval.ms", "10000"),
            ("reconnect.backoff.ms", "50"),
            ("reconnect.backoff.max.ms", "1000"),
            ("socket.keepalive.enable", "true"),
            ("log.connection.close", "false"),
        ],
    );
}

fn producer(settings: &Settings<'_>, config: &mut ClientConfig) -> Result<(), LogError> {
    let acks = match settings.get("acks") {
        None => "all",
        Some(a) if a == "-1" || a.eq_ignore_ascii_case("all") => "all",
        Some(a @ ("0" | "1")) => a,
        Some(a) => return Err(settings.refuse("acks", a, "it must be one of all, -1, 0, 1")),
    };
    config.set("acks", acks);
    let retries: Option<i64> = settings.number("retries", 0, MAX)?;
    let in_flight: Option<i64> =
        settings.number("max.in.flight.requests.per.connection", 1, MAX)?;

    // Off unless asked for, as Connect has it. librdkafka's idempotent producer has one request per partition in flight all the same, and its thread spins while it waits for the
    // answer: measured, twice the CPU per record on one partition and no gain on 64 (examples/produce_rate.rs).
    let idempotent = settings.flag("enable.idempotence")?.unwrap_or(false);
    let against = [
        (
            "acks",
            acks != "all",
            "it must be 'all' when enable.idempotence=true",
        ),
        (
            "retries",
            retries == Some(0),
            "it must be greater than 0 when enable.idempotence=true",
        ),
        (
            "max.in.flight.requests.per.connection",
            in_flight.is_some_and(|n| n > 5),
            "it must be at most 5 when enable.idempotence=true",
        ),
    ];
    if idempotent
        && let Some((key, _, reason)) = against.iter().find(|(_, conflicts, _)| *conflicts)
    {
        return Err(settings.refuse(key, settings.get(key).unwrap_or_default(), reason));
    }
    config.set(
        "enable.idempotence",
        if idempotent { "true" } else { "false" },
    );
    // Without idempotence a second request in flight could overtake a failed first one.
    let in_flight = in_flight.unwrap_or(if idempotent { 5 } else { 1 });
    config.set(
        "max.in.flight.requests.per.connection",
        in_flight.to_string(),
    );
    if let Some(retries) = retries {
        config.set("retries", retries.to_string());
    }
    // As Connect sets it for source tasks: a record is retried until it is written or the task ends.
    config.set(
        "delivery.timeout.ms",
        settings
            .number("delivery.timeout.ms", 0, MAX)?
            .unwrap_or(MAX)
            .to_string(),
    );
    if let Some(timeout) = settings.number::<i64>("request.timeout.ms", 0, MAX)? {
        config.set("request.timeout.ms", timeout.clamp(1, 900_000).to_string());
    }

    let max_request = settings
        .number("max.request.size", 1_000, 1_000_000_000)?
        .unwrap_or(MAX_REQUEST_SIZE);
    config.set("message.max.bytes", max_request.to_string());
    let memory = settings
        .number("buffer.memory", 0, i64::MAX)?
        .unwrap_or(BUFFER_MEMORY);
    config.set(
        "queue.buffering.max.kbytes",
        (memory / 1024).clamp(1, MAX).to_string(),
    );

    if settings.flag("partitioner.ignore.keys")?.unwrap_or(false) {
        config.set("partitioner", "random");
    }
    let codec = config.get("compression.type").unwrap_or("none").to_owned();
    if let Some(level) =
        settings.number::<i64>(&format!("compression.{codec}.level"), i64::MIN, i64::MAX)?
    {
        config.set("compression.level", level.clamp(-1, 12).to_string());
    }
    Ok(())
}

fn consumer(settings: &Settings<'_>, config: &mut ClientConfig) -> Result<(), LogError> {
    if settings.flag("enable.auto.commit")? == Some(true) {
        return Err(settings.refuse(
            "enable.auto.commit",
            "true",
            "offsets are committed after the records were processed; remove it",
        ));
    }
    let dynamic = config.get("group.protocol") == Some("consumer");
    if dynamic {
        // The broker decides these under KIP-848, and librdkafka refuses them.
        for key in [
            "partition.assignment.strategy",
            "session.timeout.ms",
            "heartbeat.interval.ms",
        ] {
            if settings.get(key).is_some() {
                tracing::debug!(
                    key,
                    "ignored: the broker decides it when group.protocol=consumer"
                );
            }
            config.remove(key);
        }
    } else if let Some(list) = settings.get("partition.assignment.strategy") {
        config.set("partition.assignment.strategy", assignors(settings, list)?);
    }
    if !settings.flag("exclude.internal.topics")?.unwrap_or(true) {
        tracing::debug!("internal topics may match the subscription pattern");
    }
    let fetch_max = settings.number::<i64>("fetch.max.bytes", 0, MAX)?;
    let partition_max = config
        .get("fetch.message.max.bytes")
        .and_then(|v| v.parse::<i64>().ok())
        .unwrap_or(1_048_576);
    let fetch_max = fetch_max
        .unwrap_or(16 << 20)
        .max(partition_max)
        .min(2_147_483_135);
    config.set("fetch.max.bytes", fetch_max.to_string());
    // librdkafka insists on room for one fetch and its framing.
    config.set(
        "receive.message.max.bytes",
        (fetch_max + 512).max(100_000_000).to_string(),
    );
    if let Some(wait) = config
        .get("fetch.wait.max.ms")
        .and_then(|v| v.parse::<i64>().ok())
    {
        let timeout = config
            .get("socket.timeout.ms")
            .and_then(|v| v.parse::<i64>().ok())
            .unwrap_or(60_000);
        config.set(
            "socket.timeout.ms",
            timeout.max((wait + 1_000).min(300_000)).to_string(),
        );
        config.set("fetch.wait.max.ms", wait.min(298_000).to_string());
    }
    // A broker's session timeout must leave room for heartbeats; librdkafka has no check of its own.
    if let (Some(heartbeat), Some(session)) = (
        settings.number::<i64>("heartbeat.interval.ms", 1, MAX)?,
        settings.number::<i64>("session.timeout.ms", 1, MAX)?,
    ) && heartbeat >= session
    {
        return Err(settings.refuse(
            "heartbeat.interval.ms",
            &heartbeat.to_string(),
            "it must be lower than session.timeout.ms",
        ));
    }
    if let Some(poll) = settings.number::<i64>("max.poll.interval.ms", 1, MAX)? {
        // librdkafka wants session.timeout.ms <= max.poll.interval.ms; Java does not care.
        let session = config
            .get("session.timeout.ms")
            .and_then(|v| v.parse::<i64>().ok())
            .unwrap_or(45_000);
        if poll < session && !dynamic {
            config.set("session.timeout.ms", poll.to_string());
            config.set(
                "heartbeat.interval.ms",
                (poll / 3).clamp(1, 3_000).to_string(),
            );
        }
    }
    Ok(())
}

/// Java's assignor classes (or librdkafka's names) as librdkafka's list.
fn assignors(settings: &Settings<'_>, list: &str) -> Result<String, LogError> {
    let key = "partition.assignment.strategy";
    let mut names = Vec::new();
    for class in list.split(',').map(str::trim).filter(|c| !c.is_empty()) {
        let name = match class.rsplit('.').next().unwrap_or(class) {
            "RangeAssignor" | "range" => "range",
            "RoundRobinAssignor" | "roundrobin" => "roundrobin",
            "CooperativeStickyAssignor" | "cooperative-sticky" => "cooperative-sticky",
            _ => {
                return Err(settings.refuse(key, list, "only RangeAssignor, RoundRobinAssignor and CooperativeStickyAssignor of org.apache.kafka.clients.consumer are built in"));
            }
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    // A list that mixes both kinds is Java's way of upgrading a group; until every member has the other one, the first kind is what the group uses.
    let cooperative = names.first() == Some(&"cooperative-sticky");
    names.retain(|n| (*n == "cooperative-sticky") == cooperative);
    if names.is_empty() {
        return Err(settings.refuse(key, list, "it must name at least one assignor"));
    }
    Ok(names.join(","))
}

#[cfg(test)]
mod tests;
