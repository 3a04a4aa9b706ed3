//! Changes: what they answer, or which records they write.

mod association;
mod config;
mod context;
mod delete;
mod mode;
mod pending;
mod register;
mod reservation;
mod store_errors;
mod tags;

pub use pending::{Pending, Plan};
pub(crate) use reservation::Reservations;
pub use store_errors::StoreErrors;

pub(crate) use config::get as get_config;
pub(crate) use delete::referrers;
pub(crate) use mode::get as get_mode;

use pending::Draft as PendingDraft;

use crate::name::{SubjectName, context_prefix};
use crate::registry::Registry;
use crate::state::State;
use crate::{Answer, Command, RegistryError, TopicWrite};

/// What a change comes to, before it is given out.
type Outcome = Result<Plan, RegistryError>;

/// Plans a change.
pub(crate) fn plan(registry: &Registry, command: &Command) -> Outcome {
    match command {
        Command::Register {
            subject,
            body,
            flags,
        } => {
            register::Registration::read(registry, subject, body.as_deref(), flags)?.plan(registry)
        }
        Command::ModifyTags {
            subject,
            version,
            body,
        } => tags::plan(registry, subject, version, body.as_deref()),
        Command::DeleteSubject { subject, flags } => {
            delete::subject(registry, subject, flags.permanent)
        }
        Command::DeleteVersion {
            subject,
            version,
            flags,
        } => delete::version(registry, subject, version, flags.permanent),
        Command::DeleteContext { context } => context::delete(registry, context),
        Command::PutConfig { subject, body } => {
            config::put(registry, subject.as_deref(), body.as_deref())
        }
        Command::DeleteConfig { subject } => config::delete(registry, subject.as_deref()),
        Command::PutMode {
            subject,
            body,
            flags,
        } => mode::put(registry, subject.as_deref(), body.as_deref(), flags.force),
        Command::DeleteMode { subject, flags } => {
            mode::delete(registry, subject.as_deref(), flags.recursive)
        }
        Command::InContext {
            context,
            dry_run,
            command,
        } => association(
            registry,
            command,
            association::Options {
                context: context.clone(),
                dry_run: *dry_run,
            },
        ),
        other => association(registry, other, association::Options::default()),
    }
}

fn association(registry: &Registry, command: &Command, options: association::Options) -> Outcome {
    if !registry.settings().associations
        || registry.settings().personality < crate::Personality::V8_3
    {
        return Err(RegistryError::http_not_found());
    }
    match command {
        Command::PostAssociations { body } => {
            association::create(registry, body.as_deref(), options)
        }
        Command::PutAssociations { id, body } => {
            association::put(registry, id, body.as_deref(), options)
        }
        Command::DeleteAssociations { id, query } => association::delete(registry, id, query),
        Command::MutateAssociations { body } => {
            association::batch(registry, body.as_deref(), options)
        }
        // Nothing else has such parameters.
        other => plan(registry, other),
    }
}

/// Answers without the leader what any node can answer: wrong requests, and schemas that are registered already.
pub(crate) fn answer_locally(
    registry: &Registry,
    command: &Command,
) -> Option<Result<Answer, RegistryError>> {
    match command {
        Command::Register {
            subject,
            body,
            flags,
        } => match register::Registration::read(registry, subject, body.as_deref(), flags) {
            Err(error) => Some(Err(error)),
            Ok(registration) => registration.answer_locally(registry),
        },
        Command::ModifyTags {
            subject,
            version,
            body,
        } => tags::check(registry, subject, version, body.as_deref())
            .err()
            .map(Err),
        Command::DeleteVersion { version, .. } => crate::version::parse(version).err().map(Err),
        Command::PutConfig { subject, body } => {
            config::check(registry, subject.as_deref(), body.as_deref())
                .err()
                .map(Err)
        }
        Command::PutMode { subject, body, .. } => {
            mode::check(registry, subject.as_deref(), body.as_deref())
                .err()
                .map(Err)
        }
        _ => None,
    }
}

/// The subject of a configuration or mode: `None` for the default context, which is the global record.
fn scope(subject: Option<&str>) -> Option<SubjectName> {
    subject
        .map(SubjectName::parse)
        .filter(|name| !(name.is_default_context() && name.is_context()))
}

fn show(subject: Option<&SubjectName>) -> String {
    subject.map_or_else(|| "null".to_owned(), ToString::to_string)
}

/// The subject a path means, aliases applied.
pub(crate) fn aliased(registry: &Registry, subject: &str) -> SubjectName {
    let alias = registry.state().resolve_alias(subject);
    alias.unwrap_or_else(|| SubjectName::parse(subject))
}

/// `Subject s in context :.c: is …`
fn not_permitted(registry: &Registry, subject: Option<&SubjectName>, what: &str) -> RegistryError {
    let name = show(subject);
    RegistryError::not_permitted(
        if registry.settings().personality > crate::Personality::V7_9 {
            let context = subject
                .map(|s| context_prefix(&s.context))
                .unwrap_or_default();
            format!("Subject {name} in context {context} is {what}")
        } else {
            format!("Subject {name} is {what}")
        },
    )
}

fn check_writable(
    registry: &Registry,
    state: &State,
    subject: Option<&SubjectName>,
) -> Result<(), RegistryError> {
    if state.mode_in_scope(subject).is_read_only() {
        return Err(not_permitted(registry, subject, "in read-only mode"));
    }
    Ok(())
}

fn tombstone(key: String) -> TopicWrite {
    TopicWrite { key, value: None }
}
