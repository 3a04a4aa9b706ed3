//! Reading and changing the offsets of a connector (KIP-875).

use std::sync::Arc;

use millrace_api::data::OffsetMap;
use millrace_api::plugin::{AlterOffsets, ErrorKind};
use millrace_log::{LogError, TopicPartition};
use serde_json::{Value, json};

use super::Shared;
use crate::herder::{ConnectorOffset, ConnectorOffsets, HerderError, Message, TargetState};
use crate::plugins::ConnectorPlugin;
use crate::sink::group_of;
use crate::stores::{offset_map_value, read_offset_map};

impl Shared {
    pub(super) async fn read_offsets(&self, name: &str) -> Result<ConnectorOffsets, HerderError> {
        let (plugin, props) = self.plugin_of(name)?;
        let offsets = match plugin {
            ConnectorPlugin::Source(_) => {
                let failed = |error| {
                    logged(
                        format!("Failed to retrieve offsets for source connector {name}"),
                        &error,
                    )
                };
                self.offsets.read_to_end().await.map_err(failed)?;
                let state = self.offsets.state();
                let entry =
                    |(partition, offset): (&Option<OffsetMap>, &OffsetMap)| ConnectorOffset {
                        partition: partition.as_ref().map_or(Value::Null, offset_map_value),
                        offset: offset_map_value(offset),
                    };
                state.partitions(name).map(entry).collect()
            }
            ConnectorPlugin::Sink(_) => {
                let failed = |error| {
                    logged(
                        format!(
                            "Failed to retrieve consumer group offsets for sink connector {name}"
                        ),
                        &error,
                    )
                };
                let committed = self
                    .log
                    .admin()
                    .group_offsets(&group_of(&self.config, name, &props))
                    .await
                    .map_err(failed)?;
                let entry = |committed: millrace_log::GroupOffset| ConnectorOffset {
                    partition: json!({"kafka_topic": &*committed.partition.topic, "kafka_partition": committed.partition.partition}),
                    offset: json!({"kafka_offset": committed.offset}),
                };
                committed.into_iter().map(entry).collect()
            }
        };
        Ok(ConnectorOffsets {
            offsets: Some(offsets),
        })
    }

    pub(super) async fn change_offsets(
        self: Arc<Self>,
        name: String,
        request: ConnectorOffsets,
    ) -> Result<Message, HerderError> {
        let offsets = request.offsets.filter(|offsets| !offsets.is_empty());
        let offsets = offsets.ok_or_else(|| {
            HerderError::bad_request(
                "Partitions / offsets need to be provided for an alter offsets request",
            )
        })?;
        let running = self.running(&name);
        let _busy = running.lock().await;
        self.require_stopped(&name)?;
        let (plugin, props) = self.plugin_of(&name)?;
        match plugin {
            ConnectorPlugin::Source(plugin) => {
                let wanted = source_offsets(&offsets)?;
                let known: Vec<(OffsetMap, Option<OffsetMap>)> = wanted
                    .iter()
                    .filter_map(|(partition, offset)| Some((partition.clone()?, offset.clone())))
                    .collect();
                let altered = alter(&name, plugin.alter_offsets(&props, &known))?;
                self.write_offsets(&name, &wanted).await?;
                Ok(message(altered, "altered"))
            }
            ConnectorPlugin::Sink(_) => {
                let wanted = sink_offsets(&name, &offsets)?;
                let group = group_of(&self.config, &name, &props);
                let failed = |error| alter_failed(&name, "alter", "connector", error);
                self.log
                    .admin()
                    .alter_group_offsets(&group, &wanted)
                    .await
                    .map_err(failed)?;
                Ok(message(AlterOffsets::Done, "altered"))
            }
        }
    }

    pub(super) async fn forget_offsets(
        self: Arc<Self>,
        name: String,
    ) -> Result<Message, HerderError> {
        let running = self.running(&name);
        let _busy = running.lock().await;
        self.require_stopped(&name)?;
        let (plugin, props) = self.plugin_of(&name)?;
        match plugin {
            ConnectorPlugin::Source(plugin) => {
                let failed = |error| {
                    logged(
                        format!("Failed to retrieve offsets for source connector {name}"),
                        &error,
                    )
                };
                self.offsets.read_to_end().await.map_err(failed)?;
                let known: Vec<Option<OffsetMap>> = self
                    .offsets
                    .state()
                    .partitions(&name)
                    .map(|(partition, _)| partition.clone())
                    .collect();
                let hook: Vec<_> = known
                    .iter()
                    .flatten()
                    .map(|partition| (partition.clone(), None))
                    .collect();
                let altered = alter(&name, plugin.alter_offsets(&props, &hook))?;
                let reset: Vec<_> = known
                    .into_iter()
                    .map(|partition| (partition, None))
                    .collect();
                self.write_offsets(&name, &reset).await?;
                Ok(message(altered, "reset"))
            }
            ConnectorPlugin::Sink(_) => {
                let group = group_of(&self.config, &name, &props);
                let failed = |error| alter_failed(&name, "reset", "sink connector", error);
                let committed = self
                    .log
                    .admin()
                    .group_offsets(&group)
                    .await
                    .map_err(failed)?;
                let reset: Vec<_> = committed.into_iter().map(|c| (c.partition, None)).collect();
                if !reset.is_empty() {
                    self.log
                        .admin()
                        .alter_group_offsets(&group, &reset)
                        .await
                        .map_err(failed)?;
                }
                Ok(message(AlterOffsets::Done, "reset"))
            }
        }
    }

    fn require_stopped(&self, name: &str) -> Result<(), HerderError> {
        let state = self.configs.state();
        let connector = state
            .connector(name)
            .ok_or_else(|| HerderError::connector_not_found(name))?;
        if state.target(name) != TargetState::Stopped || connector.task_count > 0 {
            return Err(HerderError::not_stopped(name));
        }
        Ok(())
    }

    async fn write_offsets(
        &self,
        name: &str,
        offsets: &[(Option<OffsetMap>, Option<OffsetMap>)],
    ) -> Result<(), HerderError> {
        let failed = |error| {
            logged(
                format!("Failed to write offsets for source connector {name}"),
                &error,
            )
        };
        self.offsets.read_to_end().await.map_err(failed)?;
        let writes = {
            let state = self.offsets.state();
            offsets
                .iter()
                .flat_map(|(partition, offset)| state.writes(name, partition, offset.as_ref()))
                .collect()
        };
        self.offsets.put(writes).await.map_err(failed)?;
        self.offsets.read_to_end().await.map_err(failed)
    }
}

fn logged(message: String, error: &LogError) -> HerderError {
    tracing::error!(%error, "{message}");
    HerderError::internal(message)
}

fn alter(
    name: &str,
    result: Result<AlterOffsets, millrace_api::plugin::TaskError>,
) -> Result<AlterOffsets, HerderError> {
    result.map_err(|error| match error.kind {
        ErrorKind::Data => HerderError::bad_request(error.message),
        _ => {
            tracing::error!(connector = name, code = error.code, %error, "the connector refused to alter its offsets");
            HerderError::internal(error.message)
        }
    })
}

fn alter_failed(name: &str, verb: &str, what: &str, error: LogError) -> HerderError {
    if error.is_retriable() {
        return logged(
            format!(
                "Failed to {verb} consumer group offsets for connector {name} either because its tasks haven't stopped completely yet or the connector was resumed before the request to {verb} its offsets could be successfully completed. If the connector is in a stopped state, this operation can be safely retried. If it doesn't eventually succeed, the Connect cluster may need to be restarted to get rid of the zombie sink tasks."
            ),
            &error,
        );
    }
    logged(
        format!("Failed to {verb} consumer group offsets for {what} {name}"),
        &error,
    )
}

fn message(altered: AlterOffsets, done: &str) -> Message {
    let message = match altered {
        AlterOffsets::Done => {
            format!("The offsets for this connector have been {done} successfully")
        }
        AlterOffsets::Unchecked => format!(
            "The Connect framework-managed offsets for this connector have been {done} successfully. However, if this connector manages offsets externally, they will need to be manually {done} in the system that the connector uses."
        ),
    };
    Message { message }
}

type SourceOffsets = Vec<(Option<OffsetMap>, Option<OffsetMap>)>;

/// Of a partition given twice the last counts.
fn source_offsets(offsets: &[ConnectorOffset]) -> Result<SourceOffsets, HerderError> {
    let map = |value: &Value| match value {
        Value::Null => Ok(None),
        value => read_offset_map(value)
            .map(Some)
            .map_err(HerderError::internal),
    };
    let mut all: SourceOffsets = Vec::new();
    for ConnectorOffset { partition, offset } in offsets {
        let (partition, offset) = (map(partition)?, map(offset)?);
        all.retain(|(known, _)| *known != partition);
        all.push((partition, offset));
    }
    Ok(all)
}

fn sink_offsets(
    name: &str,
    offsets: &[ConnectorOffset],
) -> Result<Vec<(TopicPartition, Option<i64>)>, HerderError> {
    let mut all: Vec<(TopicPartition, Option<i64>)> = Vec::new();
    for ConnectorOffset { partition, offset } in offsets {
        let partition = partition.as_object().ok_or_else(|| {
            HerderError::bad_request(
                "The partition for a sink connector offset cannot be null or missing",
            )
        })?;
        let (Some(topic), Some(number)) = (
            partition.get("kafka_topic"),
            partition.get("kafka_partition"),
        ) else {
            return Err(HerderError::bad_request(
                "The partition for a sink connector offset must contain the keys 'kafka_topic' and 'kafka_partition'",
            ));
        };
        let topic = match topic {
            Value::String(topic) => topic.clone(),
            Value::Number(number) => number.to_string(),
            _ => {
                return Err(HerderError::bad_request(
                    "Kafka topic names must be valid strings and may not be null",
                ));
            }
        };
        if number.is_null() {
            return Err(HerderError::bad_request(
                "Kafka partitions must be valid numbers and may not be null",
            ));
        }
        let number: i32 = text(number).parse().map_err(|_| {
            HerderError::bad_request(format!(
                "Failed to parse the following Kafka partition value in the provided offsets: '{}'. Partition values for sink connectors need to be integers.",
                text(number)
            ))
        })?;
        let offset = match offset {
            Value::Null => None,
            offset => {
                let value = offset.get("kafka_offset").ok_or_else(|| {
                    HerderError::bad_request("The offset for a sink connector should either be null or contain the key 'kafka_offset'")
                })?;
                let number: i64 = text(value).parse().map_err(|_| {
                    HerderError::bad_request(format!(
                        "Failed to parse the following Kafka offset value in the provided offsets: '{}'. Offset values for sink connectors need to be integers.",
                        text(value)
                    ))
                })?;
                if number < 0 {
                    return Err(HerderError::internal(format!(
                        "Failed to modify offsets for sink connector {name}"
                    )));
                }
                Some(number)
            }
        };
        let partition = TopicPartition::new(topic, number);
        all.retain(|(known, _)| *known != partition);
        all.push((partition, offset));
    }
    Ok(all)
}

/// A JSON value as Java prints it in these messages.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(
        partition: Value,
        offset: Value,
    ) -> Result<Vec<(TopicPartition, Option<i64>)>, HerderError> {
        sink_offsets("X", &[ConnectorOffset { partition, offset }])
    }

    #[test]
    fn sink_offsets_are_checked_with_java_s_texts() {
        let good = sink(
            json!({"kafka_topic": "t", "kafka_partition": "10", "x": 1}),
            json!({"kafka_offset": "4000"}),
        )
        .expect("good");
        assert_eq!(good, [(TopicPartition::new("t", 10), Some(4000))]);
        let message = |partition, offset| sink(partition, offset).expect_err("refused").message;
        assert_eq!(
            message(Value::Null, Value::Null),
            "The partition for a sink connector offset cannot be null or missing"
        );
        assert!(
            message(json!({"kafka_topic": "t"}), Value::Null)
                .ends_with("'kafka_topic' and 'kafka_partition'")
        );
        assert!(
            message(
                json!({"kafka_topic": "t", "kafka_partition": 1.5}),
                Value::Null
            )
            .contains("'1.5'")
        );
        assert!(
            message(
                json!({"kafka_topic": "t", "kafka_partition": 1}),
                json!({"kafka_offset": null})
            )
            .contains("'null'")
        );
        assert!(
            message(json!({"kafka_topic": "t", "kafka_partition": 1}), json!({}))
                .contains("should either be null")
        );
        assert_eq!(
            sink(
                json!({"kafka_topic": "t", "kafka_partition": 1}),
                json!({"kafka_offset": -1})
            )
            .expect_err("refused")
            .status,
            500
        );
    }

    #[test]
    fn the_last_of_equal_partitions_counts() {
        let offsets = |n: i64| ConnectorOffset {
            partition: json!({"a": 1}),
            offset: json!({"p": n}),
        };
        let all = source_offsets(&[offsets(1), offsets(2)]).expect("good");
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].1.as_ref().and_then(|o| o["p"].as_i64()), Some(2));
        assert_eq!(
            source_offsets(&[ConnectorOffset {
                partition: json!([1]),
                offset: Value::Null
            }])
            .expect_err("refused")
            .status,
            500
        );
    }
}
