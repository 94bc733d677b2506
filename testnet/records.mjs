// Prints every live record of a PDS as {uri: cid}, read back with listRepos and listRecords.

import { parseArgs } from 'node:util';
import { collectionTest } from './lib/collections.mjs';
import { mapLimit } from './lib/progress.mjs';
import { listRecords, query } from './lib/xrpc.mjs';

const HELP = `usage: records.mjs [--pds http://localhost:2583] [--collections fm.plyr.*,fm.teal.feed.play] [--repos DID,DID]

Prints one JSON object {uri: cid} of all records that active accounts hold now; all collections when none are named.
Repos that are not active are left out and named on standard error.`;

async function listRepos(pds) {
  const out = [];
  let cursor;
  do {
    const page = await query(pds, 'com.atproto.sync.listRepos', { limit: 500, cursor });
    out.push(...page.repos);
    cursor = page.cursor;
  } while (cursor);
  return out;
}

async function recordsOf(pds, did, wanted) {
  const { collections } = await query(pds, 'com.atproto.repo.describeRepo', { repo: did });
  const lists = await mapLimit(collections.filter(wanted), 2, (collection) => listRecords(pds, did, collection));
  return lists.flat();
}

async function main() {
  const { values } = parseArgs({
    options: {
      pds: { type: 'string', default: 'http://localhost:2583' }, collections: { type: 'string' }, repos: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return console.log(HELP);
  const wanted = collectionTest(values.collections);
  const only = values.repos?.split(',');
  const repos = (await listRepos(values.pds)).filter(({ did }) => !only || only.includes(did));
  for (const { did, status } of repos.filter((repo) => repo.active === false)) console.error(`${did} is not active: ${status}`);
  const lists = await mapLimit(repos.filter((repo) => repo.active !== false), 4, ({ did }) => recordsOf(values.pds, did, wanted));
  const out = Object.fromEntries(lists.flat().map(({ uri, cid }) => [uri, cid]));
  process.stdout.write(`${JSON.stringify(out)}\n`);
}

await main();
