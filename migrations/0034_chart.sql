-- Charts, kept as things happen: whoever changes what was heard or liked leaves a row in chart_due, in the same transaction;
-- one worker counts that person's hour anew and moves the sums by the difference.

-- did and hour: what they heard in it. did and subject: whether they like it. Only did: all of theirs. Only subject: what the
-- track counts for. No key and no index: it is taken as a heap, and what stands there twice is done once.
create table chart_due (
  did         text collate "C",
  subject_uri text collate "C",
  hour        integer          -- since 1970
);

-- The hour in which the last day, week and month end.
create table chart_clock (hour integer not null);
insert into chart_clock values (floor(extract(epoch from now()) / 3600)::integer);

-- Where listeners come from: the domain of their PDS, 'new', 'anonymous'. Numbers for names, here and below: there are many
-- rows, and all of a key is in each index.
create table chart_origin (
  id      integer generated always as identity primary key,
  name    text collate "C" not null unique,
  -- What comes from there counts in full, whatever the others do.
  is_open boolean not null default false
);
create table chart_listener (
  id        integer generated always as identity primary key,
  name      text collate "C" not null unique, -- as in play_event.listener
  origin_id integer not null references chart_origin
);
create table chart_subject (
  id   integer generated always as identity primary key,
  kind smallint not null,         -- 1 track, 2 artist, 3 tag, 4 to 6 what play records name: artist, release, recording
  key  text collate "C" not null, -- URI, DID, tag; 'mbid:…' or 'name:…'
  name text,                      -- of 4 to 6, as the first play called it
  unique (kind, key)
);

-- What somebody heard in an hour, as it has been counted.
create table heard (
  listener_id integer  not null,
  kind        smallint not null, -- 1, 4, 5, 6
  hour        integer  not null,
  subject_id  integer  not null,
  plays       smallint not null,
  -- A person's own charts of any period are read from this index alone.
  primary key (listener_id, kind, hour, subject_id) include (plays)
);
-- Each hour, another leaves the last day, week and month.
create index heard_hour_idx on heard (hour);

-- Which tracks somebody likes, since when, as it has been counted.
create table liked (
  listener_id integer not null,
  subject_id  integer not null,
  hour        integer not null,
  primary key (listener_id, subject_id)
);
create index liked_hour_idx on liked (hour);

-- What a track counts for beside itself: its artist and its tags.
create table chart_member (
  track_id integer not null,
  key_id   integer not null,
  primary key (track_id, key_id)
);
-- Whether anything counts for it any more.
create index chart_member_key_idx on chart_member (key_id);

-- Who makes up a sum: listeners are counted once, and a person's own charts are read here.
create table chart_audience (
  period      smallint not null, -- 0 all, 1 month, 2 week, 3 day
  subject_id  integer  not null,
  listener_id integer  not null,
  kind        smallint not null,
  plays       integer  not null,
  likes       integer  not null,
  primary key (period, subject_id, listener_id)
) with (fillfactor = 80);
create index chart_audience_listener_idx on chart_audience (listener_id, period, kind, plays desc, subject_id desc);

-- The sums by origin.
create table chart_part (
  period     smallint not null,
  subject_id integer  not null,
  origin_id  integer  not null,
  plays      bigint   not null,
  listeners  bigint   not null,
  likes      bigint   not null,
  primary key (period, subject_id, origin_id)
) with (fillfactor = 70);

-- The sums, and what they count for in the order.
create table chart (
  period         smallint not null,
  kind           smallint not null,
  subject_id     integer  not null,
  plays          bigint   not null,
  listeners      bigint   not null,
  likes          bigint   not null,
  play_score     bigint   not null,
  listener_score bigint   not null,
  like_score     bigint   not null,
  -- The largest part of each, of origins that are not open: what grows needs no look at the others.
  top_plays      bigint   not null,
  top_listeners  bigint   not null,
  top_likes      bigint   not null,
  primary key (period, subject_id)
) with (fillfactor = 70);
-- A page is a walk down one of these from where the last one ended.
create index chart_plays_idx on chart (period, kind, play_score desc, subject_id desc) where play_score > 0;
create index chart_listeners_idx on chart (period, kind, listener_score desc, subject_id desc) where listener_score > 0;
create index chart_likes_idx on chart (period, kind, like_score desc, subject_id desc) where like_score > 0;

-- What is there already.
insert into chart_due (subject_uri) select uri from track;
insert into chart_due (did) select did from play union select did from reaction where verb = 'like';
