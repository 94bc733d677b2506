-- fm.teal(.alpha).actor.status: what somebody says they hear now. At most one row a namespace and person.
create table actor_status (
  uri          text collate "C" primary key,
  did          text collate "C" not null,
  started_at   timestamptz not null,
  expires_at   timestamptz not null,
  track_name   text        not null,
  artist_names text[]      not null,
  release_name text,
  duration_s   integer,
  origin_uri   text,
  service_uri  text,
  subject_uri  text collate "C"
);
create index actor_status_did_idx on actor_status (did, started_at desc);
