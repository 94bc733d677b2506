// Loopback: is a port free, which one to take when none was asked for, and whose names lead here.

import dns from 'node:dns';
import net from 'node:net';

/** Resolves true when `port` can be bound on 127.0.0.1 and no one holds it on ::1 either: clients of `localhost` try both. */
export async function isFree(port) {
  return (await canBind(port, '127.0.0.1')) && (await canBind(port, '::1'));
}

function canBind(port, host) {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', (err) => resolve(err.code !== 'EADDRINUSE' && err.code !== 'EACCES'));
    probe.listen({ port, host, ipv6Only: host === '::1' }, () => probe.close(() => resolve(true)));
  });
}

/**
 * A free port below the ephemeral range, which begins at 32768 on Linux: an outgoing connection can never take it
 * between this look and the moment the server binds it.
 */
export async function pickFree() {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = 20000 + Math.floor(Math.random() * 12000);
    if (await isFree(port)) return port;
  }
  throw new Error('no free port between 20000 and 32000');
}

/** A port number from an environment variable, or `fallback`. Exits with 2 and the variable's name when it is none. */
export function portFromEnv(name, fallback) {
  const text = process.env[name];
  if (text === undefined || text === '') return fallback;
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  console.error(`${name}=${text} is not a port number (0 to 65535)`);
  process.exit(2);
}

/** Makes every later connection of this process to one of `hosts` go to 127.0.0.1: they are in no name server. */
export function bringHome(hosts) {
  if (hosts.length === 0) return;
  const lookup = dns.lookup;
  dns.lookup = (host, ...rest) => lookup(hosts.includes(host) ? '127.0.0.1' : host, ...rest);
}
