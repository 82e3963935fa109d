//! Has the user confirm what ends tokens at once: one question for all rotations, when
//! each of them has a plan, and before anything is changed.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use super::error::RotationError;
use super::lineage::{Lineage, Member};
use super::plan::{MintPlan, Plan, PlanInput, Step};
use crate::question::Question;

/// The question of a run.
pub(super) struct Confirmation<'a> {
    question: Option<&'a Question>,
    tokens: Mutex<Vec<String>>,
    /// Rotations without a plan.
    unplanned: watch::Sender<usize>,
    answer: watch::Sender<Option<bool>>,
}

/// The part of one rotation in the question; dropped if it needs no answer.
pub(super) struct Share<'a>(&'a Confirmation<'a>);

impl<'a> Confirmation<'a> {
    /// Without a question, everything is confirmed.
    pub(super) fn new(question: Option<&'a Question>) -> Self {
        let (unplanned, answer) = (watch::Sender::new(0), watch::Sender::new(None));
        Self { question, tokens: Mutex::default(), unplanned, answer }
    }

    /// Announces a rotation. All are announced before the question is asked.
    pub(super) fn share(&'a self) -> Share<'a> {
        self.unplanned.send_modify(|count| *count += 1);
        Share(self)
    }

    /// Asks when every rotation has a plan, if there is something to ask. Never ends.
    pub(super) async fn put(&self) -> Infallible {
        if let Some(question) = self.question {
            // Errors only without a sender, which is this.
            let _ = self.unplanned.subscribe().wait_for(|count| *count == 0).await;
            let tokens = std::mem::take(&mut *self.tokens.lock().unwrap_or_else(PoisonError::into_inner));
            let answer = tokens.is_empty() || question.may_end(&tokens).await;
            self.answer.send_replace(Some(answer));
        }
        std::future::pending().await
    }
}

impl Share<'_> {
    /// Waits for the answer if the plan changes anything. A "no" is for all rotations,
    /// also for those that end no token at once.
    pub(super) async fn confirm(
        self,
        input: PlanInput<'_>,
        plan: &Plan,
        lineage: &Lineage,
    ) -> Result<(), RotationError> {
        let confirmation = self.0;
        let changes = matches!(plan.step, Step::Mint(_)) || !plan.retire.is_empty();
        if confirmation.question.is_none() || !changes {
            return Ok(());
        }
        confirmation
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(ended_at_once(input, plan, lineage));
        let mut answer = confirmation.answer.subscribe();
        drop(self);
        match answer.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(true)) => Ok(()),
            _ => Err(RotationError::NotConfirmed),
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.0.unplanned.send_modify(|count| *count -= 1);
    }
}

/// The valid tokens that the run ends without an overlap, one sentence each.
fn ended_at_once(input: PlanInput<'_>, plan: &Plan, lineage: &Lineage) -> Vec<String> {
    let name = &input.rotation.name;
    let (orphans, replaced) = match &plan.step {
        Step::Mint(MintPlan { previous, previous_is_orphan, orphans, .. }) => {
            let own = previous.iter().filter(|_| *previous_is_orphan);
            (own.chain(orphans).collect::<Vec<_>>(), true)
        }
        Step::Nothing | Step::Refuse(_) => (Vec::new(), false),
    };
    let why = |member: &Member| {
        let id = member.id();
        if orphans.contains(&&id) {
            return Some("no secret ever received it");
        }
        if !input.rotation.policy.overlap.is_zero() {
            return None;
        }
        if plan.retire.iter().any(|one| one.token == id) {
            return Some("no secret holds it any more, and the overlap is 0h");
        }
        replaced.then_some(
            "as soon as every secret holds the new token, because the overlap is 0h; \
             jobs that are queued or running with it fail",
        )
    };
    let live = lineage.members.iter().filter(|member| member.is_live(input.now));
    live.filter_map(|member| Some(format!("{name}: token {}: {}", member.token.id, why(member)?))).collect()
}
