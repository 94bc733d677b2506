// What an authorization server makes of a permission set: reads its lexicon from standard input, takes an `include:` scope as
// argument, and prints the scopes that it stands for as a JSON array.

import { text } from 'node:stream/consumers';
import { IncludeScope } from '@atproto/oauth-scopes';

const scope = IncludeScope.fromString(process.argv[2] ?? '');
if (!scope) {
  console.error('usage: scopes.mjs include:NSID[?aud=DID%23SERVICE] < LEXICON');
  process.exit(2);
}
const lexicon = JSON.parse(await text(process.stdin));
console.log(JSON.stringify(scope.toScopes(lexicon.defs.main)));
