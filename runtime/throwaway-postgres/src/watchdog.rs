use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Reads pids until end of file, which comes when the owner drops the pipe or dies. Then ends the last process named
/// (0: none), by force after about 5 s, and removes the directory.
const GUARD: &str = r#"
trap '' INT TERM HUP
pid=0
while read -r line; do pid=$line; done
if [ "$pid" != 0 ] && kill -s "$1" "$pid" 2>/dev/null; then
  tries=100
  while [ "$tries" -gt 0 ] && kill -s 0 "$pid" 2>/dev/null; do tries=$((tries - 1)); sleep 0.05; done
  kill -s KILL "$pid" 2>/dev/null
fi
[ -z "$2" ] || rm -rf -- "$2"
"#;

/// Waits for one line, so that the guard knows the pid before the program runs; no line, no program.
const GATE: &str = r#"read -r go || exit 1; exec "$@" </dev/null"#;

/// Ends one child process, and removes its directory, once the process that owns this value is gone, also when that was
/// killed with SIGKILL and could not clean up.
///
/// It is a `sh` in a process group of its own that waits on a pipe whose other end only the owner holds. A child
/// is started through [`command`](Watchdog::command) and [`spawn`](Watchdog::spawn), which let it run only after the watchdog knows it, so there
/// is no moment in which it could be left behind. One watchdog guards one child at a time.
#[derive(Debug)]
pub struct Watchdog {
    guard: Child,
    pipe: Option<ChildStdin>,
}

impl Watchdog {
    /// `signal` (`"QUIT"`, `"KILL"`, ...) is what the orphaned child gets; `dir` is removed after it.
    ///
    /// # Errors
    /// When `sh` cannot be started.
    pub fn start(signal: &str, dir: Option<&Path>) -> io::Result<Self> {
        let mut guard = Command::new("sh")
            .args([
                OsStr::new("-c"),
                OsStr::new(GUARD),
                OsStr::new("watchdog"),
                OsStr::new(signal),
            ])
            .arg(dir.map_or(OsStr::new(""), Path::as_os_str))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pipe = guard.stdin.take();
        Ok(Watchdog { guard, pipe })
    }

    /// A command that runs `program` with the arguments added to it, in a process group of its own, so that Ctrl-C in the owner's
    /// terminal does not reach it. Set its environment, directory, output and user, then pass it to [`spawn`](Watchdog::spawn).
    #[must_use]
    pub fn command(program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", GATE, "gate"])
            .arg(program)
            .process_group(0);
        command
    }

    /// Starts `command`, made by [`command`](Watchdog::command), and guards it from its first instruction on.
    ///
    /// # Errors
    /// When the process cannot be started or the watchdog itself was killed.
    pub fn spawn(&mut self, command: &mut Command) -> io::Result<Child> {
        let mut child = command.stdin(Stdio::piped()).spawn()?;
        let guarded = self
            .tell(child.id())
            .and_then(|()| match child.stdin.take() {
                Some(mut gate) => gate.write_all(b"go\n"),
                None => Err(io::ErrorKind::BrokenPipe.into()),
            });
        if let Err(error) = guarded {
            // Not started yet: the closed gate ends it, this only reaps it.
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
        Ok(child)
    }

    /// The child has ended and was waited for: its pid may soon be another's.
    pub fn forget(&mut self) {
        // A dead watchdog has nothing to forget.
        let _ = self.tell(0);
    }

    fn tell(&mut self, pid: u32) -> io::Result<()> {
        let pipe = self.pipe.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        pipe.write_all(format!("{pid}\n").as_bytes())
    }
}

impl Drop for Watchdog {
    /// Ends the guarded child, unless forgotten, and removes the directory.
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.guard.wait();
    }
}

/// Sends `signal` (`"TERM"`, `"STOP"`, ...) to the process `pid`, which must be a child not yet waited for.
///
/// std has only SIGKILL; the shell's own `kill` is there even where no package brings the program.
///
/// # Errors
/// When there is no such process.
pub fn send_signal(pid: u32, signal: &str) -> io::Result<()> {
    let status = Command::new("sh")
        .args([
            "-c",
            r#"kill -s "$1" "$2""#,
            "kill",
            signal,
            &pid.to_string(),
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("no process {pid} to send SIG{signal} to"),
        ))
    }
}
