//! Subscriptions by regular expression, matched by the coordinator (Java: `TopicRegexResolver`, with RE2/J).

use std::collections::BTreeSet;

use milena_protocol::{ByteStr, ErrorCode};
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ast;

use super::GroupError;
use super::topics::Topics;

/// How long the resolved expressions of a group stand before they are resolved again for any reason
/// (Java: `REGEX_BATCH_REFRESH_MIN_INTERVAL_MS`).
pub(super) const REFRESH_INTERVAL_MIN_MS: i64 = 10_000;

/// The memory that a compiled expression may take; one that needs more is refused.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// The most repetitions that RE2/J allows.
const REPETITIONS_MAX: u32 = 1_000;

/// The topics that an expression matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) topics: BTreeSet<ByteStr>,
    /// Of the topics that it was held against.
    pub(super) version: u64,
    pub(super) resolved_at_ms: i64,
}

/// Refuses an expression that cannot be compiled.
pub(super) fn check(expression: &str) -> Result<(), GroupError> {
    compile(expression).map(drop).map_err(|problem| {
        let message =
            format!("SubscribedTopicRegex `{expression}` is not a valid regular expression: {problem}.");
        GroupError::new(ErrorCode::InvalidRegularExpression, message)
    })
}

/// The topics whose whole names match; none if the expression is no expression.
pub(super) fn resolve(expression: &str, topics: &dyn Topics, now_ms: i64) -> Resolved {
    let regex = compile(expression).ok();
    let matches = |name: &ByteStr| regex.as_ref().is_some_and(|regex| regex.is_match(name.as_bytes()));
    Resolved {
        topics: topics.names().into_iter().filter(matches).collect(),
        version: topics.version(),
        resolved_at_ms: now_ms,
    }
}

/// Names of topics are ASCII, and so the tables of Unicode are not needed.
fn compile(expression: &str) -> Result<Regex, &'static str> {
    let parsed = ast::parse::Parser::new().parse(expression).map_err(|error| describe(error.kind()))?;
    ast::visit(&parsed, Repetitions)?;
    RegexBuilder::new(&format!(r"\A(?:{expression})\z"))
        .unicode(false)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => INVALID_REPEAT_COUNT,
            _ => "invalid character class range",
        })
}

const INVALID_REPEAT_COUNT: &str = "invalid repeat count";

/// Looks for too many repetitions.
struct Repetitions;

impl ast::Visitor for Repetitions {
    type Output = ();
    type Err = &'static str;

    fn finish(self) -> Result<(), Self::Err> {
        Ok(())
    }

    fn visit_pre(&mut self, expression: &ast::Ast) -> Result<(), Self::Err> {
        use ast::{RepetitionKind, RepetitionRange};
        let ast::Ast::Repetition(repetition) = expression else { return Ok(()) };
        let RepetitionKind::Range(range) = &repetition.op.kind else { return Ok(()) };
        let (RepetitionRange::Exactly(most)
        | RepetitionRange::AtLeast(most)
        | RepetitionRange::Bounded(_, most)) = range;
        if *most > REPETITIONS_MAX { Err(INVALID_REPEAT_COUNT) } else { Ok(()) }
    }
}

/// In the words of RE2/J.
fn describe(kind: &ast::ErrorKind) -> &'static str {
    use ast::ErrorKind;
    match kind {
        ErrorKind::ClassUnclosed => "missing closing ]",
        ErrorKind::ClassRangeInvalid | ErrorKind::ClassRangeLiteral | ErrorKind::ClassEscapeInvalid => {
            "invalid character class range"
        }
        ErrorKind::EscapeUnexpectedEof => "trailing backslash at end of expression",
        ErrorKind::GroupUnclosed => "missing closing )",
        ErrorKind::GroupUnopened => "regexp/syntax: internal error",
        ErrorKind::GroupNameEmpty
        | ErrorKind::GroupNameInvalid
        | ErrorKind::GroupNameUnexpectedEof
        | ErrorKind::GroupNameDuplicate { .. } => "invalid named capture",
        ErrorKind::NestLimitExceeded(_) => "expression nests too deeply",
        ErrorKind::RepetitionMissing => "missing argument to repetition operator",
        ErrorKind::RepetitionCountInvalid
        | ErrorKind::RepetitionCountDecimalEmpty
        | ErrorKind::RepetitionCountUnclosed => INVALID_REPEAT_COUNT,
        ErrorKind::UnsupportedLookAround
        | ErrorKind::FlagUnrecognized
        | ErrorKind::FlagUnexpectedEof
        | ErrorKind::FlagDanglingNegation
        | ErrorKind::FlagDuplicate { .. }
        | ErrorKind::FlagRepeatedNegation { .. } => "invalid or unsupported Perl syntax",
        _ => "invalid escape sequence",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::consumer::testing::TopicTable;

    fn matching(expression: &str) -> Vec<String> {
        let topics = TopicTable::of(&[("orders", 1), ("orders-eu", 1), ("payments", 1)]);
        resolve(expression, &topics, 0).topics.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn the_whole_name_must_match() {
        assert_eq!(matching("orders"), ["orders"]);
        assert_eq!(matching("orders.*"), ["orders", "orders-eu"]);
        assert_eq!(matching("orders|payments"), ["orders", "payments"]);
        assert_eq!(matching("(?i)PAY.+"), ["payments"]);
        assert_eq!(matching(r"\w+"), ["orders", "payments"]);
        assert!(matching("rder").is_empty());
        assert!(matching("[").is_empty());
    }

    #[test]
    fn what_is_no_expression_is_refused_in_kafkas_words() {
        for (expression, problem) in [
            ("[", "missing closing ]"),
            ("(a", "missing closing )"),
            ("*", "missing argument to repetition operator"),
            ("a\\", "trailing backslash at end of expression"),
        ] {
            let error = check(expression).expect_err("refused");
            assert_eq!(error.code, ErrorCode::InvalidRegularExpression);
            assert_eq!(
                error.message,
                format!("SubscribedTopicRegex `{expression}` is not a valid regular expression: {problem}.")
            );
        }
        assert_eq!(check("(?:a|b)+[0-9]{1,3}"), Ok(()));
    }

    #[test]
    fn an_expression_that_explodes_is_refused() {
        assert!(check("((a{1,1000}){1,1000}){1,1000}").is_err());
    }
}
