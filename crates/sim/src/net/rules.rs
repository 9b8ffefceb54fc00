//! What goes wrong for as long as it lasts. Pure.

use std::time::Duration;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From client to node.
    Up,
    /// From node to client.
    Down,
}

/// Between whom; what is not said matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) client: Option<String>,
    pub(crate) node: Option<i32>,
}

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// They do not arrive as long as this lasts; neither do attempts to connect.
    Silence(Option<Direction>),
    /// They take so much longer.
    Delay(Duration),
    /// Only so many pass in a second.
    Slow { bytes_per_second: u64 },
    /// Attempts to connect are refused.
    Refuse,
}

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) scope: Scope,
    pub(crate) effect: Effect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuleId(u64);

/// All rules that are in force.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<(RuleId, Rule, u64)>,
    next_id: u64,
}

/// What the rules say of bytes that are being sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passage {
    pub(crate) delay: Duration,
    pub(crate) bytes_per_second: Option<u64>,
}

impl Scope {
    pub(crate) fn matches(&self, client: &str, node: i32) -> bool {
        self.client.as_deref().is_none_or(|wanted| wanted == client)
            && self.node.is_none_or(|wanted| wanted == node)
    }
}

impl Rules {
    pub(crate) fn add(&mut self, rule: Rule) -> RuleId {
        let id = RuleId(self.next_id);
        self.next_id += 1;
        self.rules.push((id, rule, 0));
        id
    }

    /// Returns how often the rule took effect.
    pub(crate) fn remove(&mut self, id: RuleId) -> u64 {
        let at = self.rules.iter().position(|(own, ..)| *own == id);
        at.map_or(0, |at| self.rules.remove(at).2)
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn refuses(&mut self, client: &str, node: i32) -> bool {
        self.any(client, node, |effect| effect == Effect::Refuse)
    }

    /// Whether attempts to connect are swallowed.
    pub(crate) fn is_silent(&mut self, client: &str, node: i32) -> bool {
        self.any(client, node, |effect| matches!(effect, Effect::Silence(_)))
    }

    /// Whether bytes that should arrive now are held back.
    pub(crate) fn holds(&mut self, client: &str, node: i32, direction: Direction) -> bool {
        if self.rules.is_empty() {
            return false;
        }
        self.any(
            client,
            node,
            |effect| matches!(effect, Effect::Silence(which) if which.is_none_or(|which| which == direction)),
        )
    }

    pub(crate) fn passage(&mut self, client: &str, node: i32) -> Passage {
        let mut passage = Passage::default();
        for (_, rule, fired) in self.rules.iter_mut().filter(|(_, rule, _)| rule.scope.matches(client, node))
        {
            match rule.effect {
                Effect::Delay(delay) => passage.delay += delay,
                Effect::Slow { bytes_per_second } => {
                    let slowest =
                        passage.bytes_per_second.map_or(bytes_per_second, |rate| rate.min(bytes_per_second));
                    passage.bytes_per_second = Some(slowest);
                }
                Effect::Silence(_) | Effect::Refuse => continue,
            }
            *fired += 1;
        }
        passage
    }

    fn any(&mut self, client: &str, node: i32, is_it: impl Fn(Effect) -> bool) -> bool {
        let mut found = false;
        for (_, rule, fired) in &mut self.rules {
            if is_it(rule.effect) && rule.scope.matches(client, node) {
                *fired += 1;
                found = true;
            }
        }
        found
    }
}
