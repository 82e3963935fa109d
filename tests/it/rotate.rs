//! The main job: what GitHub and the provider hold after a run.

use crate::support::{Invocation, World};

#[tokio::test]
async fn a_due_token_is_replaced_everywhere() {
    let world = World::start().await;
    let ran = Invocation::rotate(&world).arg("--format", "json").run().await;
    let rotation = ran.rotation();
    assert_eq!(rotation["outcome"], "rotated", "{}", ran.everything());
    assert_eq!(ran.exit_code, 0);
    world.assert_no_violations();
    assert_eq!(world.undelivered(), Vec::<String>::new());
}
