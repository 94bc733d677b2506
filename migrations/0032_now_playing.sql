-- What people hear now in a player of ours, as it tells it every few seconds. Worth nothing after five minutes, so a crash
-- may take it.
create unlogged table player_state (
  did         text collate "C" primary key,
  track_id    bigint,           -- public_id of the track, as the player names it
  file_id     text,
  track_name  text        not null,
  artist_name text        not null,
  album_name  text,
  duration_ms bigint      not null,
  progress_ms bigint      not null,
  is_playing  boolean     not null,
  image_url   text,
  updated_at  timestamptz not null default now()
);
-- The house throws away what is old.
create index player_state_updated_idx on player_state (updated_at);

-- fm.teal.stats.getLatest: what was heard last, by anybody.
create index play_latest_idx on play (played_at desc, uri desc);
