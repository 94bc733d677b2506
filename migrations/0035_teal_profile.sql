-- fm.teal(.alpha).actor.profile: the name that listeners have among listeners. What else a profile says is read from its record.
create table teal_profile (
  uri          text collate "C" primary key,
  did          text collate "C" not null,
  display_name text
);
-- One per person and namespace; the newer namespace's name sorts before the other's and is the one that is shown.
create index teal_profile_did_idx on teal_profile (did, uri);
-- searchActors looks for parts of names and handles, in whatever case.
create extension if not exists pg_trgm;
create index teal_profile_name_idx on teal_profile using gin (lower(display_name) gin_trgm_ops);
create index actor_handle_trgm_idx on actor using gin (lower(handle) gin_trgm_ops);

-- Such records were passed over until now: the sweep has repos read once more.
update repo set state = 'desynchronized' where state = 'synchronized';
