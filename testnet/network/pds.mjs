// The personal data server: the real @atproto/pds on 127.0.0.1, with secrets and data that outlive the process.

import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { once } from 'node:events';
import { PDS, envToCfg, envToSecrets } from '@atproto/pds';

/** The secrets of this data directory, made at its first start: tokens and DIDs stay valid over restarts. */
export function loadSecrets(dir) {
  const file = path.join(dir, 'secrets.json');
  if (fs.existsSync(file)) return JSON.parse(fs.readFileSync(file, 'utf8'));
  const secret = () => crypto.randomBytes(32).toString('hex');
  const secrets = { jwtSecret: secret(), dpopSecret: secret(), adminPassword: secret(), plcRotationKey: secret() };
  fs.writeFileSync(`${file}.new`, JSON.stringify(secrets), { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
  return secrets;
}

/** Settings of the PDS: everything a loopback network needs, nothing that reaches out of it. */
function environment({ dir, port, plcUrl, secrets, settings }) {
  return {
    hostname: 'localhost', // any other name makes the PDS call itself https://
    port,
    serviceName: 'plyr testnet',
    dataDirectory: dir,
    blobstoreDiskLocation: path.join(dir, 'blobs'),
    blobstoreDiskTmpLocation: path.join(dir, 'blobs-tmp'),
    blobUploadLimit: settings.blobLimitBytes,
    didPlcUrl: plcUrl,
    serviceHandleDomains: ['.test'],
    inviteRequired: false,
    enableDidDocWithSession: true,
    devMode: true,
    disableSsrfProtection: true,
    rateLimitsEnabled: false,
    maxSubscriptionBuffer: 20_000,
    repoBackfillLimitMs: settings.repoBackfillLimitMs,
    crawlers: settings.crawlers,
    lexiconDidAuthority: settings.lexiconAuthority,
    jwtSecret: secrets.jwtSecret,
    dpopSecret: secrets.dpopSecret,
    adminPassword: secrets.adminPassword,
    plcRotationKeyK256PrivateKeyHex: secrets.plcRotationKey,
  };
}

/** Starts the PDS over the data in `dir`; `stop` ends it with every open socket. */
export async function startPds(options) {
  const { dir, port, listenPort, settings } = options;
  for (const sub of ['', 'blobs', 'blobs-tmp', 'actors']) fs.mkdirSync(path.join(dir, sub), { recursive: true });
  const env = environment(options);
  const pds = await PDS.create(envToCfg(env), envToSecrets(env));

  // The sequencer polls its own table with waits of up to a second when idle. Shorter ones let a measured delay be
  // the reader's own.
  const { sequencer } = pds.ctx;
  sequencer.exponentialBackoff = () => new Promise((resolve) => setTimeout(resolve, settings.sequencerPollMs));
  await sequencer.start();

  const sockets = new Set();
  const server = pds.app.listen(listenPort, '127.0.0.1');
  server.on('connection', (socket) => sockets.add(socket.on('close', () => sockets.delete(socket))));
  server.keepAliveTimeout = 90_000;
  await once(server, 'listening');

  const stop = async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    await pds.ctx.destroy();
  };
  return { ctx: pds.ctx, url: `http://localhost:${port}`, stop };
}
