-- Which record names which blob: who owns the bytes, and where they can be fetched.
create table blob_ref (
  uri  text collate "C" not null,
  cid  text collate "C" not null,
  did  text collate "C" not null,
  role text not null,
  primary key (uri, cid, role),
  constraint blob_ref_role_known check (role in ('audio', 'cover', 'avatar'))
);
create index blob_ref_cid_idx on blob_ref (cid);

-- Bytes we hold a checked copy of. Not rebuilt from records.
create table blob (
  cid         text collate "C" primary key,
  file_id     text collate "C" not null, -- first 16 hex digits of the SHA-256 inside the CID
  size_bytes  bigint      not null,
  mime        text        not null, -- found in the bytes, never what the record claims
  storage_key text        not null, -- verbatim
  stored_at   timestamptz not null default now()
);
-- /audio/{file_id}. 64 bits can collide by will, so not unique: the oldest copy answers.
create index blob_file_id_idx on blob (file_id);
