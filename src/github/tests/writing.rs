//! Preflights and writes.

use super::*;

#[tokio::test]
async fn what_is_written_can_be_opened_by_github_alone() {
    let server = MockServer::start().await;
    refuses_checks(&server).await;
    let key = new_key("1");
    given(&server, "GET", &format!("{LIST}/public-key"), ok(&key.body), 1).await;
    given(&server, "PUT", &format!("{LIST}/TOKEN"), status(201), 1).await;
    given(&server, "PUT", &format!("{LIST}/OTHER"), status(204), 1).await;
    let github = connect(&server);
    let other = named(repository("api"), "OTHER");
    github.preflight(&repository("api")).await.unwrap();
    github.preflight(&other).await.unwrap();
    write(&github, &repository("api")).await.unwrap();
    write(&github, &other).await.unwrap();
    for put in puts(&server).await {
        assert_eq!(key.open(&put), VALUE);
        assert_eq!(put["key_id"], "1");
        assert_eq!(put.as_object().unwrap().len(), 2, "nothing else is sent for a repository");
    }
}

#[tokio::test]
async fn a_key_that_was_replaced_is_fetched_anew_once() {
    for (second, written) in [(204, true), (422, false)] {
        let server = MockServer::start().await;
        let (old, new) = (new_key("old"), new_key("new"));
        let at = format!("{LIST}/public-key");
        first(&server, "GET", &at, ok(&old.body), 1).await;
        given(&server, "GET", &at, ok(&new.body), 1).await;
        let put_at = format!("{LIST}/TOKEN");
        first(&server, "PUT", &put_at, status(422), 1).await;
        given(&server, "PUT", &put_at, status(second), 1).await;
        let outcome = write(&connect(&server), &repository("api")).await;
        assert_eq!(outcome.is_ok(), written);
        let puts = puts(&server).await;
        assert_eq!(puts[1]["key_id"], "new");
        assert_eq!(new.open(&puts[1]), VALUE);
    }
}

#[tokio::test]
async fn a_refusal_with_the_same_key_is_a_refusal() {
    let server = MockServer::start().await;
    given(&server, "GET", &format!("{LIST}/public-key"), ok(&new_key("1").body), 2).await;
    given(&server, "PUT", &format!("{LIST}/TOKEN"), status(422), 1).await;
    let error = write(&connect(&server), &repository("api")).await.unwrap_err();
    assert!(error.refused, "{error:?}");
}

#[tokio::test]
async fn refused_means_certainly_not_written_and_for_good() {
    let limited = || status(403).insert_header("retry-after", "999");
    let cases: [(Vec<ResponseTemplate>, bool, ErrorKind); 8] = [
        (vec![status(401)], true, ErrorKind::Unauthenticated),
        (vec![status(403)], true, ErrorKind::Forbidden),
        (vec![status(404)], true, ErrorKind::NotFound),
        (vec![limited()], false, ErrorKind::RateLimited),
        (vec![status(409)], false, ErrorKind::Unavailable),
        (vec![status(500)], false, ErrorKind::Unavailable),
        (vec![status(200)], false, ErrorKind::Unreadable),
        // The first attempt may have been processed.
        (vec![status(502), status(403)], false, ErrorKind::Forbidden),
    ];
    for (number, (answers, refused, kind)) in cases.into_iter().enumerate() {
        let server = MockServer::start().await;
        Mock::given(method("GET")).respond_with(ok(&new_key("1").body)).mount(&server).await;
        let last = answers.len() - 1;
        for (nth, answer) in answers.into_iter().enumerate() {
            let mock = Mock::given(method("PUT")).respond_with(answer);
            if nth < last { mock.up_to_n_times(1) } else { mock }.mount(&server).await;
        }
        let error = write(&connect(&server), &repository("api")).await.unwrap_err();
        assert_eq!((error.refused, error.error.kind), (refused, kind), "{number}: {error:?}");
    }
}

#[tokio::test]
async fn a_broken_write_is_repeated() {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ok(&new_key("1").body)).mount(&server).await;
    let at = format!("{LIST}/TOKEN");
    for trouble in [status(502).set_body_string("<html>"), status(200), status(503)] {
        first(&server, "PUT", &at, trouble, 1).await;
    }
    given(&server, "PUT", &at, status(204), 1).await;
    write(&connect(&server), &repository("api")).await.unwrap();
}

#[tokio::test]
async fn nothing_is_written_after_the_window() {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ok(&new_key("1").body)).mount(&server).await;
    Mock::given(method("PUT")).respond_with(status(204)).expect(0).mount(&server).await;
    let github = connect(&server);
    // The provider's clock tells how much time has passed since it was first seen.
    github.client.transport.http.clock().observe(ClockId::Provider(0), now());
    github.client.transport.http.clock().observe(ClockId::Provider(0), window());
    let error = write(&github, &repository("api")).await.unwrap_err();
    assert_eq!((error.refused, error.error.kind), (false, ErrorKind::Late));
}

#[tokio::test]
async fn a_write_acknowledged_long_after_the_window_is_late() {
    for (date, late) in [("Sun, 06 Nov 1994 08:53:37 GMT", false), ("Sun, 06 Nov 1994 08:53:38 GMT", true)] {
        let server = MockServer::start().await;
        Mock::given(method("GET")).respond_with(ok(&new_key("1").body)).mount(&server).await;
        let acknowledged = status(204).insert_header("date", date);
        Mock::given(method("PUT")).respond_with(acknowledged).mount(&server).await;
        let outcome = write(&connect(&server), &repository("api")).await;
        let is_late = |error: WriteError| error.error.kind == ErrorKind::Late && !error.refused;
        assert_eq!(outcome.is_err_and(is_late), late, "{date}");
    }
}

#[tokio::test]
async fn an_organization_secret_keeps_all_its_readers() {
    let stores = [
        (Store::Actions, "actions"),
        (Store::Agents, "agents"),
        (Store::Codespaces, "codespaces"),
        (Store::Dependabot, "dependabot"),
    ];
    for (store, name) in stores {
        let server = MockServer::start().await;
        refuses_checks(&server).await;
        let base = format!("/orgs/acme/{name}/secrets");
        given(&server, "GET", &base, ok(&list(1, &["TOKEN".to_owned()])), 1).await;
        given(&server, "GET", &format!("{base}/public-key"), ok(&new_key("1").body), 1).await;
        let ids: Vec<u64> = (1..=130).map(|n| n + 5_000_000_000).collect();
        for (number, page) in ids.chunks(50).enumerate() {
            let repositories: Vec<Value> = page.iter().map(|id| json!({"id": id})).collect();
            Mock::given(path(format!("{base}/TOKEN/repositories")))
                .and(query_param("page", (number + 1).to_string()))
                .respond_with(ok(&json!({"total_count": ids.len(), "repositories": repositories})))
                .expect(1)
                .mount(&server)
                .await;
        }
        given(&server, "PUT", &format!("{base}/TOKEN"), status(204), 1).await;
        let github = connect(&server);
        let wish = ConfiguredSecret { visibility: Some(Visibility::All), ..organization(store) };
        assert_eq!(*github.observe(std::slice::from_ref(&wish)).await[0].as_ref().unwrap(), upstatus());
        github.preflight(&wish).await.unwrap();
        write(&github, &wish).await.unwrap();
        let put = &puts(&server).await[0];
        assert_eq!(put["visibility"], "selected", "the configuration's wish is for new secrets alone");
        let strings: Vec<String> = ids.iter().map(u64::to_string).collect();
        let expected = if store == Store::Dependabot { json!(strings) } else { json!(ids) };
        assert_eq!(put["selected_repository_ids"], expected, "{name}");
    }
}

#[tokio::test]
async fn an_incomplete_list_of_readers_stops_the_write() {
    let server = MockServer::start().await;
    let base = "/orgs/acme/actions/secrets";
    given(&server, "GET", base, ok(&list(1, &["TOKEN".to_owned()])), 1).await;
    given(&server, "GET", &format!("{base}/public-key"), ok(&new_key("1").body), 1).await;
    let torn = json!({"total_count": 3, "repositories": [{"id": 1}, {"id": 2}]});
    given(&server, "GET", &format!("{base}/TOKEN/repositories"), ok(&torn), 2).await;
    let error = connect(&server).preflight(&organization(Store::Actions)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreadable, "{error}");
}

#[tokio::test]
async fn a_new_organization_secret_needs_to_know_its_readers() {
    let server = MockServer::start().await;
    refuses_checks(&server).await;
    let base = "/orgs/acme/dependabot/secrets";
    Mock::given(path(base)).respond_with(ok(&list(0, &[]))).mount(&server).await;
    Mock::given(path(format!("{base}/public-key"))).respond_with(ok(&new_key("1").body)).mount(&server).await;
    Mock::given(method("PUT")).respond_with(status(201)).mount(&server).await;
    let error = connect(&server).preflight(&organization(Store::Dependabot)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.remedy.as_ref().is_some_and(|remedy| remedy.contains("`visibility`")), "{error}");

    let cases = [
        (Visibility::All, "all", None),
        (Visibility::Private, "private", None),
        (Visibility::Selected, "selected", Some(json!([]))),
    ];
    for (visibility, name, ids) in cases {
        let github = connect(&server);
        let wish = ConfiguredSecret { visibility: Some(visibility), ..organization(Store::Dependabot) };
        github.preflight(&wish).await.unwrap();
        write(&github, &wish).await.unwrap();
        let put = puts(&server).await.pop().unwrap();
        assert_eq!(put["visibility"], name);
        assert_eq!(put.get("selected_repository_ids"), ids.as_ref());
    }
}

#[tokio::test]
async fn a_missing_environment_is_an_error() {
    let server = MockServer::start().await;
    refuses_checks(&server).await;
    Mock::given(method("GET")).respond_with(status(404)).mount(&server).await;
    Mock::given(method("PUT")).respond_with(ok(&json!({"id": 1}))).expect(0).mount(&server).await;
    let github = connect(&server);
    let seen = github.observe(&[environment(false)]).await;
    assert_eq!(seen[0].as_ref().unwrap_err().kind, ErrorKind::NotFound);
    let error = github.preflight(&environment(false)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.remedy.unwrap().contains("`create_environment: true`"));
}

#[tokio::test]
async fn a_missing_environment_is_made_where_that_is_wanted() {
    let server = MockServer::start().await;
    refuses_checks(&server).await;
    let base = "/repos/acme/api/environments/my%20env";
    given(&server, "GET", &format!("{base}/secrets"), status(404), 1).await;
    first(&server, "GET", &format!("{base}/secrets/public-key"), status(404), 1).await;
    given(&server, "GET", &format!("{base}/secrets/public-key"), ok(&new_key("1").body), 1).await;
    given(&server, "GET", base, status(404), 1).await;
    Mock::given(method("PUT"))
        .and(path(base))
        .and(body_json(json!({})))
        .respond_with(ok(&json!({"id": 1})))
        .expect(1)
        .mount(&server)
        .await;
    let github = connect(&server);
    assert_eq!(*github.observe(&[environment(true)]).await[0].as_ref().unwrap(), None);
    github.preflight(&environment(true)).await.unwrap();
}

#[tokio::test]
async fn an_environment_that_exists_keeps_its_rules() {
    let server = MockServer::start().await;
    let base = "/repos/acme/api/environments/my%20env";
    given(&server, "GET", &format!("{base}/secrets/public-key"), status(404), 1).await;
    given(&server, "GET", base, ok(&json!({"id": 1})), 1).await;
    Mock::given(method("PUT")).respond_with(status(200)).expect(0).mount(&server).await;
    connect(&server).preflight(&environment(true)).await.unwrap_err();
}

#[tokio::test]
async fn a_renamed_repository_is_read_and_written() {
    let server = MockServer::start().await;
    let key = new_key("1");
    struct Old;
    impl Match for Old {
        fn matches(&self, request: &Received) -> bool {
            request.url.path().starts_with("/repos/acme/api/")
        }
    }
    let moved = |request: &Received| {
        let location = request.url.path().replace("/repos/acme/api/", "/repositories/7/");
        status(307).insert_header("location", location.as_str())
    };
    Mock::given(Old).respond_with(moved).mount(&server).await;
    given(&server, "GET", "/repositories/7/actions/secrets", ok(&list(0, &[])), 1).await;
    given(&server, "GET", "/repositories/7/actions/secrets/public-key", ok(&key.body), 1).await;
    given(&server, "PUT", "/repositories/7/actions/secrets/TOKEN", status(201), 1).await;
    let github = connect(&server);
    assert_eq!(*github.observe(&[repository("api")]).await[0].as_ref().unwrap(), None);
    write(&github, &repository("api")).await.unwrap();
    assert_eq!(key.open(puts(&server).await.last().unwrap()), VALUE);
}
