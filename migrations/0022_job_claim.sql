-- A random number of the claim, so that a worker whose lease ran out unnoticed cannot end, renew or put back a job that
-- another has taken up meanwhile.
alter table job add column claim bigint;
