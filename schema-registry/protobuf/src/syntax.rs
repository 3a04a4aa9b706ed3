//! The parser of `.proto` texts. It takes what the parser of the original takes and refuses what that refuses, also where both differ from `protoc`.

mod options;
mod parser;
mod reader;

pub(crate) use parser::parse;

/// How deep messages, option values and map types may be nested. `protoc` and the generated parsers of descriptors stop at 100 as well.
pub(crate) const MAX_DEPTH: usize = 100;

#[cfg(test)]
mod tests;
