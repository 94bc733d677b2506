// Runs a real PLC directory and a real PDS on loopback over the data in one directory. `--help` says how.

import fs from 'node:fs';
import module from 'node:module';
import path from 'node:path';
import readline from 'node:readline';
import { followParent } from './lib/parent.mjs';
import { isFree, pickFree, portFromEnv } from './network/ports.mjs';

const HELP = `usage: network.mjs DATA_DIR [--with-parent]

Starts a PLC directory and a PDS on 127.0.0.1 and prints one line of JSON when both answer:
  {"ready":true,"plc":"http://127.0.0.1:2582","pds":"http://localhost:2583",...}
A second start over the same DATA_DIR finds the same accounts, also after a kill -9.

  --with-parent         end when the parent process ends, or when standard input (a pipe) is closed

  PLC_PORT              2582   (0: a free one; kept for the next start over the same data)
  PDS_PORT              2583   (0: likewise)
  PDS_LISTEN_PORT       (as PDS_PORT) where the PDS really listens, when a proxy stands at its public port (0: likewise);
                        the first line then names it as "pdsListen"
  LOOPBACK_HOSTS        host names that the PDS finds at 127.0.0.1, comma separated
  BLOB_LIMIT_BYTES      104857600
  REPO_BACKFILL_LIMIT_MS  how far back the event stream reaches (default ten years); a cursor before it gets OutdatedCursor
  SEQUENCER_POLL_MS     20     the longest an idle PDS waits before it looks for new events
  DID_DOC_FORM          multikey | legacy
  CRAWLERS, LEX_AUTHORITY  passed on to the PDS

Commands on standard input, one JSON object a line; each is answered by {"done":<command>,...} or {"error":<text>}:
  {"command":"restart-pds","repoBackfillLimitMs":1000}    (settings are optional and stay)
  {"command":"stop-pds"}   {"command":"start-pds"}

Exit codes: 2 a setting is wrong, 3 a port is taken, 4 a network already runs over this data.`;

const TEN_YEARS_MS = 10 * 365 * 86_400_000;

function positive(name, fallback) {
  const value = process.env[name] ? Number(process.env[name]) : fallback;
  if (Number.isFinite(value) && value > 0) return value;
  console.error(`${name}=${process.env[name]} is not a positive number`);
  return process.exit(2);
}

const list = (name) => (process.env[name] ?? '').split(',').filter(Boolean);

function settingsFromEnv() {
  const form = process.env.DID_DOC_FORM || 'multikey';
  if (form !== 'multikey' && form !== 'legacy') {
    console.error(`DID_DOC_FORM=${form}: must be multikey or legacy`);
    process.exit(2);
  }
  return {
    form,
    blobLimitBytes: positive('BLOB_LIMIT_BYTES', 100 * 1024 * 1024),
    repoBackfillLimitMs: positive('REPO_BACKFILL_LIMIT_MS', TEN_YEARS_MS),
    sequencerPollMs: positive('SEQUENCER_POLL_MS', 20),
    crawlers: list('CRAWLERS'),
    loopbackHosts: list('LOOPBACK_HOSTS'),
    lexiconAuthority: process.env.LEX_AUTHORITY || undefined,
  };
}

/** The ports to serve on: those asked for; for 0 the one this data used last, if free, else any free one. */
async function choosePorts(dir) {
  const file = path.join(dir, 'ports.json');
  const last = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : {};
  const ports = {};
  const wanted = [['PLC_PORT', 'plc', 2582], ['PDS_PORT', 'pds', 2583]];
  if (process.env.PDS_LISTEN_PORT) wanted.push(['PDS_LISTEN_PORT', 'pdsListen', 0]);
  for (const [name, key, fallback] of wanted) {
    const asked = portFromEnv(name, fallback);
    const port = asked || (last[key] && (await isFree(last[key])) ? last[key] : await pickFree());
    if (!(await isFree(port))) {
      console.error(`port ${port} on loopback is taken; choose another with ${name}`);
      process.exit(3);
    }
    ports[key] = port;
  }
  fs.writeFileSync(`${file}.new`, JSON.stringify(ports));
  fs.renameSync(`${file}.new`, file);
  return ports;
}

/** Two servers over one set of SQLite files would corrupt each other's caches: refuse the second. */
function takeDirectory(dir) {
  const file = path.join(dir, 'network.pid');
  const other = fs.existsSync(file) ? Number(fs.readFileSync(file, 'utf8')) : 0;
  if (other && other !== process.pid && isNetwork(other)) {
    console.error(`a network already runs over ${dir} (process ${other})`);
    process.exit(4);
  }
  fs.writeFileSync(file, String(process.pid));
}

function isNetwork(pid) {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('network.mjs');
  } catch {
    return false;
  }
}

const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

async function main() {
  const args = process.argv.slice(2);
  const dir = args.find((arg) => !arg.startsWith('-'));
  if (!dir || args.includes('--help')) {
    console.log(HELP);
    process.exit(dir || args.includes('--help') ? 0 : 2);
  }
  const started = performance.now();
  for (const name of ['http_proxy', 'https_proxy', 'all_proxy']) {
    delete process.env[name];
    delete process.env[name.toUpperCase()];
  }
  fs.mkdirSync(dir, { recursive: true });
  const settings = settingsFromEnv();
  takeDirectory(dir);
  const ports = await choosePorts(dir);
  const network = { stop: async () => {} };
  let ending = false;
  const end = async () => {
    if (ending) return;
    ending = true;
    setTimeout(() => process.exit(0), 1500).unref();
    await network.stop().catch((err) => console.error(err));
    process.exit(0);
  };
  process.on('SIGTERM', end).on('SIGINT', end);
  process.stdout.on('error', end); // our reader is gone
  if (args.includes('--with-parent')) followParent(end);

  // Loaded late: the packages take seconds, a wrong setting should not. What V8 compiles is kept for the next start.
  module.enableCompileCache(path.join(import.meta.dirname, 'node_modules', '.cache', 'v8'));
  const { start } = await import('./network/start.mjs');
  const up = await start({ dir, ports, settings });
  network.stop = up.stop;
  print({ ready: true, ...up.info, pid: process.pid, startMs: Math.round(performance.now() - started) });
  module.flushCompileCache();
  readline.createInterface({ input: process.stdin }).on('line', async (line) => {
    try {
      print(await up.command(JSON.parse(line)));
    } catch (err) {
      print({ error: String(err?.message ?? err) });
    }
  });
}

await main();
