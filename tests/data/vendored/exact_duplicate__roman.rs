//! Roman numerals from 1 to 3999, strict in both directions.

use std::fmt;
use std::str::FromStr;

const SIGNS: [(u16, &str); 13] = [
    (1000, "M"),
    (900, "CM"),
    (500, "D"),
    (400, "CD"),
    (100, "C"),
    (90, "XC"),
    (50, "L"),
    (40, "XL"),
    (10, "X"),
    (9, "IX"),
    (5, "V"),
    (4, "IV"),
    (1, "I"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Roman(u16);

#[derive(Debug, PartialEq, Eq)]
pub enum RomanError {
    OutOfRange(u16),
    NotCanonical(String),
}

impl fmt::Display for RomanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RomanError::OutOfRange(n) => write!(f, "{n} cannot be written; expected 1 to 3999"),
            RomanError::NotCanonical(text) => write!(f, "{text:?} is not how a Roman would write it"),
        }
    }
}

impl std::error::Error for RomanError {}

impl TryFrom<u16> for Roman {
    type Error = RomanError;

    fn try_from(value: u16) -> Result<Self, Self::Error> {
        if (1..4000).contains(&value) {
            Ok(Roman(value))
        } else {
            Err(RomanError::OutOfRange(value))
        }
    }
}

impl fmt::Display for Roman {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        for (value, sign) in SIGNS {
            while rest >= value {
                f.write_str(sign)?;
                rest -= value;
            }
        }
        Ok(())
    }
}

impl FromStr for Roman {
    type Err = RomanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rest = text;
        let mut total: u16 = 0;
        for (value, sign) in SIGNS {
            while let Some(after) = rest.strip_prefix(sign) {
                total = total.saturating_add(value);
                rest = after;
            }
        }
        match Roman::try_from(total) {
            Ok(roman) if rest.is_empty() && roman.to_string() == text => Ok(roman),
            _ => Err(RomanError::NotCanonical(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back() {
        for n in 1..4000 {
            let written = Roman::try_from(n).unwrap().to_string();
            assert_eq!(written.parse::<Roman>().unwrap().0, n);
        }
    }

    #[test]
    fn sloppy_spelling_is_refused() {
        for text in ["", "IIII", "VX", "IC", "mcm"] {
            assert!(text.parse::<Roman>().is_err(), "{text}");
        }
    }
}
