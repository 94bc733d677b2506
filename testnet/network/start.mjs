// Brings up the directory and the PDS, and answers the commands that tests send while they run.

import fs from 'node:fs';
import path from 'node:path';
import { moveEndpoints, startPlc } from './plc.mjs';
import { bringHome } from './ports.mjs';
import { loadSecrets, startPds } from './pds.mjs';

/** Starts both servers over `dir`. Gives what to print, how to stop, and what to do with a command. */
export async function start({ dir, ports, settings }) {
  const plc = await startPlc({ port: ports.plc, file: path.join(dir, 'plc.jsonl'), form: settings.form });
  const secrets = loadSecrets(dir);
  const endpoint = `http://localhost:${ports.pds}`;
  // By name: the PDS's own fetch refuses a host that is an address.
  const plcUrl = `http://localhost:${ports.plc}`;
  const listenPort = ports.pdsListen ?? ports.pds;
  const pdsOptions = { dir: path.join(dir, 'pds'), port: ports.pds, listenPort, plcUrl, secrets, settings };
  bringHome(settings.loopbackHosts);
  fs.mkdirSync(pdsOptions.dir, { recursive: true });
  let pds = await startPds(pdsOptions);
  await announceMoves(pds.ctx, await moveEndpoints(plc.db, endpoint, pds.ctx.plcRotationKey));

  const stopPds = async () => {
    const old = pds;
    pds = undefined;
    await old?.stop();
  };
  const startAgain = async () => {
    pds ??= await startPds(pdsOptions);
  };
  // One command at a time, in the order sent.
  let queue = Promise.resolve();
  const command = (request) => {
    const run = async () => {
      const { command: name, ...changes } = request;
      if (name === 'stop-pds' || name === 'restart-pds') await stopPds();
      else if (name !== 'start-pds') throw new Error(`no such command: ${name}`);
      Object.assign(settings, changes);
      if (name !== 'stop-pds') await startAgain();
      return { done: name, pds: endpoint };
    };
    const answer = queue.then(run);
    queue = answer.catch(() => {});
    return answer;
  };
  const info = {
    plc: plc.url,
    pds: endpoint,
    plcPort: ports.plc,
    pdsPort: ports.pds,
    ...(ports.pdsListen && { pdsListen: `http://127.0.0.1:${ports.pdsListen}` }),
    adminPassword: secrets.adminPassword,
    handleResolver: `http://127.0.0.1:${ports.pds}`,
  };
  const stop = async () => {
    plc.close();
    await stopPds();
  };
  return { info, command, stop };
}

/** Tells the PDS's own cache and every reader of its stream that these documents changed. */
async function announceMoves(ctx, dids) {
  for (const did of dids) {
    await ctx.idResolver.did.resolve(did, true);
    const account = await ctx.accountManager.getAccount(did, { includeDeactivated: true, includeTakenDown: true });
    if (account) await ctx.sequencer.sequenceIdentity(did, account.handle ?? undefined);
  }
}
