-- fm.plyr.comment: words at a moment of a track.
create table comment (
  uri          text collate "C" primary key,
  did          text collate "C" not null,
  subject_uri  text collate "C" not null,
  subject_cid  text collate "C" not null,
  body         text        not null,
  timestamp_ms bigint      not null,
  created_at   timestamptz not null,
  updated_at   timestamptz
);

-- getComments walks one track by its moments.
create index comment_subject_idx on comment (subject_uri, timestamp_ms, uri);
-- A status change or an erasure finds one person's comments.
create index comment_did_idx on comment (did);
