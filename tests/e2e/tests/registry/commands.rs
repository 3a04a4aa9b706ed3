//! `millrace schema …` as a user runs it, against registries on the embedded log.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use millrace_testkit::{RestClient, Worker, WorkerOptions, millrace_binary};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A command that has ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    /// Its standard output, when its exit code is `code`.
    fn expect(self, code: i32) -> Result<String> {
        ensure!(self.code == Some(code), "not exit code {code}: {self:?}");
        Ok(self.out)
    }

    /// Its standard error, when it has failed and says all of `words`.
    fn refusal(self, words: &[&str]) -> Result<String> {
        ensure!(self.code == Some(2), "not refused: {self:?}");
        for word in words {
            ensure!(self.err.contains(word), "no '{word}' in {}", self.err);
        }
        Ok(self.err)
    }
}

async fn millrace(arguments: &[&str]) -> Result<Ended> {
    let mut command = Command::new(millrace_binary()?);
    command
        .args(arguments)
        .env_remove("SCHEMA_REGISTRY_URL")
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    Ok(Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

/// A registry with a folder for files.
struct Place {
    registry: Worker,
    dir: TempDir,
}

impl Place {
    async fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let options = WorkerOptions::registry_on_embedded_log(&dir.path().join("log"));
        let registry = Worker::start(options).await?;
        Ok(Self { registry, dir })
    }

    async fn schema(&self, arguments: &[&str]) -> Result<Ended> {
        let mut all = vec!["schema", "--url", self.registry.rest_url()];
        all.extend(arguments);
        millrace(&all).await
    }

    fn rest(&self) -> &RestClient {
        self.registry.rest()
    }

    async fn register(&self, subject: &str, body: Value) -> Result<i64> {
        let path = format!("/subjects/{subject}/versions");
        let answer = self.rest().post(&path, &body).await?.success();
        let answer = answer.with_context(|| format!("{subject}: {body}"))?;
        answer["id"].as_i64().context("an id")
    }
}

fn file(dir: &Path, name: &str, text: &str) -> Result<String> {
    let path = dir.join(name);
    std::fs::write(&path, text)?;
    Ok(path.to_str().context("UTF-8")?.to_owned())
}

fn record(name: &str, fields: &str) -> Value {
    json!({ "schema": format!(r#"{{"type":"record","name":"{name}","fields":[{fields}]}}"#) })
}

/// Everything that can be asked of a registry, without the times at which it was written.
async fn everything(client: &RestClient) -> Result<Vec<(String, Value)>> {
    let mut found = Vec::new();
    let mut schemas = client
        .get("/schemas?deleted=true&subjectPrefix=:*:")
        .await?
        .success()?;
    for schema in schemas.as_array_mut().context("a list")? {
        schema.as_object_mut().context("an object")?.remove("ts");
    }
    let mut scopes = vec![
        String::new(),
        "/:.__GLOBAL:".to_owned(),
        "/:.eu:".to_owned(),
    ];
    for schema in schemas.as_array().context("a list")? {
        let subject = schema["subject"].as_str().context("a subject")?;
        let scope = format!("/{}", subject.replace('/', "%2F").replace(' ', "%20"));
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    found.push(("schemas".to_owned(), schemas));
    for kind in ["config", "mode"] {
        for scope in &scopes {
            let path = format!("/{kind}{scope}");
            let reply = client.get(&path).await?;
            found.push((path, reply.body));
        }
    }
    let paths = [
        "/contexts",
        "/subjects?deletedOnly=true",
        "/schemas/ids/1/versions?deleted=true",
        "/schemas/ids/1/versions?deleted=true&subject=:.eu:orders-value",
        "/subjects/money/versions/1/referencedby",
    ];
    for path in paths {
        let answer = client.get(path).await?.success().context(path)?;
        found.push((path.to_owned(), answer));
    }
    Ok(found)
}

/// One of everything that a registry can hold.
async fn fill(place: &Place) -> Result<()> {
    let rest = place.rest();
    let id = r#"{"name":"id","type":"long"}"#;
    let note = r#"{"name":"note","type":["null","string"],"default":null}"#;
    let more = r#"{"name":"more","type":"int","default":0}"#;
    // Versions with a gap, and a deleted one.
    for fields in [
        id.to_owned(),
        format!("{id},{note}"),
        format!("{id},{more}"),
        format!("{id},{note},{more}"),
    ] {
        place
            .register("orders-value", record("Order", &fields))
            .await?;
    }
    for path in ["/2", "/2?permanent=true", "/1"] {
        let path = format!("/subjects/orders-value/versions{path}");
        rest.delete(&path).await?.success()?;
    }
    // The same schema elsewhere shares its id; in another context it has one of its own.
    place.register("a%2Fb%20c", record("Order", id)).await?;
    place
        .register(":.eu:orders-value", record("Eu", id))
        .await?;
    place.register("gone", record("Gone", id)).await?;
    rest.delete("/subjects/gone").await?.success()?;
    let mut described = record("Described", id);
    described["metadata"] =
        json!({"properties": {"owner": "shop"}, "tags": {"Described.id": ["PII"]}});
    place.register("described", described).await?;
    // References: the names are such that they come first in the alphabet where they refer, and in a file they must not.
    place
        .register(
            "money",
            json!({"schemaType": "PROTOBUF", "schema": "syntax = \"proto3\";\npackage shop;\nmessage Money { int64 cents = 1; }\n"}),
        )
        .await?;
    place
        .register(
            "bill",
            json!({
                "schemaType": "PROTOBUF",
                "schema": "syntax = \"proto3\";\npackage shop;\nimport \"money.proto\";\nmessage Bill { Money total = 1; }\n",
                "references": [{"name": "money.proto", "subject": "money", "version": 1}]
            }),
        )
        .await?;
    place
        .register(
            "person",
            json!({"schemaType": "JSON", "schema": r#"{"type":"object","properties":{"name":{"type":"string"}}}"#}),
        )
        .await?;
    place
        .register(
            "child",
            json!({
                "schemaType": "JSON",
                "schema": r#"{"type":"object","properties":{"mother":{"$ref":"person.json"}}}"#,
                "references": [{"name": "person.json", "subject": "person", "version": 1}]
            }),
        )
        .await?;
    for (path, body) in [
        ("/config", json!({"compatibility": "FULL"})),
        (
            "/config/orders-value",
            json!({"compatibility": "NONE", "normalize": true}),
        ),
        ("/config/:.eu:", json!({"compatibility": "FORWARD"})),
        (
            "/config/:.__GLOBAL:",
            json!({"compatibility": "BACKWARD_TRANSITIVE"}),
        ),
        ("/config/gone", json!({"compatibilityGroup": "major"})),
        ("/mode/money", json!({"mode": "READONLY"})),
        ("/mode/person?force=true", json!({"mode": "IMPORT"})),
        ("/mode/:.eu:", json!({"mode": "READONLY"})),
    ] {
        rest.put(path, &body).await?.success().context(path)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_moves_with_everything_in_it() -> Result<()> {
    let (from, to) = (Place::new().await?, Place::new().await?);
    fill(&from).await?;
    let exported = from.dir.path().join("registry.jsonl");
    let exported = exported.to_str().context("UTF-8")?;
    from.schema(&["export", "-o", exported]).await?.expect(0)?;
    to.schema(&["import", exported]).await?.expect(0)?;
    let (old, new) = (everything(from.rest()).await?, everything(to.rest()).await?);
    for (old, new) in old.iter().zip(&new) {
        ensure!(old == new, "before: {old:?}\nafter: {new:?}");
    }
    let again = to.schema(&["export"]).await?.expect(0)?;
    ensure!(again == std::fs::read_to_string(exported)?, "{again}");

    // Into a registry that has schemas: not by mistake, and then nothing changes, no mode either.
    let refused = to.schema(&["import", exported]).await?;
    refused.refusal(&["the default context", "--force"])?;
    ensure!(everything(to.rest()).await? == new);
    to.schema(&["import", exported, "--force"])
        .await?
        .expect(0)?;
    ensure!(everything(to.rest()).await? == new);

    // Ids go on where they ended, and a text that has an id keeps it.
    let known = record("Order", r#"{"name":"id","type":"long"}"#);
    let next = record("Next", "");
    for (subject, body) in [("known", known), ("next", next)] {
        let ids = (
            from.register(subject, body.clone()).await?,
            to.register(subject, body).await?,
        );
        ensure!(ids.0 == ids.1, "{subject}: {ids:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_a_registry_moves() -> Result<()> {
    let (from, to) = (Place::new().await?, Place::new().await?);
    fill(&from).await?;
    let exported = from.dir.path().join("eu.jsonl");
    let exported = exported.to_str().context("UTF-8")?;
    from.schema(&["export", "--prefix", ":.eu:", "-o", exported])
        .await?
        .expect(0)?;
    to.schema(&["import", exported]).await?.expect(0)?;
    let listed = to.schema(&["list"]).await?.expect(0)?;
    ensure!(listed.lines().count() == 2, "{listed}");
    ensure!(listed.contains(":.eu:orders-value"), "{listed}");
    let get = async |path: &str| to.rest().get(path).await?.success();
    ensure!(get("/mode/:.eu:").await? == json!({"mode": "READONLY"}));
    ensure!(get("/config").await? == json!({"compatibilityLevel": "BACKWARD"}));

    // What cannot go through is said, and modes come back.
    let text = std::fs::read_to_string(exported)?;
    let missing = text.replace(r#""schemaType":"AVRO""#, r#""schemaType":"XML""#);
    let path = file(from.dir.path(), "bad.jsonl", &missing)?;
    let refused = to.schema(&["import", &path, "--force"]).await?;
    refused.refusal(&["line 1", "XML"])?;
    let taken = text.replace("Eu", "Other");
    let path = file(from.dir.path(), "taken.jsonl", &taken)?;
    let refused = to.schema(&["import", &path, "--force"]).await?;
    refused.refusal(&["version 1 of subject ':.eu:orders-value' (id 1)"])?;
    ensure!(get("/mode/:.eu:").await? == json!({"mode": "READONLY"}));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_names_every_incompatibility() -> Result<()> {
    let place = Place::new().await?;
    let dir = place.dir.path();
    let cases = [
        (
            "avsc",
            r#"{"type":"record","name":"A","fields":[{"name":"id","type":"long"},{"name":"note","type":["null","string"],"default":null}]}"#,
            r#"{"type":"record","name":"A","fields":[{"name":"id","type":"long"},{"name":"note","type":["null","string"],"default":null},{"name":"n","type":"int","default":0}]}"#,
            r#"{"type":"record","name":"A","fields":[{"name":"id","type":"int"},{"name":"note","type":["null","string"],"default":null},{"name":"n","type":"int"}]}"#,
            [
                "TYPE_MISMATCH at /fields/0/type",
                "READER_FIELD_MISSING_DEFAULT_VALUE at /fields/2",
                "→ give the new field a default",
            ],
        ),
        (
            "json",
            r#"{"type":"object","properties":{"id":{"type":"integer"}},"additionalProperties":false}"#,
            r#"{"type":"object","properties":{"id":{"type":"number"},"x":{"type":"string"}},"additionalProperties":false}"#,
            r#"{"type":"object","properties":{"id":{"type":"string"}},"required":["id"],"additionalProperties":false}"#,
            [
                "TYPE_CHANGED at #/properties/id",
                "REQUIRED_ATTRIBUTE_ADDED at #/required/id",
                "→ keep the type",
            ],
        ),
        (
            "proto",
            "syntax = \"proto3\";\nmessage A { int64 id = 1; string note = 2; }\nmessage B { int32 x = 1; }\n",
            "syntax = \"proto3\";\nmessage A { int64 id = 1; string note = 2; bool flag = 3; }\nmessage B { int32 x = 1; }\n",
            "syntax = \"proto3\";\nmessage A { string id = 1; string note = 2; }\n",
            [
                "FIELD_SCALAR_KIND_CHANGED at #/A/1",
                "MESSAGE_REMOVED at #/B",
                "→ keep the message",
            ],
        ),
    ];
    for (extension, old, good, bad, expected) in cases {
        let old = file(dir, &format!("old.{extension}"), old)?;
        let good = file(dir, &format!("good.{extension}"), good)?;
        let bad = file(dir, &format!("bad.{extension}"), bad)?;
        let subject = format!("s-{extension}");
        place
            .schema(&["register", &subject, &old])
            .await?
            .expect(0)?;
        let against = ["check", &good, "--subject", &subject];
        let said = place.schema(&against).await?.expect(0)?;
        ensure!(said.contains("may be registered"), "{said}");
        for against in [["--subject", &subject], ["--old", &old]] {
            let said = place
                .schema(&["check", &bad, against[0], against[1]])
                .await?
                .expect(1)?;
            for words in expected {
                ensure!(said.contains(words), "no '{words}' in:\n{said}");
            }
        }
        // The registry is of the same opinion.
        let refused = place.schema(&["register", &subject, &bad]).await?;
        refused.refusal(&["40901", "millrace schema check", &subject])?;
        place
            .schema(&["register", &subject, &good])
            .await?
            .expect(0)?;
        place
            .schema(&["diff", "--subject", &subject, "1", "latest"])
            .await?;
    }
    // All versions that count, not only the first that is in the way.
    let rest = place.rest();
    rest.put(
        "/config/s-avsc",
        &json!({"compatibility": "FULL_TRANSITIVE"}),
    )
    .await?
    .success()?;
    let bad = dir.join("bad.avsc");
    let bad = bad.to_str().context("UTF-8")?;
    let said = place
        .schema(&["check", bad, "--subject", "s-avsc"])
        .await?
        .expect(1)?;
    for words in ["FULL_TRANSITIVE", "version 1 (id 1): 2", "version 2 (id "] {
        ensure!(said.contains(words), "no '{words}' in:\n{said}");
    }
    let said = place
        .schema(&["check", bad, "--subject", "s-avsc", "--level", "none"])
        .await?
        .expect(0)?;
    ensure!(said.contains("level NONE"), "{said}");
    let said = place
        .schema(&["check", bad, "--subject", "s-json", "--level", "full"])
        .await?
        .expect(1)?;
    ensure!(said.matches("SCHEMA_TYPE_CHANGED").count() == 1, "{said}");
    // Errors are no answer.
    for (arguments, words) in [
        (
            ["check", bad, "--subject", "s-avsc", "--level", "half"],
            "'half'",
        ),
        (
            ["check", "no.avsc", "--subject", "s-avsc", "--level", "full"],
            "no.avsc",
        ),
        (
            ["check", bad, "--subject", "s-avsc", "--version", "9"],
            "version 9",
        ),
    ] {
        place.schema(&arguments).await?.refusal(&[words])?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemas_come_and_go() -> Result<()> {
    let place = Place::new().await?;
    let dir = place.dir.path();
    let money = "syntax = \"proto3\";\npackage shop;\n\nmessage Money {\n  int64 cents = 1;\n}\n";
    let bill = "syntax = \"proto3\";\npackage shop;\n\nimport \"money.proto\";\n\nmessage Bill {\n  Money total = 1;\n}\n";
    let money = file(dir, "money.proto", money)?;
    let bill = file(dir, "bill.proto", bill)?;
    let said = place.schema(&["register", "money", &money]).await?;
    ensure!(said.expect(0)? == "subject money version 1 id 1\n");
    let refused = place.schema(&["register", "bill", &bill]).await?;
    refused.refusal(&["42201"])?;
    let reference = "--reference=money.proto=money:1";
    let said = place
        .schema(&["register", "bill", &bill, reference])
        .await?
        .expect(0)?;
    ensure!(said == "subject bill version 1 id 2\n", "{said}");
    // What is got can be registered, with the references that are said beside it.
    let got = place.schema(&["get", "bill"]).await?;
    ensure!(got.err.contains(reference), "{}", got.err);
    let copy = file(dir, "copy.proto", &got.expect(0)?)?;
    let said = place
        .schema(&["register", "copy", &copy, reference])
        .await?
        .expect(0)?;
    ensure!(said == "subject copy version 1 id 2\n", "{said}");
    let by_id = place.schema(&["get", "--id", "2"]).await?.expect(0)?;
    ensure!(by_id == std::fs::read_to_string(&copy)?, "{by_id}");
    let full = place
        .schema(&["get", "bill", "1", "--full"])
        .await?
        .expect(0)?;
    let full: Value = serde_json::from_str(&full)?;
    ensure!(full["references"][0]["subject"] == "money", "{full}");

    let refused = place.schema(&["delete", "money"]).await?;
    refused.refusal(&["42206"])?;
    let said = place.schema(&["delete", "copy"]).await?.expect(0)?;
    ensure!(said == "deleted subject 'copy': versions 1\n", "{said}");
    let refused = place.schema(&["get", "copy"]).await?;
    refused.refusal(&["'copy'", "--deleted"])?;
    let listed = place.schema(&["list"]).await?.expect(0)?;
    ensure!(!listed.contains("copy"), "{listed}");
    let listed = place.schema(&["list", "--deleted"]).await?.expect(0)?;
    let line = listed.lines().find(|line| line.starts_with("copy"));
    ensure!(
        line.is_some_and(|line| line.ends_with("(deleted)")),
        "{listed}"
    );
    place
        .schema(&["delete", "bill", "latest", "--permanent"])
        .await?
        .expect(0)?;
    place
        .schema(&["delete", "copy", "--permanent"])
        .await?
        .expect(0)?;
    let listed = place.schema(&["list", "--deleted"]).await?.expect(0)?;
    ensure!(listed.lines().count() == 2, "{listed}");

    // Wrong addresses.
    let nobody = format!("http://127.0.0.1:{}", millrace_testkit::free_port());
    let refused = millrace(&["schema", "list", "--url", &nobody]).await?;
    refused.refusal(&[&nobody])?;
    let elsewhere = format!("{}/elsewhere", place.registry.rest_url());
    let refused = millrace(&["schema", "list", "--url", &elsewhere]).await?;
    refused.refusal(&["--url"])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_are_used_and_never_shown() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let users = file(dir.path(), "users", "alice: s3cret-word,admin\n")?;
    let options = WorkerOptions::registry_on_embedded_log(&dir.path().join("log"))
        .set("authentication.method", "BASIC")
        .set("authentication.realm", "registry")
        .set("authentication.roles", "admin")
        // Where the test looks whether it is up.
        .set("authentication.skip.paths", "/")
        .set("millrace.registry.users.file", &users);
    let registry = Worker::start(options).await?;
    let url = registry.rest_url();
    let refused = millrace(&["schema", "list", "--url", url]).await?;
    refused.refusal(&["401", "--client-config"])?;
    let config = |name: &str, password: &str| {
        let text = format!(
            "schema.registry.url={url}\nbasic.auth.credentials.source=USER_INFO\nbasic.auth.user.info=alice:{password}\n"
        );
        file(dir.path(), name, &text)
    };
    let right = config("right", "s3cret-word")?;
    let wrong = config("wrong", "an0ther-word")?;
    millrace(&["schema", "list", "--client-config", &right])
        .await?
        .expect(0)?;
    let nobody = format!("http://127.0.0.1:{}", millrace_testkit::free_port());
    for arguments in [
        vec!["schema", "list", "--client-config", &wrong],
        vec![
            "schema",
            "list",
            "--client-config",
            &right,
            "--url",
            &nobody,
        ],
        vec!["schema", "get", "nothing", "--client-config", &right],
    ] {
        let said = millrace(&arguments).await?.refusal(&[])?;
        ensure!(!said.contains("-word"), "{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_runs_in_avro() -> Result<()> {
    let arguments = [
        "demo",
        "--seconds",
        "5",
        "--rate",
        "100",
        "--format",
        "avro",
    ];
    let said = millrace(&arguments).await?.expect(0)?;
    for words in ["schema registry", "every row of every table is equal"] {
        ensure!(said.contains(words), "no '{words}' in:\n{said}");
    }
    Ok(())
}
