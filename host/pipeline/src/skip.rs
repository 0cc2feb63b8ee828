//! What holds no record and needs none: counted, by reason, and not kept.

/// Why an input was passed over. The text form is a promise: dashboards use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// `{}`, `[]`, `{"Records": []}`.
    Empty,
    /// An object of 0 bytes, such as the ones that stand for folders.
    EmptyObject,
    /// A line that names columns, or a comment of the format.
    Header,
    /// CloudWatch Logs says that a subscription is alive.
    ControlMessage,
    /// A service says that a notification is set up.
    TestEvent,
    /// A service says that something other than a new object has come about: one was removed, tagged, restored.
    OtherEvent,
}

impl Skip {
    pub const ALL: [Skip; 6] =
        [Skip::Empty, Skip::EmptyObject, Skip::Header, Skip::ControlMessage, Skip::TestEvent, Skip::OtherEvent];

    pub fn code(self) -> &'static str {
        match self {
            Skip::Empty => "empty",
            Skip::EmptyObject => "empty_object",
            Skip::Header => "header",
            Skip::ControlMessage => "control_message",
            Skip::TestEvent => "test_event",
            Skip::OtherEvent => "other_event",
        }
    }
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skips([u64; Skip::ALL.len()]);

impl Skips {
    pub fn add(&mut self, skip: Skip) {
        self.0[skip as usize] += 1;
    }

    pub fn of(&self, skip: Skip) -> u64 {
        self.0[skip as usize]
    }

    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Those that came at all.
    pub fn iter(&self) -> impl Iterator<Item = (Skip, u64)> + '_ {
        Skip::ALL.into_iter().map(|skip| (skip, self.of(skip))).filter(|(_, count)| *count > 0)
    }
}
