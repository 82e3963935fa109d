//! Has the user confirm what ends tokens at once: one question for all rotations, when
//! each of them has a plan, and before anything is changed.

use std::convert::Infallible;

use tokio::sync::{mpsc, watch};

use super::error::RotationError;
use super::lineage::{Lineage, Member};
use super::plan::{MintPlan, Plan, PlanInput, Step};
use crate::question::Question;

/// The part of one rotation in the question; dropped if it needs no answer.
#[derive(Clone)]
pub(super) struct Share {
    tokens: mpsc::UnboundedSender<String>,
    answer: watch::Receiver<Option<bool>>,
}

/// The share that every rotation gets a clone of, and what puts the question once all of them
/// are used or dropped, if there is something to ask. It never ends. Without a question,
/// everything is confirmed.
pub(super) fn prepare(question: Option<&Question>) -> (Share, impl Future<Output = Infallible>) {
    let (tokens, mut planned) = mpsc::unbounded_channel();
    let (answered, answer) = watch::channel(question.is_none().then_some(true));
    let put = async move {
        let mut tokens: Vec<String> = Vec::new();
        while let Some(token) = planned.recv().await {
            tokens.push(token);
        }
        if let Some(question) = question {
            let may_end = tokens.is_empty() || question.may_end(&tokens).await;
            answered.send_replace(Some(may_end));
        }
        std::future::pending().await
    };
    (Share { tokens, answer }, put)
}

impl Share {
    /// Waits for the answer if the plan changes anything. A "no" is for all rotations,
    /// also for those that end no token at once.
    pub(super) async fn confirm(
        self,
        input: PlanInput<'_>,
        plan: &Plan,
        lineage: &Lineage,
    ) -> Result<(), RotationError> {
        let Self { tokens, mut answer } = self;
        if !matches!(plan.step, Step::Mint(_)) && plan.retire.is_empty() {
            return Ok(());
        }
        for token in ended_at_once(input, plan, lineage) {
            // The receiver is gone where nothing is asked.
            let _ = tokens.send(token);
        }
        drop(tokens);
        match answer.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(true)) => Ok(()),
            _ => Err(RotationError::NotConfirmed),
        }
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
