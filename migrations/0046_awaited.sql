-- Likes of posts that are not young any more: of repos that are read as a whole, where whoever shared something may be read later
-- than whoever liked that; and of posts that name something by a handle or page which means nothing here yet. Either may take days.
-- Young ones are many more, and come to nothing within an hour: neither shall push out the other.
alter table awaited_link add column is_old boolean not null default false;
-- The sweep looks for the oldest of each.
drop index awaited_link_seen_idx;
create index awaited_link_seen_idx on awaited_link (is_old, seen_at);

-- Of posts that are known to share something a backlink service can tell who quotes them, too.
insert into job (kind, key) select distinct 'backlinks', post_uri from shared_post on conflict do nothing;
