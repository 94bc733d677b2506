-- Who is new here or anonymous is somebody whom nobody vouches for yet. They come from their host like its other people, and
-- have one more part in common, which weighs against all others and is in no sum: else a host's new people would vouch for
-- its older ones, and anonymous listeners for new people.
alter table chart_listener add column is_unvouched boolean not null default false; -- as what is theirs was added up

-- That part. No host is called so, as a blank is in no host's name; and no number that is given is 0.
insert into chart_origin (id, name) overriding system value values (0, 'not vouched for');
alter table chart_origin add constraint chart_origin_unvouched_never_open check (id <> 0 or not is_open);

-- Plays beyond twenty an hour of a person are told and weigh nothing: heard and chart_audience hold them, chart_part and
-- chart.plays do not, and what they come to in all stands here.
alter table chart add column excess bigint not null default 0;
-- Which of those who heard a track did so more often, when the track comes to count for something else. There are hardly any.
create index heard_excess_idx on heard (subject_id) where kind = 1 and plays > 20;

-- Those whose origin was 'new' come from their hosts, and those and the anonymous are in that part.
insert into chart_due (did)
  select l.name from chart_listener l join chart_origin o on o.id = l.origin_id where o.name in ('new', 'anonymous');
-- Of these hours no more than twenty were counted.
insert into chart_due (did, hour)
  select distinct l.name, h.hour from heard h join chart_listener l on l.id = h.listener_id where h.plays >= 20;
