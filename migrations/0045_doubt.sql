-- How often an answer about a like proved nothing: it may have been damaged on its way, and is believed only when it was so several
-- times. Of each like by itself: one host that is always away says nothing of another's answers.
alter table awaited_link add column doubts smallint not null default 0;
