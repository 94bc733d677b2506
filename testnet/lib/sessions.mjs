// The community's accounts as a seeding left them, signed in when first used.

import path from 'node:path';
import { readJson } from './files.mjs';
import { signIn } from './xrpc.mjs';

/** The accounts of a demo directory: `[{handle, name, did, password, role}]`. */
export function readAccounts(dir) {
  const accounts = readJson(path.join(dir, 'accounts.json'));
  if (!accounts) throw new Error(`${dir} holds no accounts; run seed.mjs first`);
  return accounts;
}

/** Gives a function from a handle to its session, opened once. */
export function openSessions(base, accounts) {
  const open = new Map();
  return (handle) => {
    if (!open.has(handle)) {
      const account = accounts.find((known) => known.handle === handle);
      const session = signIn(base, account).then((made) => ({ ...made, name: account.name }));
      session.catch(() => open.delete(handle)); // the next one tries again
      open.set(handle, session);
    }
    return open.get(handle);
  };
}
