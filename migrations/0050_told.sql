-- When those who follow were last told what this player plays, and that it holds for a while: told again before that is over,
-- and not with every word of a player that goes on playing the same.
alter table player_state add column told_at timestamptz not null default '-infinity';
