use millrace_api::data::{Data, Headers, Schema, Value};

/// The four headers that say which connector, task and run a data record comes from. One shared list for all records of a run.
#[derive(Debug, Clone)]
pub struct ContextHeaders {
    shared: Headers,
}

impl ContextHeaders {
    /// For `topic.prefix` and kind of connector (`postgresql`); disabled (`extended.headers.enabled=false`) gives none.
    pub fn new(enabled: bool, prefix: &str, connector: &str, task: u32, run_id: &str) -> Self {
        let mut shared = Headers::new();
        if enabled {
            let mut add = |name: &str, value: &str| {
                shared.push(
                    format!("__debezium.context.{name}"),
                    Data::new(Schema::string(), Value::from(value)),
                )
            };
            add("connectorLogicalName", prefix);
            add("taskId", &task.to_string());
            add("connectorName", connector);
            add("runId", run_id);
        }
        Self { shared }
    }

    /// Headers of an ordinary record.
    pub fn plain(&self) -> Headers {
        self.shared.clone()
    }

    /// Headers of a record that is part of a key change: `name` (`__debezium.newkey` or `__debezium.oldkey`) with the other key comes first.
    pub fn with_key(&self, name: &str, key: Data) -> Headers {
        let mut headers = Headers::new();
        headers.push(name, key);
        for header in &self.shared {
            headers.push(header.name.clone(), header.data.clone());
        }
        headers
    }
}
