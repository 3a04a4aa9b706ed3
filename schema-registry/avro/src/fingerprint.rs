//! The Parsing Canonical Form of the Avro specification, as Java builds it, and fingerprints of it.

use std::collections::HashSet;

use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::schema::{AvroSchema, Field, Kind, TypeId};

/// The fingerprint of no bytes.
const EMPTY: u64 = 0xc15d_213a_a4d7_a795;

const TABLE: [u64; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut value = at as u64;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (EMPTY & (value & 1).wrapping_neg());
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
};

/// CRC-64-AVRO of bytes, which the specification calls a Rabin fingerprint.
pub fn rabin(bytes: &[u8]) -> u64 {
    bytes.iter().fold(EMPTY, |value, byte| {
        (value >> 8) ^ TABLE[((value ^ u64::from(*byte)) & 0xff) as usize]
    })
}

enum Task<'a> {
    Type(TypeId),
    Field(&'a [Field], usize),
    Text(&'static str),
}

impl AvroSchema {
    /// The Parsing Canonical Form: names in full, nothing but what the bytes depend on. Nothing is escaped, as in Java.
    pub fn parsing_form(&self) -> String {
        let mut out = String::new();
        let mut seen = HashSet::new();
        let mut open = vec![Task::Type(self.root)];
        while let Some(task) = open.pop() {
            match task {
                Task::Text(text) => out.push_str(text),
                Task::Field(fields, at) => {
                    if at > 0 {
                        out.push(',');
                    }
                    out.push_str("{\"name\":\"");
                    out.push_str(&fields[at].name);
                    out.push_str("\",\"type\":");
                    if at + 1 < fields.len() {
                        open.push(Task::Field(fields, at + 1));
                    }
                    open.push(Task::Text("}"));
                    open.push(Task::Type(fields[at].schema));
                }
                Task::Type(id) => {
                    let kind = &self.get(id).kind;
                    if let Some(name) = kind.named() {
                        let name = name.full();
                        let quoted = format!("\"{name}\"");
                        if !seen.insert(name) {
                            out.push_str(&quoted);
                            continue;
                        }
                        out.push_str("{\"name\":");
                        out.push_str(&quoted);
                        out.push_str(",\"type\":\"");
                        out.push_str(kind.name());
                        out.push('"');
                    }
                    match kind {
                        Kind::Record(record) => {
                            out.push_str(",\"fields\":[");
                            open.push(Task::Text("]}"));
                            if !record.fields.is_empty() {
                                open.push(Task::Field(&record.fields, 0));
                            }
                        }
                        Kind::Enum(of) => {
                            out.push_str(",\"symbols\":[");
                            for (at, symbol) in of.symbols.iter().enumerate() {
                                out.push_str(if at > 0 { ",\"" } else { "\"" });
                                out.push_str(symbol);
                                out.push('"');
                            }
                            out.push_str("]}");
                        }
                        Kind::Fixed(of) => {
                            out.push_str(",\"size\":");
                            out.push_str(&of.size.to_string());
                            out.push('}');
                        }
                        Kind::Array(inner) => {
                            out.push_str("{\"type\":\"array\",\"items\":");
                            open.push(Task::Text("}"));
                            open.push(Task::Type(*inner));
                        }
                        Kind::Map(inner) => {
                            out.push_str("{\"type\":\"map\",\"values\":");
                            open.push(Task::Text("}"));
                            open.push(Task::Type(*inner));
                        }
                        Kind::Union(branches) => {
                            out.push('[');
                            open.push(Task::Text("]"));
                            for (at, branch) in branches.iter().enumerate().rev() {
                                open.push(Task::Type(*branch));
                                if at > 0 {
                                    open.push(Task::Text(","));
                                }
                            }
                        }
                        kind => {
                            out.push('"');
                            out.push_str(kind.name());
                            out.push('"');
                        }
                    }
                }
            }
        }
        out
    }

    /// CRC-64-AVRO of the parsing form. Single-object encoding writes it little-endian.
    pub fn fingerprint_rabin(&self) -> u64 {
        rabin(self.parsing_form().as_bytes())
    }

    /// MD5 of the parsing form.
    pub fn fingerprint_md5(&self) -> [u8; 16] {
        Md5::digest(self.parsing_form().as_bytes()).into()
    }

    /// SHA-256 of the parsing form.
    pub fn fingerprint_sha256(&self) -> [u8; 32] {
        Sha256::digest(self.parsing_form().as_bytes()).into()
    }
}
