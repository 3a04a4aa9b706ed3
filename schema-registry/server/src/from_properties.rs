//! Reading the properties of a registry.

use http::{HeaderName, HeaderValue};
use millrace_api::config::{Props, Secret};
use millrace_tls::ProtocolVersion;
use registry_core::{Personality, Settings};

use crate::StartError;
use crate::http::access::Access;
use crate::http::cross_origin::CrossOrigin;
use crate::http::listener::{ListenerUri, Scheme};
use crate::http::tls::{ClientAuthentication, TlsFiles};
use crate::leader_credentials::LeaderCredentials;
use crate::options::{GroupOptions, HttpOptions, RegistryOptions, TopicOptions};
use crate::properties::Properties;

impl RegistryOptions {
    /// Reads the properties of a registry, with the names that the original gives them. What has no meaning here is named in the log and ignored.
    ///
    /// # Errors
    /// A value that is not allowed, or a setting whose meaning cannot be obeyed, by its key. Files that settings name are read, and must be readable.
    pub fn from_properties(props: &Props) -> Result<Self, StartError> {
        let p = Properties::new(props);
        refuse_what_cannot_be_obeyed(&p)?;
        let defaults = Self::default();
        let names = listener_names(&p)?;
        let port: u16 = p.number("port", 8081, 0, u16::MAX)?;
        let listeners = match p.get("listeners") {
            Some(text) => ListenerUri::parse_list("listeners", text, &names)?,
            None => vec![ListenerUri {
                port,
                ..defaults.listeners[0].clone()
            }],
        };
        let group_id = p
            .text("schema.registry.group.id")
            .unwrap_or(defaults.group.group_id);
        let heartbeat_interval = p.milliseconds("kafkagroup.heartbeat.interval.ms", 3000, 1)?;
        let session_timeout = p.milliseconds("kafkagroup.session.timeout.ms", 10_000, 1)?;
        if heartbeat_interval >= session_timeout {
            return Err(StartError::setting(
                "kafkagroup.heartbeat.interval.ms",
                p.get("kafkagroup.heartbeat.interval.ms")
                    .unwrap_or_default(),
                "it must be less than 'kafkagroup.session.timeout.ms', best a third of it",
            ));
        }
        let options = Self {
            listeners,
            metrics_listeners: ListenerUri::parse_list(
                "millrace.registry.metrics.listeners",
                p.get("millrace.registry.metrics.listeners")
                    .unwrap_or_default(),
                &names,
            )?,
            host_name: p.text("host.name"),
            host_port: match p.text("host.port") {
                Some(_) => Some(p.number("host.port", 0, 1, u16::MAX)?),
                None => None,
            },
            inter_instance_scheme: inter_instance_scheme(&p)?,
            inter_instance_listener: p.text("inter.instance.listener.name"),
            forwarded_headers: header_names(&p, "inter.instance.headers.whitelist")?,
            leader_credentials: LeaderCredentials::from_properties(&p)?,
            leader_connect_timeout: p.milliseconds("leader.connect.timeout.ms", 60_000, 1)?,
            leader_read_timeout: p.milliseconds("leader.read.timeout.ms", 60_000, 1)?,
            topic: TopicOptions {
                name: p.text("kafkastore.topic").unwrap_or(defaults.topic.name),
                replication_factor: p.number(
                    "kafkastore.topic.replication.factor",
                    3,
                    1,
                    i16::MAX,
                )?,
                skip_validation: p.flag("kafkastore.topic.skip.validation", false)?,
                settings: p.with_prefix("kafkastore.topic.config."),
                client_settings: Vec::new(),
            },
            group: GroupOptions {
                group_id: group_id.clone(),
                session_timeout,
                rebalance_timeout: p.milliseconds("kafkagroup.rebalance.timeout.ms", 300_000, 1)?,
                heartbeat_interval,
                eligible: match p.get("leader.eligibility") {
                    Some(_) => p.flag("leader.eligibility", true)?,
                    None => p.flag("master.eligibility", true)?,
                },
                delay: p.flag("leader.election.delay", false)?,
                sticky: p.flag("leader.election.sticky", false)?,
                client_settings: Vec::new(),
            },
            timeout: p.milliseconds("kafkastore.timeout.ms", 500, 1)?,
            init_timeout: p.milliseconds("kafkastore.init.timeout.ms", 60_000, 1)?,
            wait_for_reader: p.flag("kafkastore.init.wait.for.reader", true)?,
            write_retries: p.number("kafkastore.write.max.retries", 5, 0, 1000)?,
            waiting_changes: defaults.waiting_changes,
            http: http_options(&p)?,
            tls: tls_files(&p)?,
            settings: registry_settings(&p, group_id)?,
        };
        // Belong to the clients of the topic, and are theirs to judge.
        let _ = p.with_prefix("kafkastore.");
        for key in p.unknown() {
            if key.starts_with("listener.name.") {
                return Err(StartError::setting(
                    key,
                    "",
                    "settings of a single listener are not supported; use the ones for all listeners (ssl.*)",
                ));
            }
            tracing::info!(key, "this setting is not known and has no effect");
        }
        Ok(options)
    }
}

fn refuse_what_cannot_be_obeyed(p: &Properties<'_>) -> Result<(), StartError> {
    const CLASSES: &str = "Java classes cannot be loaded; remove it";
    for key in [
        "resource.extension.class",
        "schema.registry.resource.extension.class",
        "init.resource.extension.class",
        "kafkastore.update.handlers",
        "schema.providers",
        "rest.servlet.initializor.classes",
        "resource.extension.classes",
        "metadata.encoder.class",
    ] {
        p.refuse(key, &[], CLASSES)?;
    }
    p.refuse(
        "kafkastore.connection.url",
        &[],
        "ZooKeeper is not spoken; set 'kafkastore.bootstrap.servers' and remove it",
    )?;
    for key in ["metadata.encoder.secret", "metadata.encoder.old.secret"] {
        if p.text(key).is_some() {
            return Err(StartError::setting(
                key,
                "",
                "sensitive metadata is stored as it comes, encoding it is not supported; remove it",
            ));
        }
    }
    for key in [
        "enable.fips",
        "enable.fips.mode",
        "proxy.protocol.enabled",
        "dos.filter.enabled",
    ] {
        p.refuse(
            key,
            &["false"],
            "this is not supported; set it to false or remove it",
        )?;
    }
    p.refuse(
        "schema.canonicalize.on.consume",
        &[],
        "records are taken as they are; remove it",
    )?;
    p.refuse(
        "schema.providers.json.fetch.remote.schemas",
        &["false"],
        "schemas are never fetched from other servers: register what a schema refers to, name it in 'references', and set this to false or remove it",
    )?;
    p.refuse(
        "kafkastore.checkpoint.dir",
        &["/tmp"],
        "everything is kept in memory and read from the topic; remove it",
    )?;
    p.refuse(
        "request.queue.capacity.growby",
        &["64"],
        "there is no such queue; remove it",
    )?;
    for (key, why) in [
        (
            "schema.cache.size",
            "parsed schemas are kept by their size in bytes",
        ),
        (
            "schema.cache.expiry.secs",
            "parsed schemas are kept by their size in bytes",
        ),
        ("http2.enabled", "HTTP/1.1 is spoken"),
        (
            "request.timeout.interrupt.enable",
            "calls that take too long are always given up",
        ),
        ("metadata.encoder.topic", "metadata is not encoded"),
        ("debug", "set the log level instead"),
    ] {
        p.without_effect(key, why);
    }
    Ok(())
}

fn listener_names(p: &Properties<'_>) -> Result<Vec<(String, Scheme)>, StartError> {
    const KEY: &str = "listener.protocol.map";
    p.list(KEY)
        .iter()
        .map(|item| {
            let (name, scheme) = item.split_once(':').unwrap_or((item, ""));
            match Scheme::parse(scheme.trim()) {
                Some(scheme) => Ok((name.trim().to_owned(), scheme)),
                None => Err(StartError::setting(
                    KEY,
                    item,
                    "the form is NAME:http or NAME:https",
                )),
            }
        })
        .collect()
}

fn inter_instance_scheme(p: &Properties<'_>) -> Result<Option<Scheme>, StartError> {
    for key in [
        "inter.instance.protocol",
        "schema.registry.inter.instance.protocol",
    ] {
        if let Some(text) = p.text(key) {
            return Scheme::parse(&text)
                .map(Some)
                .ok_or_else(|| StartError::setting(key, &text, "it must be http or https"));
        }
    }
    Ok(None)
}

fn header_names(p: &Properties<'_>, key: &str) -> Result<Vec<HeaderName>, StartError> {
    p.list(key)
        .iter()
        .map(|name| {
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
                StartError::setting(
                    key,
                    name,
                    "it must be a comma-separated list of header names",
                )
            })
        })
        .collect()
}

fn http_options(p: &Properties<'_>) -> Result<HttpOptions, StartError> {
    let limit: usize = p.number(
        "size.limit.filter.max.request.body.size",
        1 << 20,
        1,
        i32::MAX as usize,
    )?;
    let limited = p.flag("size.limit.filter.enabled", false)?;
    let connections = match p.number("server.connection.limit", 0, 0, i32::MAX as usize)? {
        0 => p.number("connector.connection.limit", 0, 0, i32::MAX as usize)?,
        limit => limit,
    };
    Ok(HttpOptions {
        body_limit: if limited { limit } else { 32 << 20 },
        request_timeout: p.milliseconds("request.timeout.ms", 600_000, 1)?,
        idle_timeout: p.milliseconds("idle.timeout.ms", 30_000, 1)?,
        connections: if connections == 0 {
            10_000
        } else {
            connections
        },
        stop_timeout: p.milliseconds("shutdown.graceful.ms", 1000, 0)?,
        compression: p.flag("compression.enable", true)?,
        access: access(p)?,
        cross_origin: CrossOrigin::new(
            p.get("access.control.allow.origin").unwrap_or_default(),
            p.get("access.control.allow.methods").unwrap_or_default(),
            p.get("access.control.allow.headers").unwrap_or_default(),
            p.get("access.control.expose.headers").unwrap_or_default(),
        )?,
        options_skip_access: p.flag("access.control.skip.options", true)?,
        reject_options: p.flag("reject.options.request", false)?,
        response_headers: response_headers(p)?,
    })
}

fn access(p: &Properties<'_>) -> Result<Access, StartError> {
    const METHOD: &str = "authentication.method";
    let realm = p.get("authentication.realm").unwrap_or_default();
    let roles = match p.get("authentication.roles") {
        Some(_) => p.list("authentication.roles"),
        None => vec!["*".to_owned()],
    };
    let skip = p.list("authentication.skip.paths");
    let file = |key: &str, form: &str| {
        let path = p.text(key).ok_or_else(|| {
            StartError::setting(
                key,
                "",
                format!("it is missing; it names a file with lines of {form}"),
            )
        })?;
        let text = std::fs::read_to_string(&path).map_err(|error| {
            StartError::setting(key, &path, format!("the file cannot be read: {error}"))
        })?;
        Ok::<_, StartError>((path, text))
    };
    let access = match p.get(METHOD).unwrap_or("NONE") {
        "" | "NONE" => return Ok(Access::open()),
        "BASIC" => {
            let (path, text) = file(
                "millrace.registry.users.file",
                "user: password,role (the form of Java's PropertyFileLoginModule)",
            )?;
            Access::basic(realm, &roles, &path, &text)?
        }
        "BEARER" => {
            let (path, text) = file("millrace.registry.tokens.file", "token=principal")?;
            Access::bearer(realm, &path, &text)?
        }
        other => {
            return Err(StartError::setting(
                METHOD,
                other,
                "it must be NONE, BASIC or BEARER",
            ));
        }
    };
    Ok(access.skipping(skip))
}

/// Items of `set Name:value` or `add Name:value`, an item with a comma in double quotes.
fn response_headers(p: &Properties<'_>) -> Result<Vec<(HeaderName, HeaderValue)>, StartError> {
    const KEY: &str = "response.http.headers.config";
    let mut items = vec![String::new()];
    let mut quoted = false;
    for c in p.get(KEY).unwrap_or_default().chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => items.push(String::new()),
            _ => {
                if let Some(item) = items.last_mut() {
                    item.push(c);
                }
            }
        }
    }
    items
        .iter()
        .map(|item| item.trim())
        .filter(|item| !item.is_empty())
        .map(|item| {
            let refuse = || {
                StartError::setting(KEY, item, "the form is: set Name:value, or: add Name:value; headers whose value is a date are not supported")
            };
            let (action, header) = item.split_once(char::is_whitespace).ok_or_else(refuse)?;
            if !action.eq_ignore_ascii_case("set") && !action.eq_ignore_ascii_case("add") {
                return Err(refuse());
            }
            let (name, value) = header.split_once(':').ok_or_else(refuse)?;
            let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| refuse())?;
            let value = HeaderValue::from_str(value.trim()).map_err(|_| refuse())?;
            Ok((name, value))
        })
        .collect()
}

fn tls_files(p: &Properties<'_>) -> Result<TlsFiles, StartError> {
    const KEY: &str = "ssl.client.authentication";
    let client_authentication = match p.text(KEY) {
        Some(text) => match text.to_ascii_uppercase().as_str() {
            "NONE" => ClientAuthentication::None,
            "REQUESTED" => ClientAuthentication::Requested,
            "REQUIRED" => ClientAuthentication::Required,
            _ => {
                return Err(StartError::setting(
                    KEY,
                    &text,
                    "it must be NONE, REQUESTED or REQUIRED",
                ));
            }
        },
        None if p.flag("ssl.client.auth", false)? => ClientAuthentication::Required,
        None => ClientAuthentication::None,
    };
    p.refuse(
        "ssl.cipher.suites",
        &[],
        "the cipher suites cannot be chosen; remove it (TLS 1.2 and 1.3 with strong suites are used)",
    )?;
    let secret = |key: &str| p.text(key).map(Secret::new);
    let versions = match p.text("ssl.enabled.protocols") {
        Some(names) => ProtocolVersion::list(&names)
            .map_err(|error| StartError::setting("ssl.enabled.protocols", &names, error.message))?,
        None => Vec::new(),
    };
    Ok(TlsFiles {
        keystore: p.text("ssl.keystore.location"),
        keystore_type: p.text("ssl.keystore.type"),
        keystore_password: secret("ssl.keystore.password"),
        key: p.text("ssl.key.location"),
        key_password: secret("ssl.key.password"),
        truststore: p.text("ssl.truststore.location"),
        truststore_type: p.text("ssl.truststore.type"),
        truststore_password: secret("ssl.truststore.password"),
        versions,
        client_authentication,
    })
}

fn registry_settings(p: &Properties<'_>, group_id: String) -> Result<Settings, StartError> {
    let defaults = Settings::default();
    let personality = match p.get("millrace.registry.personality").unwrap_or("8.3") {
        "7.9" => Personality::V7_9,
        "8.1" => Personality::V8_1,
        "8.3" => Personality::V8_3,
        other => {
            return Err(StartError::setting(
                "millrace.registry.personality",
                other,
                "it must be 7.9, 8.1 or 8.3",
            ));
        }
    };
    let limits = |prefix: &str, default: i32| {
        Ok::<_, StartError>((
            p.number(&format!("{prefix}.default.limit"), default, 1, i32::MAX)?,
            p.number(&format!("{prefix}.max.limit"), default, 1, i32::MAX)?,
        ))
    };
    Ok(Settings {
        personality,
        compatibility: compatibility(p)?,
        validate_fields: p.flag("schema.validate.fields", false)?,
        validate_new_schemas: p.flag("schema.validate.new.schemas", true)?,
        reject_empty_subject: p.flag("schema.reject.empty.subject", false)?,
        mode_mutability: p.flag("mode.mutability", true)?,
        strict_reference_versions: p.flag("schema.providers.reference.versions.strict", false)?,
        schema_limits: limits("schema.search", 1000)?,
        subject_limits: limits("subject.search", i32::MAX)?,
        version_limits: limits("subject.version.search", i32::MAX)?,
        context_limits: limits("context.search", i32::MAX)?,
        rule_sets: p.flag("millrace.registry.rulesets", false)?,
        associations: p.flag("associations.enable", true)? && personality == Personality::V8_3,
        max_schema_bytes: p.number(
            "millrace.registry.schema.max.bytes",
            defaults.max_schema_bytes,
            1024,
            1 << 30,
        )?,
        group_id,
        ..defaults
    })
}

fn compatibility(p: &Properties<'_>) -> Result<String, StartError> {
    const LEVELS: [&str; 7] = [
        "NONE",
        "BACKWARD",
        "BACKWARD_TRANSITIVE",
        "FORWARD",
        "FORWARD_TRANSITIVE",
        "FULL",
        "FULL_TRANSITIVE",
    ];
    for key in ["avro.compatibility.level", "schema.compatibility.level"] {
        if let Some(text) = p.text(key) {
            let level = text.to_ascii_uppercase();
            if LEVELS.contains(&level.as_str()) {
                // The other of the two counts as seen.
                let _ = p.get("schema.compatibility.level");
                return Ok(level);
            }
            return Err(StartError::setting(
                key,
                &text,
                format!("it must be one of {}", LEVELS.join(", ")),
            ));
        }
    }
    Ok("BACKWARD".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(entries: &[(&str, &str)]) -> Result<RegistryOptions, String> {
        RegistryOptions::from_properties(&entries.iter().copied().collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_the_original_s() {
        let options = read(&[]).expect("defaults");
        assert_eq!(options.listeners[0].to_string(), "http://0.0.0.0:8081");
        assert_eq!(
            (
                options.topic.name.as_str(),
                options.topic.replication_factor
            ),
            ("_schemas", 3)
        );
        assert_eq!(options.timeout, Duration::from_millis(500));
        assert_eq!(options.settings.schema_limits, (1000, 1000));
        assert_eq!(
            read(&[("port", "9000")]).expect("a port").listeners[0].port,
            9000
        );
        assert!(
            read(&[("listeners", "")])
                .expect("none")
                .listeners
                .is_empty()
        );
    }

    #[test]
    fn names_of_all_ages_are_read() {
        let options = read(&[
            ("listeners", "EXT://0.0.0.0:1,http://127.0.0.1:2"),
            ("listener.protocol.map", "EXT:https"),
            ("avro.compatibility.level", "full_transitive"),
            ("schema.compatibility.level", "none"),
            ("master.eligibility", "false"),
            ("kafkastore.bootstrap.servers", "PLAINTEXT://k:9092"),
            ("kafkastore.topic.config.min.insync.replicas", "2"),
            ("millrace.registry.personality", "7.9"),
            ("inter.instance.headers.whitelist", "X-One, x-two"),
            ("unknown.thing", "x"),
        ])
        .expect("options");
        assert_eq!(options.listeners[0].scheme, Scheme::Https);
        assert_eq!(options.settings.compatibility, "FULL_TRANSITIVE");
        assert!(!options.group.eligible && !options.settings.associations);
        assert_eq!(
            options.topic.settings,
            [("min.insync.replicas".to_owned(), "2".to_owned())]
        );
        assert_eq!(options.forwarded_headers.len(), 2);
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused_by_name() {
        for (key, value) in [
            ("resource.extension.class", "io.x.Y"),
            ("kafkastore.connection.url", "zk:2181"),
            ("metadata.encoder.secret", "s"),
            ("schema.providers.json.fetch.remote.schemas", "true"),
            ("schema.canonicalize.on.consume", "AVRO"),
            ("authentication.method", "LDAP"),
            ("authentication.method", "BASIC"),
            ("ssl.client.authentication", "MAYBE"),
            ("ssl.enabled.protocols", "TLSv1.2,SSLv3"),
            ("schema.compatibility.level", "SIDEWAYS"),
            ("kafkastore.timeout.ms", "soon"),
            ("kafkastore.timeout.ms", "0"),
            ("kafkagroup.heartbeat.interval.ms", "10000"),
            ("millrace.registry.personality", "6.0"),
            ("leader.eligibility", "yes"),
            ("listener.name.ext.ssl.keystore.location", "x"),
            ("response.http.headers.config", "setDate X:1"),
            ("millrace.registry.leader.basic.auth.user.info", "ann"),
            ("millrace.registry.leader.bearer.auth.token", "a\nb"),
        ] {
            let error = read(&[(key, value)]).expect_err(key);
            let named = if key == "authentication.method" && value == "BASIC" {
                "millrace.registry.users.file"
            } else {
                key
            };
            assert!(error.contains(named), "{key}: {error}");
        }
    }

    #[test]
    fn a_node_has_one_way_to_say_who_it_is() {
        let error = read(&[
            (
                "millrace.registry.leader.basic.auth.user.info",
                "ann:secret",
            ),
            ("millrace.registry.leader.bearer.auth.token", "hidden"),
        ])
        .expect_err("two");
        assert!(error.contains("basic.auth.user.info") && error.contains("bearer.auth.token"));
        assert!(!error.contains("secret") && !error.contains("hidden"));
        let options = read(&[(
            "millrace.registry.leader.basic.auth.user.info",
            "ann:secret",
        )])
        .expect("one");
        assert!(!format!("{options:?}").contains("YW5uOnNlY3JldA"));
    }

    #[test]
    fn headers_of_every_answer() {
        let options = read(&[(
            "response.http.headers.config",
            "add X-XSS-Protection: 1; mode=block, \"set Cache-Control: no-cache, no-store\"",
        )])
        .expect("headers");
        assert_eq!(options.http.response_headers[0].1, "1; mode=block");
        assert_eq!(options.http.response_headers[1].1, "no-cache, no-store");
    }
}
