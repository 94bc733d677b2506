-- fm.plyr.like. ("like" is a word of SQL.)
create table plyr_like (
  uri         text collate "C" primary key,
  did         text collate "C" not null,
  subject_uri text collate "C" not null,
  subject_cid text collate "C" not null,
  created_at  timestamptz not null,
  sort_at     timestamptz not null
);

-- "Has this person another like of the same thing?" is asked for every like that comes or goes.
create index plyr_like_subject_did_idx on plyr_like (subject_uri, did, sort_at, uri);
-- getLikes walks one subject's likes, newest first.
create index plyr_like_subject_sort_idx on plyr_like (subject_uri, sort_at desc, uri desc);
-- A status change or an erasure finds one person's likes.
create index plyr_like_did_idx on plyr_like (did);
