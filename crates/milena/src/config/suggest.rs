//! The valid name nearest to a mistaken one.

use super::catalog;

/// The property that was probably meant by `key`, if any is near.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    let key = Normalized::new(key);
    let scored = catalog::names().map(|name| (distance(&key, &Normalized::new(name)), name));
    let (distance, name) = scored.min_by_key(|&(distance, name)| (distance, name.len(), name))?;
    (distance <= (name.len() / 3).max(2)).then_some(name)
}

/// A name as words: `batch_size`, `batch-size` and `batchSize` are `batch.size`.
struct Normalized {
    text: Vec<char>,
    /// The words in alphabetical order, for those who know all of them but not their order.
    sorted: Vec<char>,
}

impl Normalized {
    fn new(name: &str) -> Self {
        let mut text = String::new();
        for c in name.trim().chars() {
            match c {
                '_' | '-' => text.push('.'),
                c if c.is_uppercase() && text.ends_with(char::is_lowercase) => {
                    text.push('.');
                    text.extend(c.to_lowercase());
                }
                c => text.extend(c.to_lowercase()),
            }
        }
        let mut words: Vec<&str> = text.split('.').collect();
        words.sort_unstable();
        let sorted = words.join(".").chars().collect();
        Self { text: text.chars().collect(), sorted }
    }
}

fn distance(key: &Normalized, name: &Normalized) -> usize {
    let part = |whole: &[char], part: &[char]| {
        let begins = whole.strip_prefix(part).is_some_and(|rest| rest.starts_with(&['.']));
        let ends = whole.strip_suffix(part).is_some_and(|rest| rest.ends_with(&['.']));
        (begins || ends) && part.len() > 2
    };
    if part(&name.text, &key.text) {
        return 2;
    }
    edits(&key.text, &name.text).min(edits(&key.sorted, &name.sorted) + 1)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b`.
fn edits(a: &[char], b: &[char]) -> usize {
    // Row i holds the distances of a[..i] to every b[..j]; two rows back is needed for swaps.
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = previous[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(previous[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut previous, row);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_traced_to_what_was_meant() {
        let mistakes = [
            ("linger", "linger.ms"),
            ("linger_ms", "linger.ms"),
            ("lingerMs", "linger.ms"),
            ("Linger.Ms", "linger.ms"),
            ("bootstrap.server", "bootstrap.servers"),
            ("boostrap.servers", "bootstrap.servers"),
            ("bootstrap-servers", "bootstrap.servers"),
            ("max.fetch.wait.ms", "fetch.max.wait.ms"),
            ("enable.idempotance", "enable.idempotence"),
            ("idempotence", "enable.idempotence"),
            ("comression.type", "compression.type"),
            ("compression", "compression.type"),
            ("ack", "acks"),
            ("auto.offset.rest", "auto.offset.reset"),
            ("sasl.pasword", "sasl.password"),
            ("metadata.brokers.list", "metadata.broker.list"),
        ];
        for (mistake, meant) in mistakes {
            assert_eq!(nearest(mistake), Some(meant), "{mistake}");
        }
    }

    #[test]
    fn what_resembles_nothing_is_not_forced_on_anything() {
        for key in ["", "foo", "completely.different.words", "x"] {
            assert_eq!(nearest(key), None, "{key}");
        }
    }

    #[test]
    fn edits_count_swaps_of_neighbours_as_one() {
        let edits =
            |a: &str, b: &str| super::edits(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", ""), 3);
        assert_eq!(edits("acks", "akcs"), 1);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("same", "same"), 0);
    }
}
