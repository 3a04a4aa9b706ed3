use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_api::config::{ConfigDef, ConfigKey, ConfigType, Importance, Props, RawProps};
use millrace_api::plugin::{
    ConnectorContext, PluginInfo, SourceConnector, SourceConnectorPlugin, SourceTask, TaskError,
};
use millrace_log::memory::MemoryLog;

use super::{Worker, WorkerOptions};
use crate::fakes::{ScriptedSource, TOPIC, Upstream, contents, plugins, worker_config};
use crate::herder::{
    ConnectorOffset, ConnectorOffsets, Herder, HerderError, RestartFlags, TargetState,
};

/// A source over [`Upstream`], whose keys decide how it misbehaves.
struct ScriptedPlugin {
    info: PluginInfo,
    log: Arc<MemoryLog>,
    upstream: Arc<Mutex<Upstream>>,
}

#[async_trait::async_trait]
impl SourceConnectorPlugin for ScriptedPlugin {
    fn info(&self) -> &PluginInfo {
        &self.info
    }
    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(ConfigDef::new().define(ConfigKey::new(
            "mode",
            ConfigType::String,
            Importance::High,
        )))
    }
    fn connector(&self) -> Box<dyn SourceConnector> {
        Box::new(ScriptedConnector {
            props: Props::new(),
        })
    }
    fn task(&self) -> Box<dyn SourceTask> {
        Box::new(ScriptedSource::new(&self.log, &self.upstream, 1, 0))
    }
    fn task_class(&self) -> &'static str {
        "test.ScriptedTask"
    }
}

struct ScriptedConnector {
    props: Props,
}

#[async_trait::async_trait]
impl SourceConnector for ScriptedConnector {
    async fn start(&mut self, _context: ConnectorContext, props: &Props) -> Result<(), TaskError> {
        self.props = props.clone();
        match props.get("mode") {
            Some("fails") => Err(TaskError::config(
                "test.mode",
                "the mode is 'fails': choose another",
            )),
            Some("panics") => panic!("a bug in the plugin"),
            _ => Ok(()),
        }
    }

    async fn task_configs(&mut self, max_tasks: u32) -> Result<Vec<Props>, TaskError> {
        let count = if self.props.get("mode") == Some("greedy") {
            max_tasks + 1
        } else {
            1
        };
        Ok((0..count)
            .map(|n| Props::from_iter([("n", n.to_string())]))
            .collect())
    }
}

struct Setup {
    log: Arc<MemoryLog>,
    upstream: Arc<Mutex<Upstream>>,
}

impl Setup {
    fn new() -> Self {
        let changes = (0..20).map(|n| format!("{n:04}")).collect();
        Self {
            log: MemoryLog::new(1),
            upstream: Arc::new(Mutex::new(Upstream {
                changes,
                ..Upstream::default()
            })),
        }
    }

    async fn worker(&self) -> (Worker, Arc<dyn Herder>) {
        let mut plugins = plugins();
        let info = PluginInfo {
            class: "test.ScriptedSourceConnector",
            version: "7",
        };
        plugins.source(ScriptedPlugin {
            info,
            log: Arc::clone(&self.log),
            upstream: Arc::clone(&self.upstream),
        });
        let options = WorkerOptions {
            config: worker_config(&[]),
            log: Arc::clone(&self.log) as _,
            plugins,
            worker_id: "w:8083".into(),
            commit: "c0ffee".into(),
            loggers: None,
        };
        let worker = Worker::start(options).await.expect("starts");
        let herder = worker.herder();
        until(async || herder.health().await.http_status == 200).await;
        (worker, herder)
    }

    fn confirmed(&self) -> u64 {
        self.upstream.lock().expect("lock").confirmed
    }
}

fn config(mode: &str) -> RawProps {
    [("connector.class", "ScriptedSource"), ("mode", mode)]
        .map(|(k, v)| (k.to_owned(), Some(v.to_owned())))
        .into_iter()
        .collect()
}

async fn until(condition: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !condition().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the condition never came"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn task_is(herder: &Arc<dyn Herder>, state: &str) {
    until(async || {
        herder
            .task_status("x", 0)
            .is_ok_and(|task| task.state == state)
    })
    .await;
}

fn error<T: std::fmt::Debug>(result: Result<T, HerderError>) -> (u16, String) {
    let HerderError { status, message } = result.expect_err("an error");
    (status, message)
}

#[tokio::test(start_paused = true)]
async fn connectors_survive_a_restart_of_the_worker() {
    let mut setup = Setup::new();
    let (worker, herder) = setup.worker().await;
    let info = herder
        .create_connector(" x ", config("good"), TargetState::Started)
        .await
        .expect("created");
    assert_eq!(
        serde_json::to_string(&info).expect("json"),
        r#"{"name":"x","config":{"connector.class":"ScriptedSource","mode":"good","name":"x"},"tasks":[{"connector":"x","task":0}],"type":"source"}"#
    );
    task_is(&herder, "RUNNING").await;
    assert_eq!(
        serde_json::to_string(&herder.connector_status("x").expect("status")).expect("json"),
        r#"{"name":"x","connector":{"state":"RUNNING","worker_id":"w:8083","version":"7"},"tasks":[{"id":0,"state":"RUNNING","worker_id":"w:8083","version":"7"}],"type":"source"}"#
    );
    assert_eq!(
        serde_json::to_string(&herder.task_configs("x").await.expect("tasks")).expect("json"),
        r#"[{"id":{"connector":"x","task":0},"config":{"n":"0","task.class":"test.ScriptedTask"}}]"#
    );
    until(async || setup.confirmed() == 20).await;
    worker.shutdown().await;

    setup.log = setup.log.reopen();
    let (worker, herder) = setup.worker().await;
    task_is(&herder, "RUNNING").await;
    setup
        .upstream
        .lock()
        .expect("lock")
        .changes
        .push("0020".into());
    until(async || setup.confirmed() == 21).await;
    assert_eq!(
        contents(&setup.log, TOPIC).await.len(),
        21,
        "it went on where it stood"
    );
    assert_eq!(herder.active_topics("x").expect("tracked"), [TOPIC]);
    let text = herder.metrics();
    assert!(
        text.contains(
            "kafka_connect_source_task_source_record_write_total{connector=\"x\",task=\"0\"} 1"
        ),
        "{text}"
    );
    worker.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn the_life_of_a_connector() {
    let setup = Setup::new();
    let (worker, herder) = setup.worker().await;
    herder
        .create_connector("x", config("good"), TargetState::Stopped)
        .await
        .expect("created");
    assert_eq!(
        herder
            .connector_status("x")
            .expect("status")
            .connector
            .state,
        "STOPPED"
    );
    assert_eq!(herder.connector_status("x").expect("status").tasks, []);
    assert_eq!(
        error(
            herder
                .create_connector("x", config("good"), TargetState::Started)
                .await
        ),
        (409, "Connector x already exists".into())
    );

    herder.resume("x").await.expect("resumed");
    task_is(&herder, "RUNNING").await;
    until(async || setup.confirmed() == 20).await;
    herder.pause("x").await.expect("paused");
    task_is(&herder, "PAUSED").await;
    assert_eq!(
        error(herder.reset_offsets("x").await).0,
        400,
        "only a stopped one"
    );
    herder.resume("x").await.expect("resumed");
    task_is(&herder, "RUNNING").await;

    herder.restart_task("x", 0).await.expect("restarted");
    task_is(&herder, "RUNNING").await;
    assert_eq!(
        error(herder.restart_task("x", 1).await),
        (404, "Unknown task: x-1".into())
    );
    assert_eq!(
        herder
            .restart_connector("x", RestartFlags::default())
            .await
            .expect("restarted"),
        None
    );
    let flags = RestartFlags {
        include_tasks: true,
        only_failed: false,
    };
    let predicted = herder
        .restart_connector("x", flags)
        .await
        .expect("accepted")
        .expect("statuses");
    assert_eq!(
        (
            predicted.connector.state.as_str(),
            predicted.tasks[0].state.as_str()
        ),
        ("RESTARTING", "RESTARTING")
    );
    task_is(&herder, "RUNNING").await;

    herder.stop("x").await.expect("stopped");
    until(async || {
        herder
            .connector_status("x")
            .is_ok_and(|s| s.tasks.is_empty())
    })
    .await;
    let offsets = herder.offsets("x").await.expect("offsets");
    assert_eq!(
        serde_json::to_string(&offsets).expect("json"),
        r#"{"offsets":[{"partition":{"server":"s"},"offset":{"n":20}}]}"#
    );
    let earlier = ConnectorOffset {
        partition: serde_json::json!({"server": "s"}),
        offset: serde_json::json!({"n": 20}),
    };
    let message = herder
        .alter_offsets(
            "x",
            ConnectorOffsets {
                offsets: Some(vec![earlier]),
            },
        )
        .await
        .expect("altered")
        .message;
    assert!(message.starts_with("The Connect framework-managed offsets for this connector have been altered successfully."), "{message}");
    assert_eq!(
        error(herder.alter_offsets("x", ConnectorOffsets::default()).await).0,
        400
    );
    herder.reset_offsets("x").await.expect("reset");
    assert_eq!(
        herder.offsets("x").await.expect("offsets").offsets,
        Some(vec![])
    );

    herder.delete_connector("x").await.expect("deleted");
    assert_eq!(
        error(herder.connector_status("x")),
        (404, "No status found for connector x".into())
    );
    assert_eq!(
        error(herder.delete_connector("x").await),
        (404, "Connector x not found".into())
    );
    assert_eq!(
        error(herder.pause("x").await),
        (404, "Unknown connector x".into())
    );
    assert_eq!(
        herder.active_topics("x").expect("tracked"),
        Vec::<String>::new()
    );
    worker.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_fails_is_there_and_can_be_repaired() {
    let setup = Setup::new();
    let (worker, herder) = setup.worker().await;
    let failed = error(
        herder
            .create_connector("x", config("fails"), TargetState::Started)
            .await,
    );
    assert_eq!(failed, (500, "the mode is 'fails': choose another".into()));
    let status = herder.connector_status("x").expect("status");
    assert_eq!(status.connector.state, "FAILED");
    assert_eq!(
        status.connector.trace.as_deref(),
        Some("org.apache.kafka.common.config.ConfigException: the mode is 'fails': choose another")
    );
    herder.pause("x").await.expect("accepted");
    assert_eq!(
        herder
            .connector_status("x")
            .expect("status")
            .connector
            .state,
        "FAILED",
        "a failed connector takes no part"
    );
    herder.resume("x").await.expect("accepted");

    error(herder.put_config("x", config("panics")).await);
    let trace = herder
        .connector_status("x")
        .expect("status")
        .connector
        .trace
        .expect("trace");
    assert_eq!(
        trace,
        "java.lang.Error: The plugin panicked: a bug in the plugin"
    );

    let (status, message) = error(herder.put_config("x", config("greedy")).await);
    assert_eq!(status, 500);
    assert!(
        message.starts_with("The connector x has generated 2 tasks, which is greater than 1,"),
        "{message}"
    );

    let put = herder
        .put_config("x", config("good"))
        .await
        .expect("repaired");
    assert!(!put.created && put.info.tasks.len() == 1);
    task_is(&herder, "RUNNING").await;
    let patched = RawProps::from_iter([
        ("mode".to_owned(), Some("other".to_owned())),
        ("name".to_owned(), Some("x".to_owned())),
    ]);
    assert_eq!(
        herder
            .patch_config("x", patched)
            .await
            .expect("patched")
            .config["mode"]
            .as_deref(),
        Some("other")
    );
    worker.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_says_why_and_can_be_restarted() {
    let setup = Setup::new();
    setup.upstream.lock().expect("lock").changes[3] = "bad".into();
    let (worker, herder) = setup.worker().await;
    herder
        .create_connector("x", config("good"), TargetState::Started)
        .await
        .expect("created");
    task_is(&herder, "FAILED").await;
    let trace = herder
        .task_status("x", 0)
        .expect("status")
        .trace
        .expect("trace");
    assert!(trace.starts_with("org.apache.kafka.connect.errors.ConnectException: Tolerance exceeded in error handler\nCaused by: "), "{trace}");
    assert_eq!(
        herder
            .connector_status("x")
            .expect("status")
            .connector
            .state,
        "RUNNING",
        "the connector goes on"
    );
    setup.upstream.lock().expect("lock").changes[3] = "mended".into();
    let flags = RestartFlags {
        include_tasks: true,
        only_failed: true,
    };
    let predicted = herder
        .restart_connector("x", flags)
        .await
        .expect("accepted")
        .expect("statuses");
    assert_eq!(
        (
            predicted.connector.state.as_str(),
            predicted.tasks[0].state.as_str()
        ),
        ("RUNNING", "RESTARTING")
    );
    task_is(&herder, "RUNNING").await;
    until(async || setup.confirmed() == 20).await;
    assert_eq!(contents(&setup.log, TOPIC).await.len(), 20);
    worker.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn invalid_requests_have_java_s_answers() {
    let setup = Setup::new();
    let (worker, herder) = setup.worker().await;
    let (status, message) = error(
        herder
            .create_connector(
                "x",
                config("good")
                    .into_iter()
                    .filter(|(k, _)| k != "mode")
                    .collect(),
                TargetState::Started,
            )
            .await,
    );
    assert_eq!(status, 400);
    assert!(message.contains("contains the following 1 error(s):\nMissing required configuration \"mode\" which has no default value.\nYou can"), "{message}");
    let unknown = RawProps::from_iter([("connector.class".to_owned(), Some("Nothing".to_owned()))]);
    let (status, message) = error(
        herder
            .create_connector("x", unknown.clone(), TargetState::Started)
            .await,
    );
    assert_eq!(status, 400);
    assert!(message.starts_with("Failed to find any class that implements Connector and which name matches Nothing, available connectors are: PluginDesc{"), "{message}");
    assert_eq!(error(herder.validate("Nothing", unknown).await).0, 500);
    let (status, message) = error(herder.validate("Other", config("good")).await);
    assert_eq!(
        (status, message.as_str()),
        (
            400,
            "Included connector type ScriptedSource does not match request type Other"
        )
    );
    let infos = herder
        .validate("ScriptedSourceConnector", config("good"))
        .await
        .expect("validated");
    assert_eq!(infos.error_count, 1, "the name is missing");
    assert_eq!(
        error(herder.plugin_config("Nothing", None)),
        (404, "Unknown plugin Nothing.".into())
    );
    assert!(
        herder
            .plugin_config("ScriptedSource", None)
            .expect("keys")
            .iter()
            .any(|key| key.name == "tasks.max")
    );
    let (status, message) = error(herder.plugin_config("ScriptedSource", Some("9.9.9")));
    assert_eq!(status, 400);
    assert_eq!(
        message,
        "Plugin test.ScriptedSourceConnector not found that matches the version range [9.9.9,9.9.9], available versions: [7]"
    );
    assert_eq!(
        error(herder.task_configs("x").await),
        (404, "Connector x not found".into())
    );
    assert_eq!(
        error(herder.restart_connector("x", RestartFlags::default()).await),
        (404, "Unknown connector: x".into())
    );
    worker.shutdown().await;
}
