-- The tags of tracks, a row each: the tracks of a tag are a walk down one index.
create table track_tag (
  uri     text collate "C" not null, -- the track
  tag     text collate "C" not null,
  sort_at timestamptz not null,      -- of the track
  primary key (uri, tag)
);
create index track_tag_feed_idx on track_tag (tag, sort_at desc, uri desc);

-- How many tracks have it; only those of active people count.
create table tag_count (
  tag    text collate "C" primary key, -- prefixes are ranges of it
  tracks bigint not null default 0
) with (fillfactor = 70);
-- The most used first.
create index tag_count_tracks_idx on tag_count ((-tracks), tag) where tracks > 0;

insert into track_tag (uri, tag, sort_at) select uri, unnest(tags), sort_at from track;
insert into tag_count (tag, tracks)
select t.tag, count(*) from track_tag t join track using (uri) join actor a on a.did = track.did and a.active group by t.tag;

-- What somebody likes, the newest first: getActorLikes. By what is liked, for one like of a post may be of several tracks.
create index reaction_actor_idx on reaction (did, verb, sort_at desc, subject_uri desc);
-- Somebody's lists, the newest first; and in which lists something is.
drop index list_did_idx;
create index list_did_idx on list (did, sort_at desc, uri desc);
