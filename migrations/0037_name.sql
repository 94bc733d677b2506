-- Names that are no identity: handles, which change hands, and numbers in the addresses of pages.

-- What each record means by such a name, from when that version of the record came here: so it means the same whenever it is
-- read again, whoever has the handle then. Written beside the record's projection, in one transaction.
create table record_name (
  uri      text collate "C" not null, -- the record
  name     text collate "C" not null, -- a handle; or a page, as in plyr.fm/track/123
  did      text collate "C" not null, -- whose record it is
  meaning  text collate "C",          -- the DID of a handle, the URI of what a page shows; none while it means nothing here
  noted_at timestamptz not null default now(),
  primary key (uri, name)
);
-- Who waits for a name to mean something; how many of somebody's do.
create index record_name_unknown_idx on record_name (name, uri) where meaning is null;
create index record_name_did_idx on record_name (did) where meaning is null;
-- The house throws away the oldest beyond two million.
create index record_name_noted_idx on record_name (noted_at) where meaning is null;

-- What the pages of other servers show whose addresses do not say so, as their operators told us (`plyr import-pages`).
create table page_name (
  page text collate "C" primary key, -- host/path, as in plyr.fm/track/123
  uri  text collate "C" not null     -- the record
);
