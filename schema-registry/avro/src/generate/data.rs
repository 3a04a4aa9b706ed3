//! Data of a schema.

use super::Generator;
use crate::datum::Datum;
use crate::schema::{AvroSchema, Kind, TypeId};

impl Generator {
    /// A value of a schema's type; `None` where every value nests too deeply.
    pub fn datum(&mut self, schema: &AvroSchema, of: TypeId) -> Option<Datum> {
        self.datum_within(schema, of, 12)
    }

    fn datum_within(&mut self, schema: &AvroSchema, of: TypeId, depth: usize) -> Option<Datum> {
        if depth == 0 {
            return None;
        }
        let depth = depth - 1;
        Some(match &schema.get(of).kind {
            Kind::Null => Datum::Null,
            Kind::Boolean => Datum::Boolean(self.one_in(2)),
            Kind::Int => {
                let shift = self.below(32);
                Datum::Int(self.next_u64() as i32 >> shift)
            }
            Kind::Long => {
                let shift = self.below(64);
                Datum::Long(self.next_u64() as i64 >> shift)
            }
            Kind::Float => Datum::Float(self.below(1000) as f32 / 8.0 - 50.0),
            Kind::Double => Datum::Double(self.below(1_000_000) as f64 / 64.0 - 1000.0),
            Kind::Bytes => {
                let length = self.below(20);
                Datum::Bytes(self.bytes(length))
            }
            Kind::String => {
                let length = self.below(12);
                Datum::String(
                    (0..length)
                        .map(|_| self.pick(&['a', 'é', '€', '𝒜', ' ']))
                        .collect(),
                )
            }
            Kind::Fixed(fixed) => Datum::Fixed(self.bytes(fixed.size)),
            Kind::Enum(of) => Datum::Enum(self.below(of.symbols.len())),
            Kind::Array(item) => {
                let count = self.below(3);
                Datum::Array(
                    (0..count)
                        .filter_map(|_| self.datum_within(schema, *item, depth))
                        .collect(),
                )
            }
            Kind::Map(value) => {
                let count = self.below(3);
                Datum::Map(
                    (0..count)
                        .filter_map(|at| {
                            let value = self.datum_within(schema, *value, depth)?;
                            Some((format!("k{at}"), value))
                        })
                        .collect(),
                )
            }
            Kind::Union(branches) => {
                if branches.is_empty() {
                    return None;
                }
                // From a random branch on, the first that has a value.
                let first = self.below(branches.len());
                (0..branches.len()).find_map(|i| {
                    let at = (first + i) % branches.len();
                    let value = self.datum_within(schema, branches[at], depth)?;
                    Some(Datum::Union(at, Box::new(value)))
                })?
            }
            Kind::Record(record) => Datum::Record(
                record
                    .fields
                    .iter()
                    .map(|field| self.datum_within(schema, field.schema, depth))
                    .collect::<Option<_>>()?,
            ),
        })
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next_u64() as u8).collect()
    }
}
