// Drives the player in a real Chromium: `browser.mjs PLYR_URL TRACK_URI LIKES_SOON [SCREENSHOT] [SHORT_URI]`. Plays and seeks the track,
// prints {"ready":true} once the page follows the network, waits for the track to show LIKES_SOON likes without a reload,
// hears SHORT_URI until it counts as played, then prints one JSON line of what it saw.

import { chromium } from 'playwright-core';

const [url, uri, likesSoon, screenshot, short] = process.argv.slice(2);
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required',
];

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS, timeout: 90_000 });
const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
page.setDefaultTimeout(60_000);
const errors = [];
page.on('pageerror', (error) => errors.push(String(error)));
page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
const streams = [];
page.on('request', (request) => request.url().endsWith('/live') && streams.push(request.url()));

await page.goto(url);
const row = page.locator(`[data-testid="track-row"][data-uri="${uri}"]`);
await row.waitFor();
const titles = await page.locator('[data-testid="track-row"] [data-testid="title"]').allInnerTexts();

await row.getByTestId('play').click();
const until = async (what, holds) => {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    if (await holds()) return true;
    await page.waitForTimeout(50);
  }
  throw new Error(`waited in vain for ${what}`);
};
const elapsed = async () => {
  const [minutes, seconds] = (await page.getByTestId('elapsed').first().innerText()).split(':').map(Number);
  return minutes * 60 + seconds;
};
const played = await until('sound', async () => (await elapsed()) >= 1);
await page.getByTestId('player-toggle').click(); // so that only the keys move it
const before = await elapsed();
await page.getByTestId('seek').first().focus();
for (let i = 0; i < 2; i++) await page.keyboard.press('ArrowRight');
const seeked = await until('the seek', async () => (await elapsed()) >= before + 8);

await page.getByTestId('live').and(page.locator('[data-state="live"]')).waitFor();
console.log(JSON.stringify({ ready: true }));
const likes = row.getByTestId('like-count');
await until(`${likesSoon} likes`, async () => (await likes.innerText()).trim().startsWith(likesSoon));
if (screenshot) await page.screenshot({ path: screenshot });
let heard = null;
if (short) {
  const other = page.locator(`[data-testid="track-row"][data-uri="${short}"]`);
  await other.getByTestId('play').click();
  heard = await until('the play', async () => (await other.getByTestId('play-count').innerText()).trim() === '1');
}
console.log(JSON.stringify({ titles, played, heard, seeked, likes: (await likes.innerText()).trim(), streams: streams.length, errors }));
await browser.close();
