// An independent reader of a Jetstream: checks every event against the schemas of @atcute/jetstream and prints them.

import { parseArgs } from 'node:util';
import { JetstreamSubscription } from '@atcute/jetstream';

const HELP = `usage: jetstream-consume.mjs --url ws://127.0.0.1:6008 --until-uri URI [--collections a,b.*] [--timeout-ms 30000]

Reads /subscribe from its oldest event until one touches the record URI, and prints {records: {uri: cid}, accounts, identities,
events}. Exit code 1 when any event was not of the form, 4 when the end did not come.`;

const { values } = parseArgs({
  options: {
    url: { type: 'string' }, 'until-uri': { type: 'string' }, collections: { type: 'string' },
    'timeout-ms': { type: 'string', default: '30000' }, help: { type: 'boolean' },
  },
});

if (values.help || !values.url) {
  console.log(HELP);
  process.exit(values.help ? 0 : 2);
}

const problems = [];
const out = { records: {}, accounts: {}, identities: {}, events: 0 };
const subscription = new JetstreamSubscription({
  url: values.url,
  cursor: 1e15, // older than everything
  wantedCollections: values.collections?.split(','),
  onError: (err) => problems.push(String(err)),
  onConnectionError: (event) => problems.push(`connection: ${event.message ?? event.error ?? 'failed'}`),
});

function finish(code) {
  for (const problem of problems) console.error(problem);
  process.stdout.write(`${JSON.stringify(out)}\n`, () => process.exit(problems.length > 0 ? 1 : code));
}
setTimeout(() => finish(4), Number(values['timeout-ms']));

let last = 0;
for await (const event of subscription) {
  out.events += 1;
  if (event.time_us < last) problems.push(`out of order: ${event.time_us} after ${last}`);
  last = event.time_us;
  if (event.kind === 'account') out.accounts[event.did] = event.account.active;
  if (event.kind === 'identity') out.identities[event.did] = event.identity.handle;
  if (event.kind !== 'commit') continue;
  const { operation, collection, rkey } = event.commit;
  const uri = `at://${event.did}/${collection}/${rkey}`;
  if (operation === 'delete') delete out.records[uri];
  else out.records[uri] = event.commit.cid;
  if (uri === values['until-uri']) break;
}
finish(0);
