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
