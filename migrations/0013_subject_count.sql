-- Numbers shown beside a thing, moved in the transaction that moves what they count. Keyed by uri and not by a row of
-- ours: a like may arrive before its track. Only active people count.
create table subject_count (
  uri           text collate "C" primary key,
  like_count    bigint not null default 0, -- distinct people
  comment_count bigint not null default 0,
  play_count    bigint not null default 0  -- distinct plays
);
