// Opens a page of another site in a real Chromium on which a player of ours stands: `embed.mjs HTML [SCREENSHOTS]`. HTML is what
// /oembed gives. Plays it, where there are rows the second and what follows it, and prints one JSON line of what it saw. With
// SCREENSHOTS, a picture in the dark and one in the light: SCREENSHOTS-dark.png and so on.

import { createServer } from 'node:http';
import { chromium } from 'playwright-core';

const [html, screenshots] = process.argv.slice(2);
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required',
];

const host = createServer((_, response) => {
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end(`<!doctype html><title>a blog</title><link rel="icon" href="data:,"><p>hear this:</p>${html}`);
}).listen(0, '127.0.0.1');
await new Promise((listening) => host.once('listening', listening));

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS, timeout: 90_000 });
const page = await browser.newPage({ viewport: { width: 900, height: 700 }, colorScheme: 'dark' });
page.setDefaultTimeout(60_000);
const errors = [];
page.on('pageerror', (error) => errors.push(String(error)));
page.on('console', (message) => ['error', 'warning'].includes(message.type()) && errors.push(message.text()));

// Another name than ours has: another site.
await page.goto(`http://localhost:${host.address().port}/`);
const frame = page.frameLocator('iframe');
await frame.locator('h1').waitFor();
const text = (selector) => frame.locator(selector).evaluateAll((found) => found.map((one) => one.textContent.trim()));
const links = await frame.locator('main a').evaluateAll((found) => found.map((one) => [one.href, one.target, one.rel]));
const picture = await frame.locator('.art img').evaluateAll((found) => found.map((one) => one.complete && one.naturalWidth > 0)[0] ?? null);
// Nothing is cut off at the side, or below where there is only one track.
const fits = await frame.locator('main').evaluate((main) => {
  const words = main.querySelector('.words').getBoundingClientRect();
  return words.right <= innerWidth && main.getBoundingClientRect().bottom <= innerHeight
    && document.documentElement.scrollWidth <= innerWidth;
});
if (screenshots) {
  for (const colorScheme of ['dark', 'light']) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: `${screenshots}-${colorScheme}.png` });
  }
}

const audio = frame.locator('audio');
const heard = async () => {
  for (const end = Date.now() + 60_000; Date.now() < end; await page.waitForTimeout(50)) {
    if (await audio.evaluate((audio) => audio.currentTime > 0.1)) return true;
  }
  return false;
};
const saw = { title: await text('h1'), by: await text('.by'), rows: await text('li .title'), links, picture, fits };
saw.preload = await audio.getAttribute('preload');
await audio.evaluate((audio) => audio.play());
saw.played = await heard();
if (saw.rows.length > 1) {
  saw.now = [await text('.now')];
  await frame.locator('li a').nth(1).click();
  saw.now.push(await text('.now'));
  saw.next = await heard();
  await audio.evaluate((audio) => { audio.currentTime = audio.duration - 0.05; });
  await frame.locator('li a[aria-current]', { hasText: saw.rows[2] }).waitFor();
  saw.now.push(await text('.now'));
}
console.log(JSON.stringify({ ...saw, errors }));
await browser.close();
host.close();
