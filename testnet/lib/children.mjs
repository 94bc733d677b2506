// Long-running helper processes: started in groups of their own, watched, and stopped with everything below them.

import { spawn } from 'node:child_process';
import fs from 'node:fs';

/**
 * Starts `command` as the leader of its own process group, so that a Ctrl-C in our terminal reaches us alone and we
 * stop the children in order. Output goes to the file `log` (the last run's is kept as `log`.1), or to our own without
 * one; `read` keeps standard output as a pipe for us. Standard input is a pipe that closes with us.
 */
export function startChild(name, [command, ...args], { env = process.env, log, read = false } = {}) {
  const out = log ? openLog(log) : 'inherit';
  const child = spawn(command, args, { env, detached: true, stdio: ['pipe', read ? 'pipe' : out, out] });
  if (log) fs.closeSync(out);
  child.stdin.on('error', () => {}); // it ended before us: `ended` tells
  const ended = new Promise((resolve) => {
    child.once('error', (error) => resolve({ error }));
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  return { name, child, log, ended, stopping: false };
}

function openLog(file) {
  if (fs.existsSync(file)) fs.renameSync(file, `${file}.1`);
  return fs.openSync(file, 'a');
}

/** Asks the process to end, and after `patienceMs` ends its whole group by force. Resolves when it is gone. */
export async function stopChild(proc, patienceMs) {
  if (!proc || proc.child.pid === undefined) return;
  proc.stopping = true;
  const { child } = proc;
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGTERM');
    const late = setTimeout(() => killGroup(proc), patienceMs);
    await proc.ended;
    clearTimeout(late);
  }
  killGroup(proc); // whatever it left behind
}

/** Ends a process and all in its group at once. */
export function killGroup({ child }) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // no one is left in the group
  }
}

/** How a process ended, in words. */
export function describeEnd({ error, code, signal }) {
  if (error) return error.message;
  return signal ? `ended by ${signal}` : `ended with code ${code}`;
}

/** The last lines of a log file. */
export function tail(file, lines = 20) {
  if (!file || !fs.existsSync(file)) return '';
  return fs.readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}
