// The whole demo in one command: network, community, plyr, and life on it. `--help` says how.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { describeEnd, killGroup, startChild, stopChild, tail } from './lib/children.mjs';
import { readJson } from './lib/files.mjs';
import { readAccounts } from './lib/sessions.mjs';
import { openBrowser, waitForTracks } from './lib/web.mjs';
import { isFree, portFromEnv } from './network/ports.mjs';

const HELP = `usage: demo.mjs [PLYR_BINARY]

Starts a PLC directory and a PDS on loopback, fills them with artists and music at the first run, starts \`plyr up\`
over them and keeps the network alive until Ctrl-C. Everything is kept in DEMO_DIR; a second run goes on from there.

  PLYR_BIN    the binary, when not given as argument
  DEMO_DIR    ./.demo
  DEMO_PORT   3000   where plyr serves
  PLC_PORT    2582
  PDS_PORT    2583
  METRICS_PORT  9464   where Prometheus may read how plyr does
  DEMO_OPEN   0: do not open a browser
Other settings of plyr (PLYR_*, RUST_LOG) are passed on.`;

const HERE = import.meta.dirname;
const children = [];
let stopping = false;

const say = (text) => console.log(text);
const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

function settings() {
  const dir = path.resolve(process.env.DEMO_DIR || '.demo');
  const binary = process.argv[2] || process.env.PLYR_BIN;
  if (process.argv.includes('--help') || !binary) {
    say(HELP);
    process.exit(binary ? 0 : 2);
  }
  if (!fs.existsSync(binary)) {
    console.error(`no plyr binary at ${binary}; \`make build\` makes one`);
    process.exit(2);
  }
  const defaults = { DEMO_PORT: 3000, PLC_PORT: 2582, PDS_PORT: 2583, METRICS_PORT: 9464 };
  const ports = Object.fromEntries(Object.entries(defaults).map(([name, port]) => [name, portFromEnv(name, port)]));
  return {
    dir, ports, binary: path.resolve(binary),
    web: `http://127.0.0.1:${ports.DEMO_PORT}`, pds: `http://localhost:${ports.PDS_PORT}`,
  };
}

/** Nothing is started when a port is taken: all taken ones are named at once, each with its variable. */
async function checkPorts({ ports }) {
  const taken = [];
  for (const [name, port] of Object.entries(ports)) if (!(await isFree(port))) taken.push([name, port]);
  if (taken.length === 0) return;
  for (const [name, port] of taken) {
    const other = port < 50_000 ? port + 10_000 : port - 10_000;
    console.error(`port ${port} is taken; choose another with ${name}, as in: make demo ${name}=${other}`);
  }
  process.exit(3);
}

function start(name, command, options) {
  const proc = startChild(name, command, options);
  children.push(proc);
  proc.ended.then((end) => {
    if (stopping || proc.stopping) return;
    if (name === 'life') return say(`\nthe events have stopped (${describeEnd(end)}): see ${proc.log}`);
    if (name === 'seed' && end.code === 0) return undefined;
    console.error(`\n${name} ${describeEnd(end)}.`);
    const last = tail(proc.log);
    if (last) console.error(`The end of ${proc.log}:\n\n${last}\n`);
    return stop(1);
  });
  return proc;
}

/** Stops everything in the reverse order of starting: those who write, then plyr, then the network. */
async function stop(code) {
  if (stopping) return;
  stopping = true;
  say('\nstopping …');
  for (const proc of [...children].reverse()) await stopChild(proc, proc.name === 'plyr' ? 20_000 : 4_000);
  say('stopped.');
  process.exit(code);
}

function interrupted() {
  if (!stopping) return stop(0);
  for (const proc of children) killGroup(proc); // asked twice
  return process.exit(130);
}

const node = (script, ...args) => [process.execPath, path.join(HERE, script), ...args];

/** A directory that is new has nothing to go on from: what plyr kept elsewhere for an earlier one of that name is stale. */
function prepareDirectory(dir) {
  if (!fs.existsSync(dir)) spawnSync(path.join(HERE, '../scripts/demo-reset.sh'), [dir], { stdio: 'inherit' });
  fs.mkdirSync(dir, { recursive: true });
}

async function startNetwork({ dir, ports }) {
  const began = performance.now();
  const env = { ...process.env, PLC_PORT: String(ports.PLC_PORT), PDS_PORT: String(ports.PDS_PORT) };
  const command = node('network.mjs', path.join(dir, 'network'), '--with-parent');
  const proc = start('network', command, { env, read: true, log: path.join(dir, 'network.log') });
  const lines = readline.createInterface({ input: proc.child.stdout });
  await new Promise((resolve) => lines.once('line', resolve));
  say(`  PLC directory on 127.0.0.1:${ports.PLC_PORT}, PDS on 127.0.0.1:${ports.PDS_PORT} (${seconds(began)})`);
}

async function seed({ dir, pds, web }) {
  const env = { ...process.env, PDS_URL: pds, PUBLIC_URL: web };
  const { code } = await start('seed', node('seed.mjs', dir), { env }).ended;
  if (code !== 0) await new Promise(() => {}); // `start` is stopping everything
}

async function startPlyr({ dir, binary, web, ports, pds }) {
  const began = performance.now();
  const loopback = (port) => `127.0.0.1:${port}`;
  const env = {
    ...process.env,
    PLYR_DATA_DIR: path.join(dir, 'plyr'),
    PLYR_LISTEN: loopback(ports.DEMO_PORT),
    PLYR_PUBLIC_URL: web,
    PLYR_PLC_URL: `http://${loopback(ports.PLC_PORT)}`,
    PLYR_UPSTREAMS: `repos+ws://${loopback(ports.PDS_PORT)}`,
    PLYR_PRIVATE_HOSTS: [new URL(pds).host, loopback(ports.PDS_PORT), loopback(ports.PLC_PORT)].join(','),
    PLYR_HANDLE_RESOLVER_URL: `http://${loopback(ports.PDS_PORT)}`,
    PLYR_METRICS_LISTEN: loopback(ports.METRICS_PORT),
  };
  delete env.DATABASE_URL; // the demo never touches another database than its own
  // setpriv ends plyr with us even when we are killed without a word.
  const tied = fs.existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'TERM', '--'] : [];
  start('plyr', [...tied, binary, 'up'], { env, log: path.join(dir, 'plyr.log') });
  const count = await waitForTracks(web, readJson(path.join(dir, 'seed.json')).tracks);
  say(`  plyr serves ${count} tracks (${seconds(began)})`);
}

function finalWords({ dir, web, pds }) {
  const accounts = readAccounts(dir);
  const shown = [accounts.find(({ role }) => role === 'artist'), accounts.find(({ role }) => role === 'listener')];
  say(`
  ──────────────────────────────────────────────────────────────
    ${web}

    sign in as   ${shown.map(({ handle, password, role }) => `${handle.padEnd(18)} ${password}   (${role})`).join('\n                 ')}
    their PDS    ${pds}

    logs         ${path.join(dir, 'plyr.log')}
                 ${path.join(dir, 'life.log')}
    Ctrl-C stops everything; \`make demo\` goes on from here, \`make demo-reset\` starts anew.
  ──────────────────────────────────────────────────────────────
`);
}

async function main() {
  const demo = settings();
  await checkPorts(demo);
  process.stdout.on('error', () => {}); // the terminal may be gone before we are
  process.on('SIGINT', interrupted).on('SIGTERM', interrupted).on('SIGHUP', interrupted);
  const began = performance.now();
  prepareDirectory(demo.dir);
  say('network');
  await startNetwork(demo);
  say('community');
  await seed(demo);
  say('plyr');
  await startPlyr(demo);
  const env = { ...process.env, PDS_URL: demo.pds, PUBLIC_URL: demo.web };
  start('life', node('life.mjs', demo.dir, '--with-parent'), { env, log: path.join(demo.dir, 'life.log') });
  say(`ready in ${seconds(began)}`);
  finalWords(demo);
  openBrowser(demo.web);
  await wait(2 ** 31 - 1); // until a signal, or until a child ends
}

try {
  await main();
} catch (err) {
  console.error(`\n${err.message}`);
  const { log } = children.findLast((proc) => proc.log) ?? {};
  if (log) console.error(`The end of ${log}:\n\n${tail(log)}`);
  await stop(1);
}
