use super::page::Window;
use crate::name::DEFAULT_CONTEXT;
use crate::registry::Registry;
use crate::render::write_texts;
use crate::{Answer, Page, RegistryError};

/// `GET /contexts`
pub(super) fn list(
    registry: &Registry,
    prefix: Option<&str>,
    page: Page,
) -> Result<Answer, RegistryError> {
    let window = Window::new(page, registry.settings().context_limits)?;
    let state = registry.state();
    let all = std::iter::once(DEFAULT_CONTEXT)
        .chain(state.known_contexts.keys().map(|context| &**context))
        .filter(|context| prefix.is_none_or(|prefix| context.starts_with(prefix)));
    let mut out = String::new();
    write_texts(window.cut(all), &mut out);
    Ok(Answer::ok(out))
}
