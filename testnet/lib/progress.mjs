// One line per step of a long job: a counter that moves, and the time it took.

/** Starts a step of `total` parts; `tick` counts one, `done` closes the line. On a terminal the line is redrawn in place. */
export function startStep(name, total) {
  const started = performance.now();
  const live = process.stdout.isTTY;
  let count = 0;
  let shownAt = 0;
  const seconds = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;
  const show = () => {
    const now = performance.now();
    if (now - shownAt < (live ? 60 : 3000)) return;
    shownAt = now;
    process.stdout.write(live ? `\r\x1b[K  ${name} ${count}/${total} …` : `  ${name} ${count}/${total} …\n`);
  };
  if (live) show();
  return {
    tick: (by = 1) => {
      count += by;
      show();
    },
    done: (note = '') => process.stdout.write(`${live ? '\r\x1b[K' : ''}  ${name} ${total}${note} (${seconds()})\n`),
  };
}

/** Runs `work` over `list`, at most `limit` at a time; results in the list's order. The first failure fails all. */
export async function mapLimit(list, limit, work) {
  const out = new Array(list.length);
  let next = 0;
  const lane = async () => {
    while (next < list.length) {
      const i = next++;
      out[i] = await work(list[i], i);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, list.length) }, lane));
  return out;
}
