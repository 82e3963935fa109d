//! What must hold in a [`World`], whatever happened.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::events::Hook;
use super::marker::Marker;
use super::provider::FakeToken;
use super::world::World;

/// An invariant that can be looked at after every event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invariant {
    /// Each destination holds a value that the provider accepts now.
    Accepted,
    /// At most one open window per rotation.
    OneWindow,
}

impl World {
    /// I1: what is wrong with what destinations hold. Empty: each holds a value
    /// that the provider accepts now.
    #[must_use]
    pub fn unaccepted(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for destination in self.destinations() {
            match self.github.secret(&destination) {
                None => wrong.push(format!("I1: {destination} does not exist")),
                Some(held) if !self.provider.is_accepted(&held.value) => {
                    let token = self.provider.token_by_value(&held.value);
                    let what = token.map_or("no token's value".to_owned(), |t| {
                        format!("token {} (expires {:?}, deleted {})", t.id, t.expires_at, t.deleted)
                    });
                    wrong.push(format!("I1: {destination} holds {what}, which is not accepted"));
                }
                Some(_) => {}
            }
        }
        wrong
    }

    /// The runs whose windows are open now, by their names in the markers. I5
    /// allows one. Windows are counted while their tokens live.
    #[must_use]
    pub fn open_windows(&self) -> BTreeSet<String> {
        let now = self.github.now();
        let markers = self.provider.of_live_tokens(|token| self.own_marker(token)).into_iter();
        markers.filter(|marker| marker.is_open(now)).map(|marker| marker.run).collect()
    }

    /// The live tokens with this rotation's marker, oldest first.
    #[must_use]
    pub fn marked_tokens(&self) -> Vec<(FakeToken, Marker)> {
        self.provider.of_live_tokens(|token| {
            let marker = self.own_marker(token)?;
            Some((token.clone(), marker))
        })
    }

    /// The marker of a token that a run of this rotation made.
    fn own_marker(&self, token: &FakeToken) -> Option<Marker> {
        token.marker().filter(|marker| marker.key == self.marker_key && !token.forged)
    }

    /// The newest live token of this rotation: the marked one that was made
    /// last, else the original.
    #[must_use]
    pub fn newest(&self) -> Option<FakeToken> {
        let marked = self.marked_tokens().into_iter().map(|(token, _)| token).next_back();
        marked.or_else(|| self.provider.live_tokens().into_iter().find(|t| t.id == self.original.id))
    }

    /// I2, first half: destinations that do not hold the newest token.
    #[must_use]
    pub fn undelivered(&self) -> Vec<String> {
        let newest = self.newest().map(|t| t.value);
        let behind = |destination: &String| self.held(destination).map(|t| t.value) != newest;
        self.destinations()
            .into_iter()
            .filter(behind)
            .map(|d| format!("I2: {d} does not hold the newest token"))
            .collect()
    }

    /// I2, second half: live tokens of this rotation that are not the newest.
    #[must_use]
    pub fn uncollected(&self) -> Vec<String> {
        let newest = self.newest().map(|t| t.id);
        let marked = self.marked_tokens().into_iter();
        marked
            .filter(|(token, _)| Some(&token.id) != newest.as_ref())
            .map(|(token, _)| format!("I2: token {} still lives", token.id))
            .collect()
    }

    /// Workflows that were not started since the last write of a destination.
    #[must_use]
    pub fn not_started(&self) -> Vec<String> {
        let destinations = self.destinations();
        let written = destinations.iter().filter_map(|one| Some(self.github.secret(one)?.updated_at)).max();
        let workflows = self.github.workflows().into_iter();
        let behind = workflows.filter(|one| !one.runs.iter().any(|run| Some(run.created_at) >= written));
        behind.map(|one| format!("{} was not started after the last write", one.file)).collect()
    }

    /// I6: tokens of this rotation whose rights differ from the original's.
    #[must_use]
    pub fn changed_privileges(&self) -> Vec<String> {
        let wanted = self.original.privileges();
        let changed = self.marked_tokens().into_iter().filter(|(token, _)| token.privileges() != wanted);
        changed.map(|(token, _)| format!("I6: token {} may do something else", token.id)).collect()
    }

    /// Looks at invariants after every event from now on. Two runs at once open
    /// two windows for a moment: watch [`Invariant::OneWindow`] only where one
    /// run is at work.
    pub fn watch(&self, invariants: &[Invariant]) {
        let (world, invariants) = (self.detached(), invariants.to_vec());
        let hook: Hook = Arc::new(move |event| {
            let mut wrong = Vec::new();
            if invariants.contains(&Invariant::Accepted) {
                wrong.extend(world.unaccepted());
            }
            if invariants.contains(&Invariant::OneWindow) {
                let windows = world.open_windows();
                if windows.len() > 1 {
                    wrong.push(format!("I5: open windows: {windows:?}"));
                }
            }
            for line in wrong {
                world.journal.note(&line);
                world.watch.broken.lock().unwrap().push(format!("{line} (after: {event})"));
            }
        });
        self.github.observers().add(Arc::clone(&hook));
        self.provider.observers().add(hook);
    }

    /// What was found broken since the last look.
    #[must_use]
    pub fn take_broken(&self) -> Vec<String> {
        std::mem::take(&mut self.watch.broken.lock().unwrap())
    }

    /// Panics, with the journal, if a watched invariant was broken or a fake saw
    /// a violation of an API description.
    #[track_caller]
    pub fn assert_unbroken(&self) {
        let mut broken = self.take_broken();
        broken.extend(self.github.violations());
        broken.extend(self.provider.violations());
        assert!(broken.is_empty(), "{}\n--- journal\n{}", broken.join("\n"), self.journal.text());
    }
}
