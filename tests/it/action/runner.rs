//! The action's step as GitHub's runner starts it: its `env`, and nothing that
//! is called `INPUT_*`. It needs no `act`, which is lenient with outputs as well: a
//! user sees there what the step wrote, whatever `action.yml` makes of it.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::Value;

use super::scene::{Scene, action};
use crate::actions::outputs;
use crate::support::World;
use crate::support::world::{REPOSITORY, TOKEN};

/// What a user writes under `with:`, and the `env` that the runner makes of it.
fn environment(step: &Value, inputs: &[(&str, &str)]) -> Vec<(String, String)> {
    let given = |expression: &str| {
        let name = expression.strip_prefix("${{ inputs.")?.strip_suffix(" }}")?;
        inputs.iter().find(|(input, _)| *input == name).map(|(_, value)| (*value).to_owned())
    };
    let variables = step["env"].as_object().unwrap().iter();
    variables
        .map(|(name, value)| (name.clone(), given(value.as_str().unwrap()).unwrap_or_default()))
        .collect()
}

/// An output of the action, from what its step wrote.
fn result<'o>(expression: &str, step: &Value, written: &'o BTreeMap<String, String>) -> &'o str {
    let alternatives =
        expression.strip_prefix("${{ ").and_then(|rest| rest.strip_suffix(" }}")).unwrap().split(" || ");
    let of_this_step = format!("steps.{}.outputs.", step["id"].as_str().unwrap());
    let names: Vec<&str> = alternatives.filter_map(|it| it.strip_prefix(&of_this_step)).collect();
    &written[names[0]]
}

#[tokio::test]
async fn no_input_variable_is_needed() {
    let world = World::builder().expires_in_days(60).destination_count(2).start().await;
    let scene = Scene::released();
    let action = action();
    let step = &action["runs"]["steps"][0];
    let inputs = [
        ("provider", "axiom"),
        ("provider-url", &world.axiom.url()),
        ("provider-token", world.provider_token()),
        ("github-token", world.github_token()),
        ("repository", REPOSITORY),
        ("token", TOKEN),
        ("secrets", "AXIOM_TOKEN\nacme/service-1:AXIOM_TOKEN\n"),
        ("force", "true"),
    ];
    let output = tokio::process::Command::new("sh")
        .args(["-e", "-c", step["run"].as_str().unwrap()])
        .current_dir(scene.path("repository"))
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_ACTION_PATH", scene.path("action"))
        .env("GITHUB_API_URL", world.github.url())
        .env("GITHUB_OUTPUT", scene.path("output"))
        .env("GITHUB_STEP_SUMMARY", scene.path("summary"))
        .envs(environment(step, &inputs))
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(world.undelivered(), Vec::<String>::new());
    assert_eq!(world.marked_tokens().len(), 1);
    assert!(scene.path("summary").exists());
    let written = outputs(&std::fs::read_to_string(scene.path("output")).unwrap());
    let declared = action["outputs"].as_object().unwrap();
    assert_eq!(declared.len(), written.len());
    for (name, entry) in declared {
        assert_eq!(result(entry["value"].as_str().unwrap(), step, &written), written[name], "{name}");
        assert_ne!(written[name], "", "{name}");
    }
}
