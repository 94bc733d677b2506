-- fm.plyr.list: an album, a playlist, or the order of someone's likes.
create table list (
  uri        text collate "C" primary key,
  did        text collate "C" not null,
  name       text,
  list_type  text,
  created_at timestamptz not null,
  updated_at timestamptz,
  sort_at    timestamptz not null
);
create index list_did_idx on list (did);

create table list_item (
  list_uri    text collate "C" not null,
  position    integer not null, -- from 0, as in the record
  subject_uri text collate "C" not null,
  subject_cid text collate "C" not null,
  primary key (list_uri, position)
);
