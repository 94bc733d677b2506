-- fm.plyr.track as the page and the feeds need it.
create table track (
  uri          text collate "C" primary key,
  did          text collate "C" not null,
  title        text        not null,
  artist       text        not null,
  album        text,
  description  text,
  file_type    text        not null,
  duration_s   integer,
  audio_cid    text collate "C", -- blob in the artist's repo
  audio_url    text,             -- as the record says; foreign until mirrored
  image_cid    text collate "C",
  image_url    text,
  tags         text[]      not null default '{}',
  feature_dids text[]      not null default '{}',
  created_at   timestamptz not null, -- the record's claim
  sort_at      timestamptz not null  -- least(created_at, first seen): nobody stays on top by a date in the future
);

-- The latest feed is a keyset walk down (sort_at, uri).
create index track_sort_idx on track (sort_at desc, uri desc);
-- An artist's tracks, newest first, and their number.
create index track_did_idx on track (did, sort_at desc, uri desc);
-- A mirrored blob must find the tracks that wait for it.
create index track_audio_idx on track (audio_cid) where audio_cid is not null;
