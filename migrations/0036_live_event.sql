-- What happened of late, for clients that follow it over /live: each by itself, and told under the generation of its
-- transaction, as live_change is. Unlogged for the same reason: who may have missed something is told so.
create unlogged table live_event (
  id          bigint generated always as identity primary key,
  generation  bigint      not null,
  kind        text        not null, -- like, comment, play, status, track
  uri         text collate "C",     -- the record; none for a play that a player told of
  did         text collate "C",     -- who; none where that is nobody's to know
  subject_uri text collate "C",     -- the track that it is about
  created_at  timestamptz not null default now()
);
-- One notification names its generation.
create index live_event_generation_idx on live_event (generation);
-- Who comes back goes on where they were; old ones are swept.
create index live_event_age_idx on live_event (created_at);
-- Erasure.
create index live_event_did_idx on live_event (did) where did is not null;
