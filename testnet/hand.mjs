// What a hand does on the page, in a real Chromium: `hand.mjs PLYR_URL TRACK_URI HANDLE PASSWORD [SCREENSHOT_DIR]`.
//
// Signs in through the pages of the person's own PDS, likes the track, comments on it and changes the comment, uploads a WAV of
// 60 s, hears it and deletes it, and signs out. A second browser, which nobody touches, has to see every change by itself.
// Prints {"published": …} while the upload stands, goes on with the next line (or the end) of its standard input, and prints
// one JSON line of what it saw at the end.

import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { crc32, deflateSync } from 'node:zlib';
import { chromium } from 'playwright-core';

const [url, uri, handle, password, screenshots] = process.argv.slice(2);
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required',
];
const LENGTH_S = 60;
const TITLE = 'sixty seconds';
/** Of this run alone, wherever the person has been before. */
const WORDS = `right here, at ${Date.now().toString(36)}`;
const CHANGED = `${WORDS}, and never again`;

const errors = [];

async function open(browser, viewport) {
  const context = await browser.newContext({ viewport });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && page.url().startsWith(url) && errors.push(message.text()));
  page.on('response', (answer) => {
    const failed = answer.status() >= 400 && answer.url().startsWith(url);
    if (failed) errors.push(`${answer.status()} ${answer.request().method()} ${answer.url()}`);
  });
  return page;
}

async function until(what, holds) {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    if (await holds()) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited in vain for ${what}`);
}

let shots = 0;
async function shoot(page, name) {
  if (!screenshots) return;
  fs.mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: path.join(screenshots, `${String(++shots).padStart(2, '0')}-${name}.png`) });
}

/** A tone of the given length, mono, 16 bits at 44.1 kHz. */
function wav(lengthS) {
  const rate = 44_100;
  const samples = rate * lengthS;
  const file = Buffer.alloc(44 + 2 * samples);
  file.write('RIFF', 0);
  file.writeUInt32LE(36 + 2 * samples, 4);
  file.write('WAVEfmt ', 8);
  for (const [offset, value] of [[16, 16], [24, rate], [28, 2 * rate], [40, 2 * samples]]) file.writeUInt32LE(value, offset);
  for (const [offset, value] of [[20, 1], [22, 1], [32, 2], [34, 16]]) file.writeUInt16LE(value, offset);
  file.write('data', 36);
  for (let i = 0; i < samples; i++) file.writeInt16LE(Math.round(6000 * Math.sin((i * 2 * Math.PI * 220) / rate)), 44 + 2 * i);
  return file;
}

/** A square picture of two colours. */
function png(side) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.set([8, 2], 8);
  const lines = Buffer.alloc(side * (1 + 3 * side));
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const inside = (x - side / 2) ** 2 + (y - side / 2) ** 2 < (side / 3) ** 2;
      lines.set(inside ? [232, 180, 90] : [38, 52, 84], y * (1 + 3 * side) + 1 + 3 * x);
    }
  }
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(lines)), chunk('IEND', Buffer.alloc(0))]);
}

async function elapsedS(page) {
  const [minutes, seconds] = (await page.getByTestId('elapsed').first().innerText()).split(':').map(Number);
  return minutes * 60 + seconds;
}

const rowOf = (page, track) => page.locator(`[data-testid="track-row"][data-uri="${track}"]`);
const likesOf = async (page, track) => Number((await rowOf(page, track).getByTestId('like-count').innerText()).replace(/\D/g, ''));

async function signIn(page) {
  await page.goto(url);
  await page.getByTestId('sign-in-open').click();
  await page.getByTestId('sign-in-handle').fill(handle);
  await shoot(page, 'sign-in');
  await page.getByTestId('sign-in-go').click();
  await page.fill('input[type=password]', password);
  await page.click('button[type=submit]');
  await page.getByRole('button', { name: 'Authorize' }).click();
  await page.getByTestId('account-open').waitFor();
  await until('the account', async () => (await page.context().cookies(url)).some(({ name }) => name === 'signed_in'));
  await shoot(page, 'signed-in');
  return (await page.getByTestId('account-open').getAttribute('aria-label')).replace('your account: ', '');
}

async function like(page, watcher) {
  const heart = rowOf(page, uri).getByTestId('like');
  const saved = () => until('the like to be saved', async () => (await heart.getAttribute('data-state')) === 'idle');
  if ((await heart.getAttribute('aria-pressed')) === 'true') {
    await heart.click();
    await saved();
  }
  const before = await likesOf(page, uri);
  await until('both browsers to agree', async () => (await likesOf(watcher, uri)) === before);
  await heart.click();
  await saved();
  await until('the like in the other browser', async () => (await likesOf(watcher, uri)) > before);
  return (await heart.getAttribute('aria-pressed')) === 'true';
}

async function comment(page, watcher) {
  const trackPage = await rowOf(page, uri).getByTestId('title').getAttribute('href');
  await watcher.goto(new URL(trackPage, url).href);
  await watcher.getByTestId('detail-title').waitFor();
  await rowOf(page, uri).getByTestId('title').click();
  await page.getByTestId('detail-play').click();
  await until('two seconds of sound', async () => (await elapsedS(page)) >= 2);
  await page.getByTestId('comment-text').pressSequentially(WORDS, { delay: 10 });
  const at = await page.getByTestId('comment-at').inputValue();
  await shoot(page, 'comment');
  await page.getByTestId('comment-post').click();
  const on = (window) => window.getByTestId('comment').filter({ hasText: WORDS });
  await on(watcher).waitFor();
  const moment = (await on(watcher).getByTestId('comment-moment').innerText()).trim();
  await on(page).getByTestId('comment-edit').click();
  await page.getByTestId('comment-edit-text').fill(CHANGED);
  await page.getByTestId('comment-save').click();
  const changed = watcher.getByTestId('comment').filter({ hasText: CHANGED });
  await changed.getByTestId('comment-edited').waitFor();
  await shoot(watcher, 'comment-elsewhere');
  await page.getByTestId('player-toggle').click();
  return { uri: await changed.getAttribute('data-uri'), at, moment, text: CHANGED };
}

async function upload(page, watcher) {
  await watcher.goto(url);
  await rowOf(watcher, uri).waitFor();
  await page.getByTestId('account-open').click();
  await page.getByTestId('open-upload').click();
  await page.getByTestId('upload-file').setInputFiles({ name: '01 - sixty_seconds.wav', mimeType: 'audio/wav', buffer: wav(LENGTH_S) });
  const guessed = await page.getByTestId('upload-title').inputValue();
  await page.getByTestId('upload-cover').setInputFiles({ name: 'cover.png', mimeType: 'image/png', buffer: png(400) });
  await page.getByTestId('upload-album').fill('an hour in pieces');
  await page.getByTestId('upload-tags').fill('Tone, test  signal,');
  await page.getByTestId('upload-tags').press('Enter');
  await page.getByTestId('upload-description').fill('one note, held.');
  await shoot(page, 'upload-form');
  await page.getByTestId('upload-go').click();
  const card = page.getByTestId('upload');
  const stages = new Set();
  await until('the upload', async () => {
    stages.add(await card.getAttribute('data-stage'));
    if (stages.has('failed')) throw new Error(await card.innerText());
    return stages.has('done');
  });
  await shoot(page, 'upload-done');
  const [, did, rkey] = /\/track\/([^/]+)\/([^/]+)$/.exec(await page.getByTestId('upload-open').getAttribute('href'));
  const track = `at://${decodeURIComponent(did)}/${uri.split('/')[3]}/${decodeURIComponent(rkey)}`;
  await rowOf(watcher, track).waitFor();
  await until('the upload to be playable elsewhere', async () => (await rowOf(watcher, track).getAttribute('data-state')) === 'idle');
  await shoot(watcher, 'upload-elsewhere');
  return { uri: track, guessed, stages: [...stages] };
}

async function hear(page) {
  await page.getByTestId('upload-play').click();
  await until('the upload to sound', async () => (await page.getByTestId('playing-title').innerText()).trim() === TITLE);
  await until('two seconds of the upload', async () => (await elapsedS(page)) >= 2);
  return page.getByTestId('player').getAttribute('data-state');
}

async function remove(page, watcher, track) {
  await page.getByTestId('account-open').click();
  await page.getByTestId('open-portal').click();
  const own = page.locator(`[data-testid="own-track"][data-uri="${track}"]`);
  await own.waitFor();
  await shoot(page, 'own-tracks');
  await own.getByTestId('own-delete').click();
  const named = (await page.getByTestId('delete-track').innerText()).includes(TITLE);
  await shoot(page, 'delete');
  await page.getByTestId('delete-yes').click();
  await own.waitFor({ state: 'detached' });
  await rowOf(watcher, track).waitFor({ state: 'detached' });
  return named;
}

async function signOut(page) {
  await page.getByTestId('account-open').click();
  await page.getByTestId('sign-out').click();
  await page.getByTestId('sign-in-open').waitFor();
  return (await page.context().cookies(url)).every(({ name }) => name !== 'session_id' && name !== 'signed_in');
}

async function nextLine() {
  const lines = readline.createInterface({ input: process.stdin });
  await new Promise((resolve) => lines.once('line', resolve).once('close', resolve));
  lines.close();
}

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS, timeout: 90_000 });
const [page, watcher] = [await open(browser, { width: 1280, height: 860 }), await open(browser, { width: 1000, height: 800 })];

async function main() {
  await watcher.goto(url);
  await watcher.getByTestId('live').and(watcher.locator('[data-state="live"]')).waitFor();
  await rowOf(watcher, uri).waitFor();

  const saw = { name: await signIn(page) };
  await rowOf(page, uri).waitFor();
  saw.liked = await like(page, watcher);
  saw.comment = await comment(page, watcher);
  saw.upload = await upload(page, watcher);
  saw.heard = await hear(page);
  console.log(JSON.stringify({ published: saw.upload.uri }));
  await nextLine();
  saw.namedBeforeDelete = await remove(page, watcher, saw.upload.uri);
  saw.silenced = await page.getByTestId('player').getAttribute('data-state');
  saw.signedOut = await signOut(page);
  console.log(JSON.stringify({ ...saw, errors }));
}

try {
  await main();
} catch (error) {
  await shoot(page, 'failed');
  await shoot(watcher, 'failed-elsewhere');
  const notices = await page.getByTestId('notices').innerText().catch(() => '');
  console.error(error, { at: page.url(), notices, errors });
  process.exitCode = 1;
}
await browser.close();
process.exit();
