-- What a person has sent within a day is counted, and bytes that came to nothing go sooner than those that were somebody's.

-- Of the form's files as they came; what was sent before nobody counted is free.
alter table upload add column size_bytes bigint not null default 0;
create index upload_day_idx on upload (did, created_at);

-- Whether a record has ever named it. Bytes that somebody gave us to publish have none until their record stands.
alter table blob add column was_named boolean not null default true;
