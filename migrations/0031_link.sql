-- Who in the network speaks of what: likes, reposts, shares and comments of anybody, not only of those who have music here.

-- People whom we only know by a like or a share are not followed: their repos are neither read as a whole nor compared, and
-- of what they write only what names something of ours is kept.
alter table actor add column followed_at timestamptz default now();
update actor set followed_at = first_seen_at;
-- Other processes ask every half minute who is new.
create index actor_first_seen_idx on actor (first_seen_at);
create index actor_followed_idx on actor (followed_at);

-- One row for each thing that a record names, as far as it is ours or a post that shares what is ours.
create table link (
  uri        text collate "C" not null, -- the record that names it; its cid and rev stand in `record`
  did        text collate "C" not null, -- whose it is
  collection text collate "C" not null,
  rkey       text collate "C" not null,
  path       text collate "C" not null, -- where in the record: subject.uri, embed.external.uri
  target     text collate "C" not null, -- an at-uri, its authority a DID
  created_at timestamptz not null,      -- the record's claim
  sort_at    timestamptz not null       -- least(created_at, first seen)
);
-- What a record named, when it is replaced or goes. That no row is there twice is the door's work, which takes away all of a
-- record's before it adds any: a key of three long texts would only cost every like.
create index link_uri_idx on link (uri);
-- getBacklinks walks what names one target, newest first: keys are TIDs.
create index link_target_idx on link (target, collection, path, rkey desc, did desc);
-- "Does this person name it by another record?" is asked for every link that comes or goes.
-- All four: with fewer, the index above is taken for it, in which the person bounds nothing.
create index link_person_idx on link (target, did, collection, path);

-- How many records, and how many people; only active people count.
create table link_count (
  target     text collate "C" not null,
  collection text collate "C" not null,
  path       text collate "C" not null,
  records    bigint not null default 0,
  people     bigint not null default 0,
  primary key (target, collection, path)
) with (fillfactor = 70);

-- Posts on Bluesky that share something of ours: who likes such a post likes what it shares.
create table shared_post (
  post_uri    text collate "C" not null,
  subject_uri text collate "C" not null,
  did         text collate "C" not null, -- of the post
  created_at  timestamptz not null,      -- the post's claim
  found_at    timestamptz not null default now(),
  primary key (post_uri, subject_uri)
);
-- The shares of one thing.
create index shared_post_subject_idx on shared_post (subject_uri, created_at desc, post_uri desc);
-- A change of status finds a person's shares; other processes ask which are new.
create index shared_post_did_idx on shared_post (did);
create index shared_post_found_idx on shared_post (found_at);

-- Who likes or reposts something, and by which record: of the thing itself, here or on Bluesky, or of a post that shares it
-- while post and author live. Takes the place of plyr_like.
create table reaction (
  uri         text collate "C" not null, -- the like or repost
  subject_uri text collate "C" not null, -- what is liked in the end
  did         text collate "C" not null,
  verb        text        not null, -- 'like', 'repost'
  source      text        not null, -- 'plyr', 'bluesky', 'share'
  via         text collate "C",     -- the post, where the source is a share
  created_at  timestamptz not null,
  sort_at     timestamptz not null,
  constraint reaction_verb_known check (verb in ('like', 'repost')),
  constraint reaction_source_known check (source in ('plyr', 'bluesky', 'share')),
  constraint reaction_via_post check ((source = 'share') = (via is not null))
);
-- As with links.
create index reaction_uri_idx on reaction (uri);
-- "Does this person like it by another record?", and the oldest stands for them in getLikes: they have few each.
create index reaction_person_idx on reaction (subject_uri, did);
-- getLikes walks one subject's likes, newest first.
create index reaction_subject_idx on reaction (subject_uri, verb, sort_at desc, uri desc);
-- When a share goes, so does what came by it.
create index reaction_via_idx on reaction (via) where via is not null;

insert into reaction (uri, subject_uri, did, verb, source, created_at, sort_at)
select uri, subject_uri, did, 'like', 'plyr', created_at, sort_at from plyr_like;
insert into link (uri, did, collection, rkey, path, target, created_at, sort_at)
select l.uri, l.did, r.collection, r.rkey, 'subject.uri', l.subject_uri, l.created_at, l.sort_at
  from plyr_like l join record r using (uri)
union all
select c.uri, c.did, r.collection, r.rkey, 'subject.uri', c.subject_uri, c.created_at, least(c.created_at, r.first_seen_at)
  from comment c join record r using (uri)
union
select i.list_uri, l.did, r.collection, r.rkey, 'items[].subject.uri', i.subject_uri, l.created_at, l.sort_at
  from list_item i join list l on l.uri = i.list_uri join record r on r.uri = i.list_uri
union all
select p.uri, p.did, r.collection, r.rkey, case r.collection when 'fm.teal.feed.play' then 'originUri' else 'originUrl' end,
       p.subject_uri, p.played_at, p.played_at
  from play p join record r using (uri) where p.subject_uri is not null;
insert into link_count (target, collection, path, records, people)
select target, collection, path, count(*), count(distinct l.did)
  from link l join actor a on a.did = l.did and a.active group by target, collection, path;
drop table plyr_like;

-- The people of like_count, by where their likes stand: one person may be of all three.
alter table subject_count
  add column plyr_like_count    bigint not null default 0,
  add column bluesky_like_count bigint not null default 0,
  add column share_like_count   bigint not null default 0,
  add column share_count        bigint not null default 0, -- posts that share it
  add column repost_count       bigint not null default 0; -- people who reposted it, or a post that shares it
update subject_count set plyr_like_count = like_count;

-- Likes and reposts of posts that may turn out to be shares: the post of one host may come after its likes of another.
-- Only names: whether it is so is asked of the PDS, once the post is known. Swept after an hour.
create table awaited_link (
  uri     text collate "C" not null, -- the like or repost
  target  text collate "C" not null, -- the post
  seen_at timestamptz not null default now(),
  primary key (target, uri)
);
create index awaited_link_uri_idx on awaited_link (uri);
create index awaited_link_seen_idx on awaited_link (seen_at);

-- What followed people like and share on Bluesky was passed over until now: the sweep has their repos read once more.
update repo set state = 'desynchronized' where state = 'synchronized';
