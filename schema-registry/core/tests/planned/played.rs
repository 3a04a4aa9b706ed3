use registry_core::{Answer, Body, Command, Plan, Registry, RegistryError, Settings};

/// Status and body.
pub(crate) fn text(answer: Result<Answer, RegistryError>) -> (u16, String) {
    match answer {
        Ok(Answer {
            status,
            body: Body::Text(text),
        }) => (status, text),
        Ok(Answer { status, .. }) => (status, String::new()),
        Err(error) => (error.status(), error.body()),
    }
}

/// A registry, and the keys of the records that the last command wrote.
pub(crate) struct Played {
    pub(crate) registry: Registry,
    pub(crate) keys: Vec<String>,
}

impl Played {
    pub(crate) fn new() -> Self {
        Self {
            registry: Registry::new(Settings::default()),
            keys: Vec::new(),
        }
    }

    pub(crate) fn change(&mut self, command: &Command) -> (u16, String) {
        self.keys.clear();
        text(match self.registry.plan(command) {
            Ok(Plan::Answer(answer)) => Ok(answer),
            Ok(Plan::Write(writes, pending)) => {
                for write in &writes {
                    let value = write.value.as_deref().map(str::as_bytes);
                    let applied = self.registry.apply(Some(write.key.as_bytes()), value, 0, 5);
                    assert_eq!(applied.skipped, None);
                }
                self.keys = writes.into_iter().map(|w| w.key).collect();
                pending.answer(&self.registry)
            }
            Err(error) => Err(error),
        })
    }
}
