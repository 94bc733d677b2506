-- fm.teal(.alpha).feed.play: somebody heard something, on any service.
create table play (
  uri          text collate "C" primary key,
  did          text collate "C" not null,
  -- The same play can stand in both namespaces: one person, second, title and first artist make one play.
  play_key     text        not null,
  track_name   text        not null,
  artist_names text[]      not null,
  release_name text,
  recording_mbid text,
  release_mbid text,
  isrc         text,
  duration_s   integer,
  origin_uri   text,
  service_uri  text,
  subject_uri  text collate "C", -- the track of ours that the origin names, if it names one
  played_at    timestamptz not null
);

-- Plays of one track, one row per distinct play when counted.
create index play_subject_idx on play (subject_uri, did, play_key) where subject_uri is not null;
-- A person's history, newest first; also erasure and status changes.
create index play_did_idx on play (did, played_at desc, uri desc);
