//! Streams: what is decoded from them, what is confirmed, how they end.

use std::time::Duration;

use bytes::Bytes;
use pg_replication::pgoutput::{Cell, Decoder, Message, OldTuple, ProtoVersion, TupleView};
use pg_replication::{
    ConnectOptions, Frame, LowWater, Lsn, ReplicationConnection, ReplicationError,
    ReplicationStream, SlotSnapshot, SslMode,
};

use crate::server::{Deadline, Server, sql, value};

const TICK: Duration = Duration::from_millis(200);

/// A database with a publication of all tables, and a slot, both called `name`.
struct Source {
    options: ConnectOptions,
    name: &'static str,
    writer: ReplicationConnection,
    consistent_point: Lsn,
}

impl Source {
    async fn new(server: &Server, name: &'static str, tables: &str) -> Source {
        let options = server.database(name).await;
        let mut writer = connect(&options).await;
        sql(&mut writer, tables).await;
        sql(
            &mut writer,
            &format!("CREATE PUBLICATION {name} FOR ALL TABLES"),
        )
        .await;
        let slot = writer
            .create_slot(name, "pgoutput", false, SlotSnapshot::Nothing, false)
            .await
            .expect("a slot");
        Source {
            options,
            name,
            writer,
            consistent_point: slot.consistent_point,
        }
    }

    async fn stream(&self, more: &[(&str, &str)]) -> ReplicationStream {
        self.stream_with(&self.options, more).await
    }

    async fn stream_with(
        &self,
        options: &ConnectOptions,
        more: &[(&str, &str)],
    ) -> ReplicationStream {
        let mut all = vec![("publication_names", self.name)];
        if !more.iter().any(|(name, _)| *name == "proto_version") {
            all.push(("proto_version", "1"));
        }
        all.extend(more);
        connect(options)
            .await
            .start_replication(self.name, Lsn::INVALID, &all)
            .await
            .expect("a stream")
    }

    async fn confirmed(&mut self) -> Lsn {
        let query = format!(
            "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{}'",
            self.name
        );
        let text = value(&mut self.writer, &query).await.expect("a position");
        text.parse().expect("a position")
    }
}

async fn connect(options: &ConnectOptions) -> ReplicationConnection {
    ReplicationConnection::connect(options)
        .await
        .expect("a connection")
}

/// Reads a stream message by message.
struct Reader {
    stream: ReplicationStream,
    decoder: Decoder,
    frames: Vec<Frame>,
}

impl Reader {
    fn new(stream: ReplicationStream, version: ProtoVersion) -> Self {
        Reader {
            stream,
            decoder: Decoder::new(version),
            frames: Vec::new(),
        }
    }

    async fn batch(&mut self) -> Result<Bytes, ReplicationError> {
        self.stream.next_batch(&mut self.frames, TICK).await
    }

    /// Describes each message until `last` says that it was the last.
    async fn until(&mut self, last: impl Fn(&Message<'_>) -> bool) -> Vec<String> {
        let deadline = Deadline::seconds(60);
        let mut seen = Vec::new();
        loop {
            deadline.check("the last message");
            let buffer = self.batch().await.expect("a batch");
            let mut found = false;
            for frame in &self.frames {
                let Frame::XLogData(data) = frame else {
                    continue;
                };
                let payload = &buffer[data.payload.as_range()];
                let message = self.decoder.decode(payload).expect("a message");
                seen.push(describe(&message));
                found |= last(&message);
            }
            if found {
                return seen;
            }
        }
    }

    async fn until_commit(&mut self) -> Vec<String> {
        self.until(|message| matches!(message, Message::Commit(_)))
            .await
    }
}

fn row(tuple: TupleView<'_>) -> String {
    let cells: Vec<String> = tuple
        .cells()
        .map(|cell| match cell {
            Cell::Null => "null".to_owned(),
            Cell::UnchangedToast => "toast".to_owned(),
            Cell::Text(range) => String::from_utf8_lossy(tuple.bytes(range)).into_owned(),
            Cell::Binary(range) => format!("{:?}", tuple.bytes(range)),
        })
        .collect();
    format!("({})", cells.join(","))
}

fn describe(message: &Message<'_>) -> String {
    match message {
        Message::Begin(_) => "begin".to_owned(),
        Message::Commit(_) => "commit".to_owned(),
        Message::Relation(r) => {
            let columns: Vec<&str> = r.columns.iter().map(|column| column.name).collect();
            format!("relation {}.{}({})", r.namespace, r.name, columns.join(","))
        }
        Message::Insert(m) => format!("insert {}", row(m.new)),
        Message::Update(m) => match m.old {
            None => format!("update {}", row(m.new)),
            Some(OldTuple::Key(old)) => format!("update key {} {}", row(old), row(m.new)),
            Some(OldTuple::Full(old)) => format!("update full {} {}", row(old), row(m.new)),
        },
        Message::Delete(m) => match m.old {
            OldTuple::Key(old) => format!("delete key {}", row(old)),
            OldTuple::Full(old) => format!("delete full {}", row(old)),
        },
        Message::Truncate(m) => format!(
            "truncate {}{}{}",
            m.relations.len(),
            if m.cascade() { " cascade" } else { "" },
            if m.restart_identity() { " restart" } else { "" }
        ),
        Message::Type(t) => format!("type {}.{}", t.namespace, t.name),
        Message::LogicalMessage(m) => format!(
            "message {} {} {:?}",
            if m.transactional { "in" } else { "out" },
            m.prefix,
            m.content
        ),
        Message::BeginPrepare(m) => format!("begin prepare {}", m.gid),
        Message::Prepare(m) => format!("prepare {}", m.gid),
        Message::CommitPrepared(m) => format!("commit prepared {}", m.gid),
        Message::RollbackPrepared(m) => format!("rollback prepared {}", m.gid),
        other => format!("{other:?}")
            .split(['(', ' '])
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}

#[tokio::test]
async fn every_kind_of_change() {
    let server = Server::shared().await;
    let tables = "CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE TABLE t (id int PRIMARY KEY, at timestamptz, span interval, data bytea, f float8, m mood, big text);
        ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
        CREATE TABLE f (a int, b text); ALTER TABLE f REPLICA IDENTITY FULL";
    let mut source = Source::new(&server, "every_kind", tables).await;
    let mut reader = Reader::new(
        source.stream(&[("messages", "true")]).await,
        ProtoVersion::V1,
    );

    sql(
        &mut source.writer,
        "INSERT INTO t VALUES (1, '2024-02-29 12:00:00.5+02', '1 day 02:00', '\\x00ff', 0.1::float8 + 0.2, 'ok', repeat('x', 9000)),
         (2, NULL, NULL, NULL, NULL, NULL, 'ü')",
    )
    .await;
    let big = "x".repeat(9000);
    assert_eq!(
        reader.until_commit().await,
        [
            "begin",
            "type public.mood",
            "relation public.t(id,at,span,data,f,m,big)",
            &format!(
                "insert (1,2024-02-29 10:00:00.5+00,1 day 02:00:00,\\x00ff,0.30000000000000004,ok,{big})"
            ),
            "insert (2,null,null,null,null,null,ü)",
            "commit",
        ]
    );

    sql(&mut source.writer, "UPDATE t SET m = 'sad' WHERE id = 1").await;
    let update = &reader.until_commit().await[1];
    assert!(
        update.starts_with("update (1,") && update.ends_with(",sad,toast)"),
        "{update}"
    );
    sql(&mut source.writer, "UPDATE t SET id = 3 WHERE id = 2").await;
    assert_eq!(
        reader.until_commit().await[1],
        "update key (2,null,null,null,null,null,null) (3,null,null,null,null,null,ü)"
    );
    sql(&mut source.writer, "DELETE FROM t WHERE id = 3").await;
    assert_eq!(
        reader.until_commit().await[1],
        "delete key (3,null,null,null,null,null,null)"
    );

    sql(
        &mut source.writer,
        "INSERT INTO f VALUES (1, 'a'); UPDATE f SET b = 'b'; DELETE FROM f; TRUNCATE f, t RESTART IDENTITY CASCADE;
         SELECT pg_logical_emit_message(true, 'pre', 'hi'); ALTER TABLE f ADD c int; INSERT INTO f VALUES (2, 'c', 3)",
    )
    .await;
    assert_eq!(
        reader.until_commit().await,
        [
            "begin",
            "relation public.f(a,b)",
            "insert (1,a)",
            "update full (1,a) (1,b)",
            "delete full (1,b)",
            // RESTART IDENTITY changes the relations, so they are announced anew.
            "relation public.f(a,b)",
            "type public.mood",
            "relation public.t(id,at,span,data,f,m,big)",
            "truncate 2 cascade restart",
            "message in pre [104, 105]",
            "relation public.f(a,b,c)",
            "insert (2,c,3)",
            "commit",
        ]
    );
    sql(
        &mut source.writer,
        "SELECT pg_logical_emit_message(false, 'alone', 'x')",
    )
    .await;
    let alone = reader
        .until(|message| matches!(message, Message::LogicalMessage(_)))
        .await;
    assert_eq!(alone, ["message out alone [120]"]);
}

#[tokio::test]
async fn binary_values() {
    let server = Server::shared().await;
    let mut source = Source::new(
        &server,
        "binary_values",
        "CREATE TABLE t (id int PRIMARY KEY, b bool)",
    )
    .await;
    let mut reader = Reader::new(source.stream(&[("binary", "true")]).await, ProtoVersion::V1);
    sql(&mut source.writer, "INSERT INTO t VALUES (258, true)").await;
    assert_eq!(reader.until_commit().await[2], "insert ([0, 0, 1, 2],[1])");
}

#[tokio::test]
async fn only_what_was_given_is_confirmed() {
    let server = Server::shared().await;
    let mut source = Source::new(&server, "confirmed", "CREATE TABLE t (id int PRIMARY KEY)").await;
    let mut options = source.options.clone();
    // The server asks for an answer after half of it.
    options.parameters = vec![("wal_sender_timeout".into(), "1000".into())];
    let mut stream = source.stream_with(&options, &[]).await;

    sql(&mut source.writer, "INSERT INTO t VALUES (1)").await;
    sql(&mut source.writer, "INSERT INTO t VALUES (2)").await;
    let mut frames = Vec::new();
    let mut commits = Vec::new();
    let mut decoder = Decoder::new(ProtoVersion::V1);
    let mut asked = 0;
    let deadline = Deadline::seconds(60);
    // Three questions take longer than the server's patience: it only goes on if each is answered.
    while commits.len() < 2 || asked < 3 {
        deadline.check("two commits and three questions");
        let buffer = stream.next_batch(&mut frames, TICK).await.expect("a batch");
        for frame in &frames {
            match frame {
                Frame::XLogData(data) => {
                    let payload = &buffer[data.payload.as_range()];
                    if let Message::Commit(commit) = decoder.decode(payload).expect("a message") {
                        assert_eq!(data.wal_start, commit.end_lsn);
                        commits.push(commit.end_lsn);
                    }
                }
                Frame::KeepAlive {
                    reply_requested, ..
                } => asked += usize::from(*reply_requested),
            }
        }
    }
    assert_eq!(
        source.confirmed().await,
        source.consistent_point,
        "nothing was given yet"
    );
    stream.set_status_interval(Duration::from_millis(20));

    for (given, expected) in [
        (commits[0], commits[0]),
        (Lsn::INVALID, commits[0]),
        (source.consistent_point, commits[0]),
        (commits[1], commits[1]),
    ] {
        let received = commits[1];
        stream
            .standby_status(received, given, given, true)
            .await
            .expect("given");
        assert_eq!(stream.positions().flushed, expected);
        // The answer to this one comes after the server has taken it over.
        let mut answered = false;
        let deadline = Deadline::seconds(60);
        while !answered || source.confirmed().await != expected {
            deadline.check("the confirmed position");
            stream.next_batch(&mut frames, TICK).await.expect("a batch");
            answered |= frames
                .iter()
                .any(|frame| matches!(frame, Frame::KeepAlive { .. }));
        }
    }
    let stop = stream.stop(Duration::from_secs(20)).await.expect("stops");
    stop.close().await.expect("closes");

    // What was confirmed does not come again; what was not, does.
    let mut reader = Reader::new(source.stream(&[]).await, ProtoVersion::V1);
    sql(&mut source.writer, "INSERT INTO t VALUES (3)").await;
    assert_eq!(reader.until_commit().await[2], "insert (3)");
    drop(reader);
    let deadline = Deadline::seconds(60);
    let active = "SELECT active FROM pg_replication_slots WHERE slot_name = 'confirmed'";
    while value(&mut source.writer, active).await.as_deref() != Some("f") {
        deadline.check("the end of the old session");
    }
    let mut reader = Reader::new(source.stream(&[]).await, ProtoVersion::V1);
    assert_eq!(reader.until_commit().await[2], "insert (3)");
}

const BIG: u64 = 60_000;

/// Reads one big transaction and checks every row of it.
async fn drain(source: &mut Source, options: &ConnectOptions, interrupted: bool) {
    let mut stream = source.stream_with(options, &[]).await;
    sql(&mut source.writer, "BEGIN").await;
    let insert = format!(
        "INSERT INTO t SELECT i, repeat(chr(97 + i % 26), 100) FROM generate_series(1, {BIG}) i"
    );
    sql(&mut source.writer, &insert).await;
    let toast =
        "INSERT INTO t SELECT 0, string_agg(i::text, ',') FROM generate_series(1, 400000) i";
    sql(&mut source.writer, toast).await;
    sql(&mut source.writer, "DELETE FROM t; COMMIT").await;

    let mut decoder = Decoder::new(ProtoVersion::V1);
    let mut frames = Vec::new();
    let mut kept: Vec<(Bytes, u64)> = Vec::new();
    let (mut next, mut deleted, mut huge) = (1, 0, 0);
    let deadline = Deadline::seconds(120);
    let mut attempts = 0u32;
    'stream: loop {
        deadline.check("the commit");
        let call = stream.next_batch(&mut frames, TICK);
        let buffer = if interrupted {
            attempts += 1;
            // Dropped after being polled a few times, at other places each time.
            let mut call = std::pin::pin!(call);
            let mut polls = attempts % 4;
            let limited = std::future::poll_fn(|cx| match call.as_mut().poll(cx) {
                std::task::Poll::Ready(result) => std::task::Poll::Ready(Some(result)),
                std::task::Poll::Pending if polls == 0 => std::task::Poll::Ready(None),
                std::task::Poll::Pending => {
                    polls -= 1;
                    std::task::Poll::Pending
                }
            });
            match limited.await {
                Some(result) => result.expect("a batch"),
                None => continue,
            }
        } else {
            call.await.expect("a batch")
        };
        for frame in &frames {
            let Frame::XLogData(data) = frame else {
                continue;
            };
            let payload = &buffer[data.payload.as_range()];
            match decoder.decode(payload).expect("a message") {
                Message::Insert(insert) => {
                    let cells: Vec<Cell> = insert.new.cells().collect();
                    let [Cell::Text(id), Cell::Text(text)] = cells[..] else {
                        panic!("two texts");
                    };
                    let id: u64 = std::str::from_utf8(insert.new.bytes(id))
                        .expect("UTF-8")
                        .parse()
                        .expect("a number");
                    if id == 0 {
                        huge = text.len;
                        continue;
                    }
                    assert_eq!(id, next);
                    next += 1;
                    let sliced = buffer.slice(text.within(data.payload.offset));
                    assert_eq!(sliced, vec![b'a' + (id % 26) as u8; 100]);
                    if id.is_multiple_of(5000) {
                        kept.push((sliced, id));
                    }
                }
                Message::Delete(_) => deleted += 1,
                Message::Commit(_) => break 'stream,
                _ => {}
            }
        }
    }
    assert_eq!((next - 1, deleted), (BIG, BIG + 1));
    assert!(huge > 2_000_000, "{huge}");
    // Later batches do not overwrite what was kept of earlier ones.
    for (slice, id) in kept {
        assert_eq!(slice, vec![b'a' + (id % 26) as u8; 100]);
    }
    stream.stop(Duration::from_secs(60)).await.expect("stops");
}

#[tokio::test]
async fn a_big_transaction_arrives_whole_however_it_is_read() {
    let server = Server::shared().await;
    let mut source = Source::new(
        &server,
        "big",
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
    )
    .await;
    let tcp = source.options.clone();
    drain(&mut source, &tcp, false).await;
    drain(&mut source, &tcp, true).await;
    let mut eager = tcp.clone();
    eager.low_water = LowWater::OFF;
    drain(&mut source, &eager, false).await;
    let mut tls = tcp.clone();
    tls.ssl_mode = SslMode::Require;
    drain(&mut source, &tls, true).await;
    let mut unix = server.unix_options();
    unix.database = tcp.database;
    drain(&mut source, &unix, false).await;
}

#[tokio::test]
async fn transactions_in_progress_are_streamed() {
    let server = Server::shared().await;
    let mut source = Source::new(
        &server,
        "in_progress",
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
    )
    .await;
    let mut options = source.options.clone();
    options.options = Some("-c logical_decoding_work_mem=64kB".into());
    let more = [("proto_version", "2"), ("streaming", "on")];
    let mut reader = Reader::new(source.stream_with(&options, &more).await, ProtoVersion::V2);

    sql(&mut source.writer, "BEGIN").await;
    sql(
        &mut source.writer,
        "INSERT INTO t SELECT i, repeat('y', 50) FROM generate_series(1, 5000) i",
    )
    .await;
    sql(
        &mut source.writer,
        "SAVEPOINT s; INSERT INTO t SELECT i, repeat('y', 50) FROM generate_series(5001, 9000) i",
    )
    .await;
    let pieces = reader
        .until(|message| matches!(message, Message::StreamStop))
        .await;
    assert_eq!(pieces[..2], ["StreamStart", "relation public.t(id,v)"]);
    sql(&mut source.writer, "ROLLBACK TO s; COMMIT").await;
    let rest = reader
        .until(|message| matches!(message, Message::StreamCommit(_)))
        .await;
    assert!(rest.contains(&"StreamAbort".to_owned()), "{rest:?}");
    let all = pieces.iter().chain(&rest);
    let inserts = all.filter(|line| line.starts_with("insert")).count();
    assert!((5000..=9000).contains(&inserts), "{inserts}");

    sql(&mut source.writer, "BEGIN").await;
    sql(
        &mut source.writer,
        "INSERT INTO t SELECT i, repeat('y', 50) FROM generate_series(10001, 15000) i",
    )
    .await;
    sql(&mut source.writer, "ROLLBACK").await;
    let aborted = reader
        .until(|message| matches!(message, Message::StreamAbort(_)))
        .await;
    assert_eq!(aborted.last().map(String::as_str), Some("StreamAbort"));
}

#[tokio::test]
async fn prepared_transactions() {
    let server = Server::shared().await;
    let mut source = Source::new(&server, "prepared", "CREATE TABLE t (id int PRIMARY KEY)").await;
    let more = [("proto_version", "3"), ("two_phase", "on")];
    let mut reader = Reader::new(source.stream(&more).await, ProtoVersion::V3);
    for (id, gid, end) in [
        (1, "first", "COMMIT PREPARED"),
        (2, "second", "ROLLBACK PREPARED"),
    ] {
        let prepare = format!("BEGIN; INSERT INTO t VALUES ({id}); PREPARE TRANSACTION '{gid}'");
        sql(&mut source.writer, &prepare).await;
        let seen = reader
            .until(|message| matches!(message, Message::Prepare(_)))
            .await;
        assert_eq!(seen.first(), Some(&format!("begin prepare {gid}")));
        assert_eq!(
            seen[seen.len() - 2..],
            [format!("insert ({id})"), format!("prepare {gid}")]
        );
        sql(&mut source.writer, &format!("{end} '{gid}'")).await;
        let ended = reader
            .until(|m| matches!(m, Message::CommitPrepared(_) | Message::RollbackPrepared(_)))
            .await;
        assert_eq!(ended, [format!("{} {gid}", end.to_lowercase())]);
    }
}

#[tokio::test]
async fn a_missing_publication_ends_the_stream_with_the_servers_error() {
    let server = Server::shared().await;
    let mut source = Source::new(
        &server,
        "unpublished",
        "CREATE TABLE t (id int PRIMARY KEY)",
    )
    .await;
    sql(&mut source.writer, "DROP PUBLICATION unpublished").await;
    let mut reader = Reader::new(source.stream(&[]).await, ProtoVersion::V1);
    sql(&mut source.writer, "INSERT INTO t VALUES (1)").await;
    let deadline = Deadline::seconds(60);
    let error = loop {
        deadline.check("an error");
        match reader.batch().await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.sqlstate(), Some("42704"), "{error}");
    assert!(error.to_string().contains("unpublished"), "{error}");
    let again = reader.batch().await.expect_err("over");
    assert!(matches!(again, ReplicationError::Closed(_)), "{again}");
    let status = reader
        .stream
        .standby_status(Lsn(1), Lsn(1), Lsn(1), false)
        .await;
    assert!(status.is_err());
}

#[tokio::test]
async fn a_timeout_without_data_is_an_empty_batch() {
    let server = Server::shared().await;
    let source = Source::new(&server, "nothing", "CREATE TABLE t (id int PRIMARY KEY)").await;
    let mut stream = source.stream(&[]).await;
    let mut frames = Vec::new();
    let deadline = Deadline::seconds(60);
    loop {
        deadline.check("an empty batch");
        let buffer = stream
            .next_batch(&mut frames, Duration::from_millis(1))
            .await
            .expect("a batch");
        if frames.is_empty() {
            assert!(buffer.is_empty());
            break;
        }
    }
}

#[tokio::test]
async fn a_server_that_goes_away_is_an_error() {
    for (mode, tls) in [("immediate", false), ("immediate", true), ("fast", false)] {
        let server = tokio::task::spawn_blocking(Server::start)
            .await
            .expect("a server");
        let mut source =
            Source::new(&server, "goes_away", "CREATE TABLE t (id int PRIMARY KEY)").await;
        let mut options = source.options.clone();
        options.ssl_mode = if tls {
            SslMode::Require
        } else {
            SslMode::Disable
        };
        let mut stream = source.stream_with(&options, &[]).await;
        sql(
            &mut source.writer,
            "INSERT INTO t SELECT generate_series(1, 10)",
        )
        .await;

        let stopping = tokio::task::spawn_blocking(move || server.stop(mode));
        let deadline = Deadline::seconds(60);
        let mut frames = Vec::new();
        let error = loop {
            deadline.check("the end of the stream");
            match stream.next_batch(&mut frames, TICK).await {
                // A fast shutdown waits until everything that was sent has been confirmed.
                Ok(_) => {
                    for frame in &frames {
                        let received = match frame {
                            Frame::XLogData(data) => data.wal_end,
                            Frame::KeepAlive { wal_end, .. } => *wal_end,
                        };
                        let _ = stream
                            .standby_status(received, received, received, false)
                            .await;
                    }
                }
                Err(error) => break error,
            }
        };
        match &error {
            ReplicationError::Closed(_) | ReplicationError::Io { .. } => {}
            ReplicationError::Server(error) => assert!(error.is_class("57"), "{error}"),
            other => panic!("{other}"),
        }
        stopping.await.expect("stopped");
    }
}
