// Opens a track's page in a real Chromium and watches its numbers: `numbers.mjs PAGE_URL [SCREENSHOTS]`. Each line of the standard
// input is JSON, {"like-count": "2", "share-count": null}: what the page is to show under these names, null for nothing. Prints
// {"ready":true} once the page follows the network, and for each line, when it holds, what is shown; the page is never reloaded. With
// SCREENSHOTS, a picture of each: SCREENSHOTS1.png and so on.

import readline from 'node:readline';
import { chromium } from 'playwright-core';

const [url, screenshot] = process.argv.slice(2);
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS, timeout: 90_000 });
const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
page.setDefaultTimeout(60_000);
const errors = [];
let [loads, steps] = [0, 0];
page.on('pageerror', (error) => errors.push(String(error)));
page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
page.on('load', () => { loads += 1; });

await page.goto(url);
const detail = page.getByTestId('detail');
await detail.getByTestId('detail-title').waitFor();
await page.getByTestId('live').and(page.locator('[data-state="live"]')).waitFor();
console.log(JSON.stringify({ ready: true }));

// All at one moment: what is there now may be gone when it is asked for its text.
const show = (names) => detail.evaluate((root, names) => {
  const text = (name) => root.querySelector(`[data-testid="${name}"]`)?.textContent.trim() ?? null;
  return Object.fromEntries(names.map((name) => [name, text(name)]));
}, names);

for await (const line of readline.createInterface({ input: process.stdin })) {
  const wanted = JSON.parse(line);
  let shown;
  for (const end = Date.now() + 60_000; Date.now() < end; await page.waitForTimeout(50)) {
    shown = await show(Object.keys(wanted));
    if (Object.entries(wanted).every(([name, text]) => shown[name] === text)) break;
  }
  if (screenshot) await page.screenshot({ path: `${screenshot}${++steps}.png`, fullPage: true });
  console.log(JSON.stringify({ shown, loads, errors }));
}
await browser.close();
