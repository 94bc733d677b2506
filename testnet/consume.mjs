// An independent reader of a PDS's event stream: verifies every commit and prints the records it ends up with.

import { parseArgs } from 'node:util';
import { IdResolver } from '@atproto/identity';
import { Firehose, MemoryRunner } from '@atproto/sync';
import { collectionTest } from './lib/collections.mjs';
import { deleteRecord, putRecord, signIn } from './lib/xrpc.mjs';
import { tid } from './lib/tid.mjs';

const HELP = `usage: consume.mjs [options]

Reads com.atproto.sync.subscribeRepos from a cursor, checks each commit's signature and proofs with @atproto/sync,
folds all events and prints one JSON object {uri: cid}. Ends when it has read
  --marker HANDLE:PASSWORD   a record that it writes itself, in this account's name, before it begins (and removes after)
  --until-seq N              the event with this sequence number
  --until-uri URI            a commit that touches this record
  (none of them)             nothing for --idle-ms
Exit code 1 when any event failed its checks, 4 when nothing came for --timeout-ms before the end was reached.

  --pds http://localhost:2583    --plc http://127.0.0.1:2582   --cursor 0
  --collections fm.plyr.*,...    only these in the output
  --idle-ms 3000                 --timeout-ms 30000
  --active-only                  without the records of accounts that are not active
  --full                         print {records, accounts, lastSeq, events} instead`;

const MARKER = 'test.testnet.marker';

const { values } = parseArgs({
  options: {
    pds: { type: 'string', default: 'http://localhost:2583' }, plc: { type: 'string', default: 'http://127.0.0.1:2582' },
    cursor: { type: 'string', default: '0' }, collections: { type: 'string' }, marker: { type: 'string' },
    'until-seq': { type: 'string' }, 'until-uri': { type: 'string' }, 'idle-ms': { type: 'string', default: '3000' },
    'timeout-ms': { type: 'string', default: '30000' }, full: { type: 'boolean' }, 'active-only': { type: 'boolean' },
    help: { type: 'boolean' },
  },
});

/** Writes the marker record; gives its uri and what removes it. */
async function writeMarker(pds, credentials) {
  const colon = credentials.indexOf(':');
  const session = await signIn(pds, { handle: credentials.slice(0, colon), password: credentials.slice(colon + 1) });
  const rkey = tid(Date.now());
  const { uri } = await putRecord(session, MARKER, rkey, { createdAt: new Date().toISOString() });
  return { uri, remove: () => deleteRecord(session, MARKER, rkey) };
}

/** What the events say, taken together: the records, and the last status of every account. */
function makeFold(wanted) {
  const fold = { records: new Map(), accounts: {}, events: {}, seenUris: new Map() };
  const forget = (did) => {
    for (const uri of fold.records.keys()) if (uri.startsWith(`at://${did}/`)) fold.records.delete(uri);
  };
  const handle = (event) => {
    fold.events[event.event] = (fold.events[event.event] ?? 0) + 1;
    if (event.event === 'account') {
      fold.accounts[event.did] = event.active ? 'active' : (event.status ?? 'inactive');
      // Only a deletion takes records away; another status hides them for a while.
      if (event.status === 'deleted') forget(event.did);
      return;
    }
    if (!['create', 'update', 'delete'].includes(event.event)) return;
    const uri = event.uri.toString();
    fold.seenUris.set(uri, event.seq);
    if (!wanted(event.collection)) return;
    if (event.event === 'delete') fold.records.delete(uri);
    else fold.records.set(uri, event.cid.toString());
  };
  return { fold, handle };
}

function endTest(untilUri) {
  if (values['until-seq']) return (seq) => seq >= Number(values['until-seq']);
  if (untilUri) return (seq, fold) => seq >= (fold.seenUris.get(untilUri) ?? Infinity);
  return undefined;
}

async function main() {
  if (values.help) return console.log(HELP);
  const marker = values.marker ? await writeMarker(values.pds, values.marker) : undefined;
  const { fold, handle } = makeFold(collectionTest(values.collections));
  const reached = endTest(marker?.uri ?? values['until-uri']);
  const problems = [];
  let heardAt = Date.now();
  let lastSeq = Number(values.cursor);
  const finished = Promise.withResolvers();
  const runner = new MemoryRunner({
    startCursor: lastSeq,
    setCursor: async (seq) => {
      lastSeq = seq; // all events up to here are handled
      heardAt = Date.now();
      if (reached?.(seq, fold)) finished.resolve();
    },
  });
  const url = new URL(values.pds);
  const firehose = new Firehose({
    service: `${url.protocol === 'https:' ? 'wss' : 'ws'}://${url.host}`,
    idResolver: new IdResolver({ plcUrl: values.plc, fetch: globalThis.fetch }),
    runner,
    unauthenticatedHandles: true, // handles of a testnet are in no DNS
    handleEvent: handle,
    onError: (err) => problems.push(`${err.message}: ${err.cause?.message ?? err.cause ?? ''}`),
  });
  const patience = Number(reached ? values['timeout-ms'] : values['idle-ms']);
  const watch = setInterval(() => {
    if (Date.now() - heardAt < patience) return;
    if (reached) problems.unshift(`nothing came for ${patience} ms; the end was not reached (last seq ${lastSeq})`);
    finished.resolve();
  }, 50);
  firehose.start();
  await finished.promise;
  clearInterval(watch);
  await runner.processAll();
  await marker?.remove();

  const isActive = (uri) => (fold.accounts[uri.split('/')[2]] ?? 'active') === 'active';
  const shown = [...fold.records].filter(([uri]) => !values['active-only'] || isActive(uri));
  const records = Object.fromEntries(shown.sort());
  const out = values.full ? { records, accounts: fold.accounts, lastSeq, events: fold.events } : records;
  for (const problem of problems) console.error(problem);
  const code = problems.length === 0 ? 0 : problems[0].startsWith('nothing came') ? 4 : 1;
  process.stdout.write(`${JSON.stringify(out)}\n`, () => process.exit(code));
}

await main();
