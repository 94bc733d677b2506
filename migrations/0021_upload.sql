-- What people gave us to publish: one row an upload, from the moment its bytes are ours. Kept after it has ended: it names
-- the bytes of a track whose record has only our address for them.
create table upload (
  id            text collate "C" primary key, -- a random UUID, known to the uploader alone; the key of its job
  did           text collate "C" not null,
  session       bytea       not null, -- by whose grant it is published
  uri           text collate "C" not null unique, -- the record, its key reserved before anything is sent
  status        text        not null default 'pending',
  phase         text,        -- of the work, for the person who waits: metadata, image, atproto, database
  message       text        not null,
  error         text,        -- why it failed, for the same person
  warnings      text[]      not null default '{}',
  -- As given, checked.
  title         text        not null,
  album         text,
  description   text,
  tags          text[]      not null default '{}',
  features      text[]      not null default '{}', -- handles or DIDs
  audio_cid     text collate "C" not null, -- its blob rows are written in the same transaction
  image_cid     text collate "C",          -- the picture as given
  -- As found out on the way; what is there is not done again.
  duration_s    integer,
  cover_cid     text collate "C", -- the picture as published
  cover_blob    jsonb,       -- as the PDS named it after uploadBlob
  audio_blob    jsonb,
  blob_refused  boolean     not null default false, -- the PDS does not take the audio: the record gets our address only
  record        jsonb,       -- as sent, so that a second attempt sends the same
  record_cid    text collate "C", -- where it stands
  sent_bytes    bigint      not null default 0, -- to the PDS, of
  total_bytes   bigint      not null default 0,
  created_at    timestamptz not null,
  completed_at  timestamptz,
  constraint upload_status_known check (status in ('pending', 'processing', 'completed', 'failed')),
  constraint upload_completed check ((completed_at is not null) = (status in ('completed', 'failed')))
);
-- A second upload of the same bytes by the same person waits for the first.
create index upload_audio_idx on upload (audio_cid, did);
-- The collector and the house ask for what is unfinished, which is little.
create index upload_unfinished_idx on upload (created_at) where completed_at is null;

-- The smaller forms of a cover that we made. Not rebuilt from records.
create table cover_size (
  cover_cid text collate "C" not null, -- as records name it
  width_px  integer not null,          -- of the square that it fits in
  cid       text collate "C" not null,
  primary key (cover_cid, width_px)
);
-- Which cover does this belong to? Asked by the collector, and before bytes are handed out.
create index cover_size_cid_idx on cover_size (cid);

-- When the collector first saw that nothing names a blob any more; null = something does, or it has not looked yet.
alter table blob add column unused_since timestamptz;
create index blob_unused_idx on blob (unused_since) where unused_since is not null;
-- Whether a file is named by any row at all.
create index blob_storage_key_idx on blob (storage_key);

-- Every reason for which bytes are kept: a record names them, they are a smaller form of a cover that a record names, or
-- somebody has given them to us and their record is not there yet.
create view blob_use (cid) as
  select cid from blob_ref
  union all
  select s.cid from cover_size s join blob_ref r on r.cid = s.cover_cid
  union all
  select v.cid from upload u cross join lateral (values (u.audio_cid), (u.image_cid), (u.cover_cid)) as v (cid)
  where u.completed_at is null and v.cid is not null
  union all
  select s.cid from cover_size s join upload u on u.cover_cid = s.cover_cid where u.completed_at is null;
