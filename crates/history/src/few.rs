//! A list that hardly ever has more than one element: it takes no allocation until then.

use std::ops::Deref;
use std::slice;

/// What happened to a record: once, unless something is wrong.
#[derive(Debug, Default)]
pub(crate) enum Few<T> {
    #[default]
    None,
    One(T),
    Many(Vec<T>),
}

impl<T> Few<T> {
    pub(crate) fn push(&mut self, added: T) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(added),
            Self::One(first) => Self::Many(vec![first, added]),
            Self::Many(mut all) => {
                all.push(added);
                Self::Many(all)
            }
        };
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(only) => slice::from_ref(only),
            Self::Many(all) => all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list_in_the_order_of_its_elements() {
        let mut few = Few::default();
        for count in 0..4 {
            assert_eq!(*few, (0..count).collect::<Vec<_>>());
            few.push(count);
        }
    }
}
