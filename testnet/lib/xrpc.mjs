// Calls to a PDS over HTTP: XRPC with plain fetch, sessions, and the few repo operations the tools share.

/** A refusal by the server: HTTP `status`, and the `error` name of its JSON answer. */
export class XrpcError extends Error {
  constructor(nsid, status, body) {
    super(`${nsid}: ${status} ${body?.error ?? ''} ${body?.message ?? ''}`.trim());
    this.status = status;
    this.error = body?.error;
  }
}

async function send(url, nsid, init) {
  const res = await fetch(url, init);
  const text = await res.text();
  let body;
  try {
    body = text ? JSON.parse(text) : undefined;
  } catch {
    body = { message: text.slice(0, 200) };
  }
  if (!res.ok) throw new XrpcError(nsid, res.status, body);
  return body;
}

const bearer = (token) => (token ? { authorization: `Bearer ${token}` } : {});

/** A query (GET). */
export function query(base, nsid, params = {}, token = undefined) {
  const search = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== undefined));
  return send(`${base}/xrpc/${nsid}?${search}`, nsid, { headers: bearer(token) });
}

/** A procedure (POST). No `input` sends no body at all, which some methods insist on. */
export function procedure(base, nsid, input, token = undefined) {
  const headers = { ...bearer(token), ...(input === undefined ? {} : { 'content-type': 'application/json' }) };
  const body = input === undefined ? undefined : JSON.stringify(input);
  return send(`${base}/xrpc/${nsid}`, nsid, { method: 'POST', headers, body });
}

/** Opens a session for an account `{handle, password}` and gives it back as `{base, did, handle, password, token}`. */
export async function signIn(base, { handle, password }) {
  const made = await procedure(base, 'com.atproto.server.createSession', { identifier: handle, password });
  return { base, did: made.did, handle, password, token: made.accessJwt };
}

/** A procedure in the name of a session, signed in anew when its token has expired. */
export async function as(session, nsid, input) {
  try {
    return await procedure(session.base, nsid, input, session.token);
  } catch (err) {
    if (err.error !== 'ExpiredToken') throw err;
    session.token = (await signIn(session.base, session)).token;
    return procedure(session.base, nsid, input, session.token);
  }
}

/** Uploads bytes and gives the blob reference to put into a record. */
export async function uploadBlob(session, bytes, mimeType) {
  const nsid = 'com.atproto.repo.uploadBlob';
  const headers = { ...bearer(session.token), 'content-type': mimeType };
  const made = await send(`${session.base}/xrpc/${nsid}`, nsid, { method: 'POST', headers, body: bytes });
  return made.blob;
}

/** Writes one record, new or in place of what is there; gives `{uri, cid}`. */
export async function putRecord(session, collection, rkey, value) {
  const record = { $type: collection, ...value };
  const input = { repo: session.did, collection, rkey, record };
  const { uri, cid } = await as(session, 'com.atproto.repo.putRecord', input);
  return { uri, cid };
}

/** Removes one record; no error when it is not there. */
export function deleteRecord(session, collection, rkey) {
  return as(session, 'com.atproto.repo.deleteRecord', { repo: session.did, collection, rkey });
}

/** All records of one collection of one repo: `[{uri, cid, value}]`. */
export async function listRecords(base, repo, collection) {
  const out = [];
  let cursor;
  do {
    const page = await query(base, 'com.atproto.repo.listRecords', { repo, collection, limit: 100, cursor });
    out.push(...page.records);
    cursor = page.cursor;
  } while (cursor);
  return out;
}

/** Creates the records `[{rkey, value}]` that are not there yet, up to `batch` to a commit. Gives all as `{rkey: {uri, cid}}`. */
export async function ensureRecords(session, collection, records, batch = 10) {
  const there = await listRecords(session.base, session.did, collection);
  const out = Object.fromEntries(there.map(({ uri, cid }) => [uri.split('/').at(-1), { uri, cid }]));
  const missing = records.filter(({ rkey }) => !out[rkey]);
  for (let i = 0; i < missing.length; i += batch) {
    const part = missing.slice(i, i + batch);
    const writes = part.map(({ rkey, value }) => ({
      $type: 'com.atproto.repo.applyWrites#create',
      collection,
      rkey,
      value: { $type: collection, ...value },
    }));
    const made = await as(session, 'com.atproto.repo.applyWrites', { repo: session.did, writes });
    part.forEach(({ rkey }, j) => {
      out[rkey] = { uri: made.results[j].uri, cid: made.results[j].cid };
    });
  }
  return out;
}
