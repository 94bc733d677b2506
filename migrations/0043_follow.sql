-- Whom people who have signed in here follow on Bluesky: their timeline. Of nobody else is it kept.

-- Since when.
alter table actor add member_at timestamptz;

create table follow (
  uri         text collate "C" primary key,
  did         text collate "C" not null, -- who follows
  subject_did text collate "C" not null, -- whom
  sort_at     timestamptz not null
);
-- A timeline is of those whom one person follows, the last ones where they are too many.
create index follow_did_idx on follow (did, sort_at desc, subject_did);

-- Who is signed in: their repos are read again for it, as any that is not whole.
update actor set member_at = now() where did in (select did from session);
update repo set state = 'desynchronized' where state = 'synchronized' and did in (select did from session);
