use crate::filters::TableId;

/// Names of the topics that a connector writes: `<prefix>.<schema>.<table>`, heartbeats, transactions.
#[derive(Debug, Clone)]
pub struct TopicNaming {
    prefix: String,
    delimiter: String,
    heartbeat_prefix: String,
    heartbeat_name: Option<String>,
}

impl TopicNaming {
    /// From the values of `topic.prefix`, `topic.delimiter`, `topic.heartbeat.prefix` and `topic.heartbeat.name`.
    pub fn new(
        prefix: &str,
        delimiter: &str,
        heartbeat_prefix: &str,
        heartbeat_name: Option<&str>,
    ) -> Self {
        Self {
            prefix: prefix.to_owned(),
            delimiter: delimiter.to_owned(),
            heartbeat_prefix: heartbeat_prefix.to_owned(),
            heartbeat_name: heartbeat_name.map(str::to_owned),
        }
    }

    /// Topic of a table's changes; also the prefix of its schema names.
    pub fn data_topic(&self, table: &TableId) -> String {
        let parts = [&*self.prefix, &*table.schema, &*table.table];
        let name = parts
            .into_iter()
            .filter(|p| !p.trim().is_empty())
            .collect::<Vec<_>>()
            .join(&self.delimiter);
        sanitize(&name)
    }

    /// Topic of heartbeats.
    pub fn heartbeat_topic(&self) -> String {
        match &self.heartbeat_name {
            Some(name) => sanitize(name),
            None => sanitize(&format!(
                "{}{}{}",
                self.heartbeat_prefix, self.delimiter, self.prefix
            )),
        }
    }
}

/// What Kafka does not allow in a topic name becomes `_`.
fn sanitize(name: &str) -> String {
    let legal = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
            c
        } else {
            '_'
        }
    };
    let sanitized: String = name.chars().map(legal).take(249).collect();
    let sanitized = match &*sanitized {
        "." => "_".to_owned(),
        ".." => "__".to_owned(),
        _ => sanitized,
    };
    if sanitized != name {
        tracing::warn!(
            from = name,
            to = sanitized,
            "topic name is not valid in Kafka and is replaced"
        );
    }
    sanitized
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_follow_the_schema_naming_strategy() {
        let n = TopicNaming::new("pg1", ".", "__debezium-heartbeat", None);
        assert_eq!(
            n.data_topic(&TableId::new("public", "Orders")),
            "pg1.public.Orders"
        );
        assert_eq!(
            n.data_topic(&TableId::new("public", "ö x")),
            "pg1.public.__x"
        );
        assert_eq!(n.heartbeat_topic(), "__debezium-heartbeat.pg1");
    }
}
