-- fm.plyr.actor.profile: what an artist says of themselves here.
create table profile (
  uri        text collate "C" primary key,
  did        text collate "C" not null,
  bio        text,
  avatar_url text,
  created_at timestamptz not null,
  updated_at timestamptz
);
-- One per person (the record key is "self"); every view of a person asks by DID.
create unique index profile_did_idx on profile (did);

-- app.bsky.actor.profile: the name and face people already have.
create table bsky_profile (
  uri          text collate "C" primary key,
  did          text collate "C" not null,
  display_name text,
  description  text,
  avatar_cid   text collate "C"
);
create unique index bsky_profile_did_idx on bsky_profile (did);
