//! Numbers: limits by value, `multipleOf` exactly.

use java_idioms::Number;
use num_bigint::BigInt;

use super::Comparison;
use super::change::Change;
use super::outcome::{Outcome, Step};
use crate::model::NumberKind;

/// Powers of ten beyond which two denominators are not compared exactly.
const MAX_SCALE: i64 = 400;

impl Comparison<'_> {
    pub(super) fn numbers(&self, outcome: &mut Outcome, old: &NumberKind, new: &NumberKind) {
        bound(
            outcome,
            "maximum",
            [&old.maximum, &new.maximum],
            [
                Some(Change::MaximumAdded),
                None,
                Some(Change::MaximumDecreased),
            ],
        );
        bound(
            outcome,
            "minimum",
            [&old.minimum, &new.minimum],
            [
                Some(Change::MinimumAdded),
                Some(Change::MinimumIncreased),
                None,
            ],
        );
        bound(
            outcome,
            "exclusiveMaximum",
            [&old.exclusive_maximum, &new.exclusive_maximum],
            [
                Some(Change::ExclusiveMaximumAdded),
                None,
                Some(Change::ExclusiveMaximumDecreased),
            ],
        );
        bound(
            outcome,
            "exclusiveMinimum",
            [&old.exclusive_minimum, &new.exclusive_minimum],
            [
                Some(Change::ExclusiveMinimumAdded),
                Some(Change::ExclusiveMinimumIncreased),
                None,
            ],
        );
        let change = match (&old.multiple_of, &new.multiple_of) {
            (None, Some(_)) => Some(Change::MultipleOfAdded),
            (Some(old), Some(new)) => multiple(old, new),
            _ => None,
        };
        if let Some(change) = change {
            outcome.push(Step::Keyword("multipleOf"), change);
        }
        if new.integer && !old.integer {
            outcome.push(Step::Here, Change::TypeNarrowed);
        }
    }
}

fn bound(
    outcome: &mut Outcome,
    keyword: &'static str,
    [old, new]: [&Option<Number>; 2],
    [added, increased, decreased]: [Option<Change>; 3],
) {
    let change = match (old, new) {
        (None, Some(_)) => added,
        (Some(old), Some(new)) if old.as_f64() < new.as_f64() => increased,
        (Some(old), Some(new)) if old.as_f64() > new.as_f64() => decreased,
        _ => None,
    };
    if let Some(change) = change {
        outcome.push(Step::Keyword(keyword), change);
    }
}

/// Whether `value` is a multiple of `of`: exactly, where the numbers are not absurdly large or small.
pub(crate) fn is_multiple(value: &Number, of: &Number) -> bool {
    let (Some(value_digits), Some(of_digits)) = (decimal(value), decimal(of)) else {
        return value.as_f64() % of.as_f64() == 0.0;
    };
    let scale = value_digits.1.max(of_digits.1);
    let of = scaled(of_digits, scale);
    of != BigInt::ZERO && scaled(value_digits, scale) % of == BigInt::ZERO
}

fn scaled((digits, own): (BigInt, i64), scale: i64) -> BigInt {
    digits * BigInt::from(10).pow((scale - own) as u32)
}

/// How a denominator changed, where that is incompatible.
fn multiple(old: &Number, new: &Number) -> Option<Change> {
    let (Some(old), Some(new)) = (decimal(old), decimal(new)) else {
        return (old != new).then_some(Change::MultipleOfChanged);
    };
    // To one scale, so that the remainders are those of integers.
    let scale = old.1.max(new.1);
    let (old, new) = (scaled(old, scale), scaled(new, scale));
    let zero = BigInt::ZERO;
    if old == new {
        None
    } else if old != zero && &new % &old == zero {
        Some(Change::MultipleOfExpanded)
    } else if new != zero && &old % &new == zero {
        None
    } else {
        Some(Change::MultipleOfChanged)
    }
}

/// Digits and scale; `None` for a number too large or small to be worth it.
fn decimal(number: &Number) -> Option<(BigInt, i64)> {
    let literal = number.literal();
    let (mantissa, exponent) = match literal.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (literal, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let scale = (fraction.len() as i64).checked_sub(exponent)?;
    if scale.abs() > MAX_SCALE || mantissa.len() > MAX_SCALE as usize {
        return None;
    }
    let digits: BigInt = format!("{whole}{fraction}").parse().ok()?;
    Some((digits, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_are_exact() {
        let change = |old: &str, new: &str| {
            multiple(
                &Number::parse(old).expect("a number"),
                &Number::parse(new).expect("a number"),
            )
        };
        assert_eq!(change("2", "4"), Some(Change::MultipleOfExpanded));
        assert_eq!(change("4", "2"), None);
        assert_eq!(change("2", "2.0"), None);
        assert_eq!(change("2", "3"), Some(Change::MultipleOfChanged));
        assert_eq!(change("0.01", "0.1"), Some(Change::MultipleOfExpanded));
        assert_eq!(change("0.1", "1e-2"), None);
        assert_eq!(change("0.5", "0"), Some(Change::MultipleOfExpanded));
        assert_eq!(
            change("1e999999999999", "1"),
            Some(Change::MultipleOfChanged)
        );
    }
}
