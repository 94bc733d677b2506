// The DID directory: the real @did-plc/server with its operation log kept on disk, on 127.0.0.1.

import fs from 'node:fs';
import http from 'node:http';
import { once } from 'node:events';
import * as plc from '@did-plc/lib';
import plcServer from '@did-plc/server';

const { MockDatabase, PlcServer } = plcServer;

/** The server's in-memory database plus an append-only file: an operation is answered only once it is on disk. */
class LoggedDatabase extends MockDatabase {
  constructor(file) {
    super();
    this.file = file;
    this.documents = new Map();
  }

  /** Replays the saved log through the same validation that took it in. A torn last line (power cut) is dropped. */
  async replay() {
    const text = fs.existsSync(this.file) ? fs.readFileSync(this.file, 'utf8') : '';
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    for (const line of whole.split('\n').filter(Boolean)) {
      const { did, operation, createdAt } = JSON.parse(line);
      await super.validateAndAddOp(did, operation);
      this.contents[did].at(-1).createdAt = new Date(createdAt);
    }
    if (whole.length !== text.length) fs.truncateSync(this.file, Buffer.byteLength(whole));
    this.log = fs.openSync(this.file, 'a', 0o600);
  }

  async validateAndAddOp(did, operation) {
    await super.validateAndAddOp(did, operation);
    const { createdAt } = this.contents[did].at(-1);
    fs.writeSync(this.log, `${JSON.stringify({ did, operation, createdAt })}\n`);
    fs.fdatasyncSync(this.log);
  }

  /** What the log of `did` says now; null when tombstoned, undefined when never registered. Checked once per operation. */
  async data(did) {
    const ops = await this.opsForDid(did);
    if (ops.length === 0) return undefined;
    const known = this.documents.get(did);
    if (known?.length === ops.length) return known.data;
    const data = await plc.validateOperationLog(did, ops);
    this.documents.set(did, { length: ops.length, data });
    return data;
  }
}

/** The document in the form plc.directory serves today; the server package still speaks the 2019 key type. */
function multikeyDocument(data) {
  const methods = Object.entries(data.verificationMethods);
  const services = Object.entries(data.services);
  return {
    '@context': [
      'https://www.w3.org/ns/did/v1',
      'https://w3id.org/security/multikey/v1',
      'https://w3id.org/security/suites/secp256k1-2019/v1',
    ],
    id: data.did,
    alsoKnownAs: data.alsoKnownAs,
    verificationMethod: methods.map(([id, key]) => ({
      id: `${data.did}#${id}`,
      type: 'Multikey',
      controller: data.did,
      publicKeyMultibase: key.replace(/^did:key:/, ''),
    })),
    service: services.map(([id, { type, endpoint }]) => ({ id: `#${id}`, type, serviceEndpoint: endpoint })),
  };
}

async function serveDocument(db, did, res) {
  const data = await db.data(did);
  const status = data ? 200 : data === null ? 410 : 404;
  const body = data
    ? multikeyDocument(data)
    : { message: `DID not ${data === null ? 'available' : 'registered'}: ${did}` };
  res.writeHead(status, {
    'content-type': data ? 'application/did+ld+json; charset=utf-8' : 'application/json; charset=utf-8',
    'access-control-allow-origin': '*',
  });
  res.end(JSON.stringify(body));
}

function didOfPath(url) {
  try {
    return /^\/(did:plc:[a-z2-7]{24})$/.exec(decodeURIComponent(url.split('?')[0]))?.[1];
  } catch {
    return undefined;
  }
}

/**
 * Starts the directory on 127.0.0.1:`port` with the log in `file`. `form` is `multikey` (as plc.directory answers
 * today) or `legacy` (as the package does: EcdsaSecp256k1VerificationKey2019).
 */
export async function startPlc({ port, file, form }) {
  const db = new LoggedDatabase(file);
  await db.replay();
  const { app } = PlcServer.create({ db, port });
  const server = http.createServer((req, res) => {
    const did = form === 'multikey' && req.method === 'GET' ? didOfPath(req.url) : undefined;
    if (!did) return app(req, res);
    serveDocument(db, did, res).catch((err) => res.writeHead(500).end(String(err)));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return { db, url: `http://127.0.0.1:${port}`, close: () => server.close().closeAllConnections() };
}

/**
 * Signs an operation for every DID whose PDS endpoint is not `endpoint`, and gives their DIDs: the same data can then
 * be served on other ports, and the documents say so in the way a real migration would.
 */
export async function moveEndpoints(db, endpoint, rotationKey) {
  const moved = [];
  for (const did of Object.keys(db.contents)) {
    const data = await db.data(did);
    if (!data || data.services.atproto_pds?.endpoint === endpoint) continue;
    const last = await db.lastOpForDid(did);
    await db.validateAndAddOp(did, await plc.updatePdsOp(last, rotationKey, endpoint));
    moved.push(did);
  }
  return moved;
}
