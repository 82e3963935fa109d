use futures_util::future::join_all;
use http::StatusCode;
use proptest::prelude::*;

use super::*;
use crate::limits::WRITES_A_MINUTE;

const MINUTE: Duration = Duration::from_secs(60);

fn reply(status: u16, headers: &[(&'static str, &str)]) -> Reply {
    let headers = headers
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
        .collect();
    Reply::of(StatusCode::from_u16(status).unwrap(), headers)
}

fn limits(remaining: u64) -> Reply {
    reply(200, &[("x-ratelimit-limit", "5000"), ("x-ratelimit-remaining", &remaining.to_string())])
}

fn pacer(at_once: usize) -> Arc<Pacer> {
    let pacer = Pacer::new(Pace::default(), at_once, Progress::default());
    RateLimiter::record(&pacer, &limits(5000));
    pacer
}

/// When each of these requests arrived at the server, since the beginning; each
/// takes so long to get there and back.
async fn arrivals(
    pacer: &Arc<Pacer>,
    methods: Vec<Method>,
    there: Duration,
    back: Duration,
) -> Vec<(Duration, u32)> {
    let began = Instant::now();
    let sent = methods.into_iter().map(|method| async move {
        let permit = pacer.acquire(&method).await;
        tokio::time::sleep(there).await;
        let arrived = began.elapsed();
        tokio::time::sleep(back).await;
        drop(permit);
        (arrived, if method == Method::GET { READ_POINTS } else { WRITE_POINTS })
    });
    let mut arrived = join_all(sent).await;
    arrived.sort_unstable();
    arrived
}

/// The most points that arrived in any minute.
fn busiest(arrived: &[(Duration, u32)]) -> u32 {
    let in_minute = |from: Duration| -> u32 {
        arrived.iter().filter(|(at, _)| *at >= from && *at < from + MINUTE).map(|(_, points)| points).sum()
    };
    arrived.iter().map(|(at, _)| in_minute(*at)).max().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn what_fits_into_a_minute_goes_at_once() {
    let short = Duration::from_millis(10);
    let arrived = arrivals(&pacer(8), vec![Method::PUT; WRITES_A_MINUTE], short, short).await;
    assert!(arrived.last().unwrap().0 < Duration::from_secs(1), "{arrived:?}");
}

#[tokio::test(start_paused = true)]
async fn no_minute_sees_more_than_is_published_and_hardly_any_less() {
    let (there, back) = (Duration::from_millis(900), Duration::from_millis(10));
    let arrived = arrivals(&pacer(100), vec![Method::PUT; 1000], there, back).await;
    let busiest = busiest(&arrived);
    assert!((855..=POINTS_A_MINUTE).contains(&busiest), "{busiest}");
    // 1000 writes are 5 full minutes and a rest.
    assert!(arrived.last().unwrap().0 < Duration::from_secs(320), "{:?}", arrived.last());
}

#[tokio::test(start_paused = true)]
async fn a_server_without_limits_is_not_paced() {
    let pacer = Pacer::new(Pace::default(), 8, Progress::default());
    RateLimiter::record(&pacer, &reply(200, &[]));
    let short = Duration::from_millis(10);
    let arrived = arrivals(&pacer, vec![Method::PUT; 1000], short, short).await;
    assert!(arrived.last().unwrap().0 < Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_permitted_are_under_way() {
    let pacer = pacer(3);
    let turns = [
        pacer.acquire(&Method::GET).await,
        pacer.acquire(&Method::GET).await,
        pacer.acquire(&Method::GET).await,
    ];
    let fourth = tokio::time::timeout(MINUTE * 3, pacer.acquire(&Method::GET)).await;
    assert!(fourth.is_err());
    drop(turns);
    tokio::time::timeout(MINUTE, pacer.acquire(&Method::GET)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn writes_go_before_reads_that_came_earlier() {
    let pacer = pacer(1);
    let permit = pacer.acquire(&Method::GET).await;
    let order = Mutex::new(Vec::new());
    let go = async |method: Method, after: u64| {
        tokio::time::sleep(Duration::from_millis(after)).await;
        let permit = pacer.acquire(&method).await;
        order.lock().unwrap().push(method);
        tokio::time::sleep(Duration::from_millis(1)).await;
        drop(permit);
    };
    let release = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(permit);
    };
    tokio::join!(go(Method::GET, 0), go(Method::GET, 0), go(Method::PUT, 10), go(Method::PUT, 20), release);
    assert_eq!(*order.lock().unwrap(), [Method::PUT, Method::PUT, Method::GET, Method::GET]);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_gives_up_waiting_lets_reads_pass() {
    let pacer = pacer(1);
    let permit = pacer.acquire(&Method::GET).await;
    tokio::time::timeout(MINUTE, pacer.acquire(&Method::PUT)).await.err().unwrap();
    drop(permit);
    tokio::time::timeout(MINUTE, pacer.acquire(&Method::GET)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_complaint_stops_everything_and_then_half_as_much_goes() {
    let pacer = pacer(8);
    // Eight rate limit replies at the same time count once.
    for _ in 0..8 {
        RateLimiter::record(&pacer, &reply(429, &[("retry-after", "30")]));
    }
    let began = Instant::now();
    drop(pacer.acquire(&Method::GET).await);
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!(pacer.lock().allowance, Pace::default().most() / 2);
    // Where it names no time, it is a minute.
    RateLimiter::record(&pacer, &reply(403, &[("retry-after", "soon")]));
    let began = Instant::now();
    drop(pacer.acquire(&Method::GET).await);
    assert_eq!(began.elapsed().as_secs(), 60);
    // It recovers.
    for _ in 0..20 {
        tokio::time::sleep(MINUTE).await;
        drop(pacer.acquire(&Method::GET).await);
    }
    assert_eq!(pacer.lock().allowance, Pace::default().most());
}

#[tokio::test(start_paused = true)]
async fn the_last_of_the_hour_is_spent_slowly() {
    let pacer = pacer(8);
    RateLimiter::record(&pacer, &limits(250));
    let short = Duration::from_millis(10);
    let arrived = arrivals(&pacer, vec![Method::PUT; 200], short, short).await;
    assert!(busiest(&arrived) <= POINTS_A_MINUTE / 2, "half of the last tenth is left");
    RateLimiter::record(&pacer, &limits(0));
    tokio::time::timeout(2 * MINUTE, pacer.acquire(&Method::PUT)).await.unwrap();
}

#[test]
fn a_pace_is_never_slower_than_delivery_windows_expect() {
    let pace = |text: &str| text.parse::<Pace>();
    assert_eq!(pace("900/1m").unwrap(), Pace::default());
    assert_eq!(pace(" 900 / 1s ").unwrap().period, Duration::from_secs(1));
    for text in ["", "900", "900/", "x/1m", "899/1m", "1800/2m", "900/0s", "-900/1m"] {
        assert!(pace(text).is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_minute_sees_too_much_whatever_is_sent(
        writes in prop::collection::vec(any::<bool>(), 1..700),
        there in 0_u64..4000, back in 0_u64..4000, at_once in 1_usize..100,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let arrived = runtime.block_on(async {
            let methods = writes.iter().map(|write| if *write { Method::PUT } else { Method::GET }).collect();
            arrivals(&pacer(at_once), methods, Duration::from_millis(there), Duration::from_millis(back)).await
        });
        prop_assert_eq!(arrived.len(), writes.len());
        prop_assert!(busiest(&arrived) <= POINTS_A_MINUTE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_the_limit_is_shown_with_its_end() {
    let progress = Progress::default();
    let pacer = Pacer::new(Pace::default(), 1000, progress.clone());
    let mut writes = progress.announce_writes(300);
    writes.enter(crate::progress::Stage::Delivering);
    for _ in 0..WRITES_A_MINUTE {
        drop(pacer.pass(WRITE_POINTS, true).await);
        progress.wrote(true);
    }
    let next = pacer.pass(WRITE_POINTS, true);
    tokio::pin!(next);
    tokio::time::timeout(Duration::from_secs(6), &mut next).await.err().unwrap();
    assert_eq!(progress.line(), "178 of 300 written · waiting 54 s for GitHub's limit · about 54 s left");
    drop(next.await);
    assert_eq!(progress.line(), "178 of 300 written");
}
