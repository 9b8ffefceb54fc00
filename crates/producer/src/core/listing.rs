//! Where a partition stands on the lists of its leader's sender.
//!
//! The words that the drivers use: a partition is *in line* while it is on one of the sender's lists of those that have something to
//! send (`ready`, `backing_off`, `without_identity`), and it *lingers* while it is on the list of open batches. Its *stay* with a sender
//! lasts from one change of its leader to the next.

/// On which lists a partition is: at most once in line, and at most once among those that linger.
///
/// ```text
///                 linger
///     Nowhere ───────────────▶ Lingering
///      │  ▲   ◀───────────────   │  ▲
///      │  │       end_linger     │  │
/// join │  │ leave           join │  │ leave
///      ▼  │       linger         ▼  │
///      InLine ───────────────▶ InLineAndLingering
///             ◀───────────────
///                 end_linger
///
///     move_on: from anywhere to Nowhere, in the next stay
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listed {
    Nowhere,
    Lingering,
    InLine,
    InLineAndLingering,
}

/// Names a partition's stay with one sender. Entries of an earlier stay are left where they are, and passed over: a leader that goes
/// and comes back would otherwise find the partition on its lists twice, and two batches of it in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stay(u64);

/// A partition's listing, kept under its lock.
#[derive(Debug)]
pub(crate) struct Listing {
    stay: Stay,
    listed: Listed,
}

impl Listing {
    pub(crate) fn new() -> Self {
        Self { stay: Stay(0), listed: Listed::Nowhere }
    }

    /// Joins the line; what to put on the list, or `None` if it is in line already.
    pub(crate) fn join_line(&mut self) -> Option<Stay> {
        self.listed = match self.listed {
            Listed::Nowhere => Listed::InLine,
            Listed::Lingering => Listed::InLineAndLingering,
            Listed::InLine | Listed::InLineAndLingering => return None,
        };
        Some(self.stay)
    }

    /// An entry was taken out of the line. False if it was of an earlier stay, and counts for nothing.
    pub(crate) fn leave_line(&mut self, entry: Stay) -> bool {
        if !self.is_current(entry) {
            return false;
        }
        self.listed = match self.listed {
            Listed::InLine => Listed::Nowhere,
            Listed::InLineAndLingering => Listed::Lingering,
            Listed::Nowhere | Listed::Lingering => return false,
        };
        true
    }

    /// Begins to linger; what to put on the list, or `None` if it lingers already.
    pub(crate) fn linger(&mut self) -> Option<Stay> {
        self.listed = match self.listed {
            Listed::Nowhere => Listed::Lingering,
            Listed::InLine => Listed::InLineAndLingering,
            Listed::Lingering | Listed::InLineAndLingering => return None,
        };
        Some(self.stay)
    }

    /// An entry was taken from those that linger. False if it was of an earlier stay, and counts for nothing.
    pub(crate) fn end_linger(&mut self, entry: Stay) -> bool {
        if !self.is_current(entry) {
            return false;
        }
        self.listed = match self.listed {
            Listed::Lingering => Listed::Nowhere,
            Listed::InLineAndLingering => Listed::InLine,
            Listed::Nowhere | Listed::InLine => return false,
        };
        true
    }

    /// The partition goes to another sender, or to none.
    pub(crate) fn move_on(&mut self) {
        *self = Self { stay: Stay(self.stay.0 + 1), listed: Listed::Nowhere };
    }

    /// Whether an entry is of the present stay.
    pub(crate) fn is_current(&self, entry: Stay) -> bool {
        self.stay == entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Stay = Stay(1);

    type Step = (&'static str, fn(&mut Listing) -> bool);

    const STEPS: [Step; 5] = [
        ("join", |listing| listing.join_line().is_some()),
        ("leave", |listing| listing.leave_line(NOW)),
        ("linger", |listing| listing.linger().is_some()),
        ("end_linger", |listing| listing.end_linger(NOW)),
        ("leave of an earlier stay", |listing| listing.leave_line(Stay(0)) | listing.end_linger(Stay(0))),
    ];

    #[test]
    fn a_partition_is_in_line_once_and_lingers_once() {
        use Listed::*;
        let mut table = Vec::new();
        for listed in [Nowhere, Lingering, InLine, InLineAndLingering] {
            for (step, take) in STEPS {
                let mut listing = Listing { stay: NOW, listed };
                if take(&mut listing) {
                    table.push(format!("{listed:?} {step} {:?}", listing.listed));
                } else {
                    assert_eq!(listing.listed, listed, "{step} was refused");
                }
            }
        }
        assert_eq!(
            table,
            [
                "Nowhere join InLine",
                "Nowhere linger Lingering",
                "Lingering join InLineAndLingering",
                "Lingering end_linger Nowhere",
                "InLine leave Nowhere",
                "InLine linger InLineAndLingering",
                "InLineAndLingering leave Lingering",
                "InLineAndLingering end_linger InLine",
            ]
        );
    }

    #[test]
    fn what_an_earlier_stay_left_on_lists_counts_for_nothing() {
        let mut listing = Listing::new();
        let (in_line, lingering) = (listing.join_line().unwrap(), listing.linger().unwrap());
        listing.move_on();
        let again = listing.join_line().expect("nothing is listed in the new stay");
        assert!(!listing.leave_line(in_line) && !listing.end_linger(lingering));
        assert!(listing.leave_line(again));
    }
}
