//! When a server is there, and that it is gone afterwards, whatever becomes of its owner.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use throwaway_postgres::{Options, Shutdown, StartError, ThrowawayPostgres, Watchdog};

fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the wait between two looks at a condition"
)]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_server_keeps_its_port_over_restart_and_crash_and_is_gone_when_dropped() {
    let mut server = ThrowawayPostgres::start(Options::default()).unwrap();
    let (port, dir) = (server.port(), server.socket_dir().to_owned());
    assert!(answers(port));
    assert!(UnixStream::connect(dir.join(format!(".s.PGSQL.{port}"))).is_ok());

    server.restart().unwrap();
    assert!(answers(port));

    server.stop(Shutdown::Crash).unwrap();
    assert_eq!(server.pid(), None);
    server.start_again().unwrap();
    assert_eq!(server.port(), port);
    assert!(answers(port));
    let log = std::fs::read_to_string(server.log_file()).unwrap();
    assert!(
        log.contains("database system was not properly shut down"),
        "a crash is one: {log}"
    );

    drop(server);
    assert!(!answers(port));
    assert!(!dir.exists());
}

/// Runs twice: as the test, and in a process of its own as the owner that gets killed.
#[test]
fn the_server_and_its_directory_are_gone_after_the_owner_is_killed() {
    const ROLE: &str = "THROWAWAY_POSTGRES_TEST_OWNER";
    const NAME: &str = "the_server_and_its_directory_are_gone_after_the_owner_is_killed";
    if std::env::var_os(ROLE).is_some() {
        let server = ThrowawayPostgres::start(Options::default()).unwrap();
        println!(
            "\nserver {} {}",
            server.port(),
            server.socket_dir().display()
        );
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(ROLE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let line = lines
        .map(Result::unwrap)
        .find(|line| line.starts_with("server "))
        .unwrap();
    let mut words = line.split(' ').skip(1);
    let port: u16 = words.next().unwrap().parse().unwrap();
    let dir = PathBuf::from(words.next().unwrap());
    assert!(answers(port) && dir.exists());

    owner.kill().unwrap();
    owner.wait().unwrap();

    until("the orphaned server ends", || !answers(port));
    until("its directory goes", || !dir.exists());
}

#[test]
fn a_setting_it_refuses_is_in_the_error_and_nothing_stays() {
    let dir = std::env::temp_dir().join(format!("throwaway-pg-refused-{}", std::process::id()));
    let options = Options {
        dir: Some(dir.clone()),
        settings: vec![("wal_level".into(), "everything".into())],
        ..Options::default()
    };
    match ThrowawayPostgres::start(options) {
        Err(StartError::Ended { log }) => assert!(
            log.contains("wal_level") && log.contains("everything"),
            "{log}"
        ),
        other => panic!("expected the server to end, got {other:?}"),
    }
    assert!(!dir.exists());
}

#[test]
fn a_folder_without_the_programs_is_named() {
    let options = Options {
        binaries: Some(PathBuf::from("/usr/share")),
        ..Options::default()
    };
    let error = ThrowawayPostgres::start(options).unwrap_err();
    assert!(
        error.to_string().contains("/usr/share has no initdb"),
        "{error}"
    );
}

#[test]
fn a_watchdog_ends_what_its_owner_did_not_and_removes_the_directory() {
    let dir = std::env::temp_dir().join(format!("throwaway-pg-watchdog-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    let mut watchdog = Watchdog::start("TERM", Some(&dir)).unwrap();
    // `sh -c` so that there is something to tell TERM from KILL by.
    let mut command = Watchdog::command("sh");
    command
        .args([
            "-c",
            "trap 'exit 7' TERM; echo ready; while :; do sleep 0.02; done",
        ])
        .stdout(Stdio::piped());
    let mut child = watchdog.spawn(&mut command).unwrap();
    let mut ready = [0; 6];
    child.stdout.take().unwrap().read_exact(&mut ready).unwrap();
    // Reaps the child as init does for an orphan.
    let reaper = std::thread::spawn(move || child.wait().unwrap());
    drop(watchdog);
    assert_eq!(reaper.join().unwrap().code(), Some(7));
    assert!(!Path::new(&dir).exists());
}
