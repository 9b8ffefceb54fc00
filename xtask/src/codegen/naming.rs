//! Rust names for Kafka's.

/// `ThrottleTimeMs` becomes `throttle_time_ms`; a Rust keyword gets an underscore behind it.
pub(crate) fn snake(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (index, character) in characters.iter().enumerate() {
        let after_lower = index > 0 && !characters[index - 1].is_uppercase();
        let before_lower = index > 0 && characters.get(index + 1).is_some_and(|next| next.is_lowercase());
        if character.is_uppercase() && (after_lower || before_lower) {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    if matches!(snake.as_str(), "type" | "match") { snake + "_" } else { snake }
}

/// `ThrottleTimeMs` becomes `throttleTimeMs`, as Java has it.
pub(crate) fn camel(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

/// `FetchRequest` lives in `fetch_request.rs`.
pub(crate) fn file(message: &str) -> String {
    format!("{}.rs", snake(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_rust() {
        let names = ["ThrottleTimeMs", "V3AndBelowTopics", "KRaftVersion", "Type", "timeoutMs"];
        assert_eq!(
            names.map(snake),
            ["throttle_time_ms", "v3_and_below_topics", "k_raft_version", "type_", "timeout_ms"]
        );
        assert_eq!(camel("ThrottleTimeMs"), "throttleTimeMs");
        assert_eq!(file("FetchRequest"), "fetch_request.rs");
    }
}
