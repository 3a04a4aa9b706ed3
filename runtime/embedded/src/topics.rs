//! Topics and committed positions: what the writer does for the admin client.

use std::sync::Arc;

use millrace_log::local::{Partition, Topic, check_topic_name};
use millrace_log::{ClientSettings, LogError, TopicPartition};
use rusqlite::params;

use crate::schema::{MAX_PARTITION_ID, settings_text};
use crate::writer::{Writer, put_offset};

impl Writer {
    /// Makes a topic; `partitions` -1 is the default number.
    pub(crate) fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        settings: &ClientSettings,
    ) -> Result<(), LogError> {
        check_topic_name(name)?;
        let partitions = if partitions < 1 {
            self.shared.options.default_partitions
        } else {
            partitions
        };
        let policy = self.shared.options.topic_defaults.with(settings)?;
        let configs = settings_text(settings)?;
        if self.shared.catalog.topic(name).is_some() {
            return Err(LogError::TopicExists(name.to_owned()));
        }
        let (id, parts) = self.transaction("creating a topic", |conn| {
            conn.execute("INSERT INTO topic(name, uuid, configs, state) VALUES (?1, randomblob(16), ?2, 0)", params![name, configs])?;
            let id = conn.last_insert_rowid();
            let mut parts = Vec::new();
            for number in 0..partitions {
                conn.execute("INSERT INTO part(topic, n, log_start, log_end, bytes, cleaned_to) VALUES (?1, ?2, 0, 0, 0, 0)", params![id, number])?;
                parts.push(conn.last_insert_rowid());
                if conn.last_insert_rowid() >= MAX_PARTITION_ID {
                    return Err(rusqlite::Error::IntegralValueOutOfRange(0, MAX_PARTITION_ID));
                }
            }
            Ok((id, parts))
        })?;
        let name: Arc<str> = Arc::from(name);
        let place = |(number, id): (usize, i64)| {
            Arc::new(Partition::new(
                TopicPartition::new(Arc::clone(&name), number as i32),
                id,
                0,
                0,
            ))
        };
        let partitions = parts.into_iter().enumerate().map(place).collect();
        self.shared.catalog.insert(Arc::new(Topic {
            name,
            id,
            policy,
            partitions,
        }));
        self.shared
            .coordinator
            .set_topics(self.shared.catalog.sizes());
        Ok(())
    }

    /// Makes a topic with default settings unless it exists.
    pub(crate) fn ensure_topic(&mut self, name: &str) -> Result<(), LogError> {
        match self.create_topic(name, -1, &Vec::new()) {
            Err(LogError::TopicExists(_)) => Ok(()),
            result => result,
        }
    }

    /// Takes a topic out of sight; the cleaner removes its records afterwards.
    pub(crate) fn delete_topic(&mut self, name: &str) -> Result<(), LogError> {
        let topic = self.shared.catalog.existing(name)?;
        self.transaction("deleting a topic", |conn| {
            conn.execute(
                "UPDATE topic SET state = 1, name = NULL WHERE id = ?1",
                [topic.id],
            )?;
            conn.execute(
                "DELETE FROM group_offset WHERE part IN (SELECT id FROM part WHERE topic = ?1)",
                [topic.id],
            )
            .map(|_| ())
        })?;
        self.shared.catalog.remove(name);
        self.shared
            .coordinator
            .set_topics(self.shared.catalog.sizes());
        topic
            .partitions
            .iter()
            .for_each(|p| self.shared.tail.forget(p.id));
        Ok(())
    }

    /// All positions of a group, sorted by topic and partition.
    pub(crate) fn group_offsets(
        &mut self,
        group: &str,
    ) -> Result<Vec<(String, i32, i64)>, LogError> {
        self.transaction("reading the positions of a group", |conn| {
            let sql = "SELECT t.name, p.n, g.offset FROM group_offset g JOIN part p ON p.id = g.part JOIN topic t ON t.id = p.topic
                       WHERE g.grp = ?1 ORDER BY t.name, p.n";
            let mut statement = conn.prepare_cached(sql)?;
            statement.query_map([group], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?.collect()
        })
    }

    /// Sets or removes positions of a group without members.
    pub(crate) fn alter_group_offsets(
        &mut self,
        group: &str,
        offsets: &[(TopicPartition, Option<i64>)],
    ) -> Result<(), LogError> {
        let members = self.shared.coordinator.members(group);
        if members > 0 {
            return Err(LogError::retriable(format!(
                "group '{group}' has {members} members; stop them before changing its offsets"
            )));
        }
        let mut rows = Vec::with_capacity(offsets.len());
        for (partition, offset) in offsets {
            rows.push((self.shared.catalog.partition(partition)?.id, *offset));
        }
        self.transaction("changing the positions of a group", |conn| {
            for (id, offset) in &rows {
                match offset {
                    Some(offset) => put_offset(conn, group, *id, *offset)?,
                    None => drop(conn.execute(
                        "DELETE FROM group_offset WHERE grp = ?1 AND part = ?2",
                        params![group, id],
                    )?),
                }
            }
            Ok(())
        })
    }
}
