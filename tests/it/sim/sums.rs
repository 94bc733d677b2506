//! What holds of charts in any state of the tables: each sum is what was heard and is liked, added up by SQL.

/// Each query finds what breaks it.
pub const INVARIANTS: [(&str, &str); 5] = [
    (
        "who hears what, in each period, is what they heard in its hours, of all that it counts for",
        "with counted as (
           select listener_id, subject_id, kind, hour, plays::integer, 0 as likes from heard where kind = 1
           union all select listener_id, subject_id, 1, hour, 0, 1 from liked
         ), spread as (
           select * from counted
           union all select listener_id, m.key_id, s.kind, hour, plays, likes from counted
             join chart_member m on m.track_id = counted.subject_id join chart_subject s on s.id = m.key_id
         ), truth as (
           select p.period::smallint, subject_id, listener_id, sum(plays)::integer as plays, sum(likes)::integer as likes
           from spread, (values (0, 1000000), (1, 720), (2, 168), (3, 24)) as p (period, hours), chart_clock c
           where spread.hour > c.hour - p.hours group by p.period, subject_id, listener_id
         )
         select coalesce(s.key, '?') || ' of ' || coalesce(t.period, a.period) || ': ' || coalesce(t.plays, 0) || ' '
                || coalesce(t.likes, 0) || ', and not ' || coalesce(a.plays, 0) || ' ' || coalesce(a.likes, 0)
         from truth t full join chart_audience a using (period, subject_id, listener_id)
         left join chart_subject s on s.id = subject_id
         where (t.plays, t.likes) is distinct from (a.plays, a.likes)",
    ),
    (
        "parts are what people heard, at most twenty times an hour, by origin; and of those whom nobody vouches for once more",
        "with counted as (
           select listener_id, subject_id, kind, hour, least(plays, 20)::integer as plays, 0 as likes
             from heard where kind in (1, 4, 5)
           union all select listener_id, subject_id, 1, hour, 0, 1 from liked
         ), spread as (
           select * from counted
           union all select listener_id, m.key_id, s.kind, hour, plays, likes from counted
             join chart_member m on counted.kind = 1 and m.track_id = counted.subject_id join chart_subject s on s.id = m.key_id
         ), given as (
           select p.period::smallint, subject_id, listener_id, kind, sum(plays) as plays, sum(likes) as likes
           from spread, (values (0, 1000000), (1, 720), (2, 168), (3, 24)) as p (period, hours), chart_clock c
           where spread.hour > c.hour - p.hours group by p.period, subject_id, listener_id, kind
         ), truth as (
           select period, subject_id, o.id as origin_id, sum(plays)::bigint as plays,
                  count(*) filter (where plays > 0 and kind < 4) as listeners, sum(likes)::bigint as likes
           from given join chart_listener l on l.id = listener_id
           join chart_origin o on o.id = l.origin_id or (l.is_unvouched and o.id = 0)
           group by period, subject_id, o.id
         )
         select coalesce(s.key, '?') || ' from ' || origin_id from truth t
         full join (select * from chart_part where (plays, listeners, likes) <> (0, 0, 0)) p
                using (period, subject_id, origin_id) left join chart_subject s on s.id = subject_id
         where (t.plays, t.listeners, t.likes) is distinct from (p.plays, p.listeners, p.likes)",
    ),
    (
        "a chart says the sums of its parts, and one part counts at most ten more than all others",
        "with truth as (
           select period, subject_id, sum(plays) filter (where o.id <> 0)::bigint as plays,
                  sum(listeners) filter (where o.id <> 0)::bigint as listeners,
                  sum(likes) filter (where o.id <> 0)::bigint as likes,
                  coalesce(max(plays) filter (where not is_open), 0) as p,
                  coalesce(max(listeners) filter (where not is_open), 0) as l,
                  coalesce(max(likes) filter (where not is_open), 0) as k
           from chart_part join chart_origin o on o.id = origin_id
           where (plays, listeners, likes) <> (0, 0, 0) group by period, subject_id
         )
         select coalesce(s.key, '?') from truth t full join chart c using (period, subject_id)
         left join chart_subject s on s.id = subject_id
         where (t.plays, t.listeners, t.likes, least(t.plays, 2 * (t.plays - t.p) + 10),
                least(t.listeners, 2 * (t.listeners - t.l) + 10), least(t.likes, 2 * (t.likes - t.k) + 10), t.p, t.l, t.k)
            is distinct from (c.plays, c.listeners, c.likes, c.play_score, c.listener_score, c.like_score, c.top_plays,
                c.top_listeners, c.top_likes)",
    ),
    (
        "a chart tells of all that was heard",
        "with spread as (
           select subject_id, hour, plays from heard where kind in (1, 4, 5)
           union all select m.key_id, hour, plays from heard
             join chart_member m on kind = 1 and m.track_id = subject_id
         ), truth as (
           select p.period::smallint, subject_id, sum(plays)::bigint as plays
           from spread, (values (0, 1000000), (1, 720), (2, 168), (3, 24)) as p (period, hours), chart_clock c
           where spread.hour > c.hour - p.hours group by p.period, subject_id
         )
         select coalesce(s.key, '?') || ': ' || coalesce(t.plays, 0) || ', and not ' || coalesce(c.plays + c.excess, 0)
         from truth t full join chart c using (period, subject_id) left join chart_subject s on s.id = subject_id
         where coalesce(t.plays, 0) <> coalesce(c.plays + c.excess, 0)",
    ),
    (
        "nobody hidden makes a chart",
        "select l.name from chart_listener l join actor a on a.did = l.name and not a.active
         where (exists (select from heard where listener_id = l.id) or exists (select from liked where listener_id = l.id))
           and not exists (select from chart_due)",
    ),
];
