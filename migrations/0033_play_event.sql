-- What was heard here, as a player of ours or another client told us: each by itself, so that no history is lost. It stands
-- in nobody's repo and cannot be had again.
create table play_event (
  id          bigint generated always as identity primary key,
  listener    text collate "C" not null, -- a DID; or 'anonymous:' and a hash of the random cookie
  subject_uri text collate "C" not null,
  played_at   timestamptz not null default now(),
  -- As long as the track was then: so long the same listener's next play is this one still.
  window_s    integer     not null,
  client      text,       -- which program says so, where it does
  -- Of anonymous listeners, for a day: a keyed hash of the network that it came from, another each day. Nobody can hear a track
  -- a thousand times from one place.
  network     bytea,
  -- The listener wrote a play record of it as well, within that window: one play, counted there.
  covered     boolean     not null default false,
  constraint play_event_window_positive check (window_s > 0)
);
-- What somebody heard of late, or in a certain hour, and all of them when their standing changes.
create index play_event_listener_idx on play_event (listener, played_at desc);
-- "Is this the same play still?", and whether a record tells of one, too.
create index play_event_subject_idx on play_event (listener, subject_uri, played_at desc);
-- How many listeners of one track one network has had today; and which of them are to be forgotten.
create index play_event_network_idx on play_event (network, subject_uri) where network is not null;
create index play_event_forget_idx on play_event (played_at) where network is not null;

-- play_count is both together, each play once. These are each by itself.
alter table subject_count
  add column plyr_play_count bigint not null default 0, -- events
  add column teal_play_count bigint not null default 0; -- distinct plays by records
update subject_count set teal_play_count = play_count where play_count <> 0;

-- MusicBrainz's name of each artist, beside artist_names; '' where the record has none. `plyr rebuild` fills it for older rows.
alter table play add column artist_mbids text[] not null default '{}';
