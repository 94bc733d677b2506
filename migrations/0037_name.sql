-- Names that are no identity: handles, which change hands, and numbers in the addresses of other servers' pages. What a record
-- names by one is looked up when the record is read, and must come out the same whenever it is read again.

-- Who had which handle since when, as far as we verified it both ways. A record means whoever had it when the record was first
-- seen; where nobody was known then, whoever was found to have it first. Rows are added and never changed, so a handle that
-- moves takes nothing with it.
create table handle_held (
  handle text collate "C" not null,
  did    text collate "C" not null,
  since  timestamptz not null default now(),
  primary key (handle, since)
);
-- Of an erased person nothing stays.
create index handle_held_did_idx on handle_held (did);
insert into handle_held (handle, did, since)
select handle, did, coalesce(handle_at, now()) from actor where handle is not null;

-- What the pages of other servers show whose addresses do not say so, as their operators told us (`plyr import-pages`).
create table page_name (
  page text collate "C" primary key, -- host/path, as in plyr.fm/track/123
  uri  text collate "C" not null     -- the record
);
-- Of an erased person nothing stays.
create index page_name_uri_idx on page_name (uri);

-- Which records named something by a name that meant nothing to us yet: they are read again when it does. Only hints: a note
-- whose record is gone costs a look.
create table unknown_name (
  name     text collate "C" not null, -- a handle, or a page as above
  uri      text collate "C" not null, -- the record
  did      text collate "C" not null, -- whose it is
  noted_at timestamptz not null default now(),
  primary key (name, uri)
);
-- A record that is read again is noted anew; so is a person erased.
create index unknown_name_uri_idx on unknown_name (uri);
-- The house throws away the oldest beyond two million.
create index unknown_name_noted_idx on unknown_name (noted_at);
