-- What happens here, newest first, is a walk down one index of each kind of thing: fm.plyr.feed.getActivity.

-- Likes on plyr; what is liked elsewhere, of which there is far more, is in no such order and pays for none.
create index reaction_activity_idx on reaction (sort_at desc, uri desc) where verb = 'like' and source = 'plyr';
-- By when they were written, as they say.
create index comment_activity_idx on comment (created_at desc, uri desc);
create index profile_activity_idx on profile (created_at desc, uri desc);
-- Albums and playlists that are lists; the order of somebody's likes is no news.
create index list_activity_idx on list (sort_at desc, uri desc) where list_type in ('album', 'playlist');

-- What addresses and the HTTP API call a list. Made of its name alone, so that it is the same wherever and whenever it is
-- asked for, and nothing has to be kept. Whoever makes two names that make one, makes them for lists of their own.
create function list_id(uri text) returns uuid
  language sql immutable strict parallel safe
  return encode(substring(sha256(uri::bytea) for 16), 'hex')::uuid;
create index list_id_idx on list (list_id(uri));

-- Albums of people who can be seen: those that are a list, and those of whose name a track says that it belongs to it. Where several
-- without a list share a name, such a track belongs to one of them only, and to find that out takes a look at each.
create view told_album as
select a.id, a.did, a.slug, l.uri as list_uri, coalesce(l.updated_at, l.created_at, a.given_at) as changed_at
  from album a
  join actor on actor.did = a.did and actor.active
  left join list l on l.uri = a.list_uri and l.list_type = 'album'
 where l.uri is not null
    or exists (select from album_slug b join track t on t.did = b.did and t.album_base = b.base where b.album = a.id);
