//! The catalog against Java's and librdkafka's own lists.

use super::*;

struct Javas<'g> {
    name: &'g str,
    roles: Vec<Role>,
    kind: &'g str,
    default: &'g str,
    validator: &'g str,
    importance: Importance,
}

fn javas() -> impl Iterator<Item = Javas<'static>> {
    let lines = include_str!("../golden/kafka.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let columns: Vec<&str> = line.split('|').collect();
        let [name, roles, kind, default, validator, importance] = columns[..] else { panic!("{line}") };
        let role = |letter| match letter {
            'P' => Role::Producer,
            'C' => Role::Consumer,
            'A' => Role::Admin,
            other => panic!("{other}"),
        };
        let importance = match importance {
            "HIGH" => Importance::High,
            "MEDIUM" => Importance::Medium,
            _ => Importance::Low,
        };
        Javas { name, roles: roles.chars().map(role).collect(), kind, default, validator, importance }
    })
}

fn kind_fits(javas: &str, ours: Kind) -> bool {
    match ours {
        Kind::Integer(..) | Kind::IntegerOr(..) => matches!(javas, "INT" | "LONG" | "SHORT"),
        Kind::Decimal(..) => matches!(javas, "DOUBLE" | "LONG"),
        Kind::Boolean => javas == "BOOLEAN",
        Kind::Secret | Kind::Jaas => javas == "PASSWORD",
        Kind::List | Kind::Addresses | Kind::Assignors => javas == "LIST",
        Kind::Class | Kind::Partitioner => javas == "CLASS",
        _ => javas == "STRING",
    }
}

fn same_default(definition: &Definition, javas: &Javas<'_>, role: Role) -> bool {
    let ours = definition.default_for(role);
    match javas.default {
        "null" | "<none>" => ours.is_none(),
        // Java shows lists of classes; ours go by their short names.
        list if list.contains("Assignor") => ours == Some("range,cooperative-sticky"),
        list if list.starts_with('[') => {
            ours.unwrap_or_default() == list.trim_matches(['[', ']']).replace(", ", ",")
        }
        class if class.starts_with("class ") => ours == class.strip_prefix("class "),
        text => ours.is_some_and(|ours| ours.eq_ignore_ascii_case(text)),
    }
}

#[test]
fn every_property_of_javas_clients_is_known_with_its_type_and_defaults() {
    for javas in javas() {
        let (definition, alias) = catalog::find(javas.name).expect(javas.name);
        assert!(alias.is_none(), "{}", javas.name);
        assert!(kind_fits(javas.kind, definition.kind), "{}: {:?}", javas.name, definition.kind);
        assert!(javas.importance <= definition.importance, "{}", javas.name);
        for &role in &javas.roles {
            assert!(definition.clients.contain(role), "{} of {role:?}", javas.name);
            assert!(same_default(definition, &javas, role), "default of {} for {role:?}", javas.name);
        }
    }
}

#[test]
fn every_bound_of_java_is_a_bound_here() {
    let refuses = |javas: &Javas<'_>, value: &str| {
        let kind = catalog::definition(javas.name).kind;
        assert!(!kind.accepts(value), "{} accepts {value}", javas.name);
    };
    let accepts = |javas: &Javas<'_>, value: &str| {
        let kind = catalog::definition(javas.name).kind;
        assert!(kind.accepts(value), "{} refuses {value}", javas.name);
    };
    for javas in javas() {
        let values = javas.validator.trim_start_matches("(case insensitive) ").trim_matches(['[', ']']);
        if let Some((least, rest)) = values.split_once(",...") {
            accepts(&javas, least);
            // Fractions are told by their point.
            if let Ok(least) = least.parse::<i64>() {
                refuses(&javas, &(least - 1).to_string());
            }
            let most = rest.trim_start_matches(',').split(']').next().unwrap_or_default();
            if let Ok(most) = most.parse::<i64>() {
                accepts(&javas, &most.to_string());
                refuses(&javas, &(most + 1).to_string());
            }
        } else if javas.validator.contains('[') && !values.contains("by_duration") {
            values.split(", ").for_each(|value| accepts(&javas, value));
            refuses(&javas, "another");
        } else if javas.validator == "non-empty string" {
            refuses(&javas, "");
        }
        if matches!(javas.kind, "INT" | "LONG" | "SHORT" | "DOUBLE") {
            ["", "ten", "1e400", "NaN", "99999999999999999999"]
                .iter()
                .for_each(|value| refuses(&javas, value));
        }
    }
}

#[test]
fn every_property_of_librdkafka_is_known_and_every_alias_leads_where_it_leads_there() {
    let mut theirs = BTreeSet::new();
    for line in include_str!("../golden/librdkafka.txt").lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('|').collect();
        let (name, clients, alias_of) = (columns[0], columns[1], columns[2]);
        theirs.insert(name);
        let (definition, _) = catalog::find(name).expect(name);
        if !alias_of.is_empty() {
            // Which of the two is the alias differs; that they are one does not.
            let (other, _) = catalog::find(alias_of).expect(alias_of);
            assert_eq!(definition.name, other.name, "{name}");
        }
        let roles: &[Role] = match clients {
            "C" => &[Role::Consumer],
            "P" => &[Role::Producer],
            // In librdkafka both; Java has some of them in one client only.
            _ => &[],
        };
        assert!(roles.iter().all(|role| definition.clients.contain(*role)), "{name}");
    }
    let javas: BTreeSet<&str> = javas().map(|javas| javas.name).collect();
    let nobodys: Vec<&str> =
        catalog::names().filter(|name| !theirs.contains(name) && !javas.contains(name)).collect();
    assert_eq!(nobodys, [""; 0], "invented names");
}

#[test]
fn no_name_is_defined_twice_and_every_default_is_valid() {
    let mut seen = BTreeSet::new();
    catalog::names().for_each(|name| assert!(seen.insert(name), "{name} twice"));
    for definition in catalog::definitions() {
        for role in [Role::Producer, Role::Consumer, Role::Admin] {
            if let Some(default) = definition.default_for(role) {
                assert!(definition.kind.accepts(default), "{} = {default}", definition.name);
            }
        }
        assert!(definition.clients != Clients::ADMIN || definition.name == "bootstrap.controllers");
    }
}

#[test]
fn whatever_may_be_a_password_is_secret() {
    for definition in catalog::definitions() {
        let telltale = ["password", "secret", "passphrase", "jaas", "private.key.pem", "key.pem"];
        let suspicious = telltale.iter().any(|word| definition.name.contains(word));
        assert!(!suspicious || definition.is_secret(), "{}", definition.name);
    }
}
