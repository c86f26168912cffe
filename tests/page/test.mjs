// Uses the field page as an inspector would: in Chromium, against the daemon with the demo package.
//
//   node test.mjs BRIDGECLIP DEMO SCREENSHOTS [--images]
//
// With --images it tests nothing and makes the README's two pictures. To renew them after the page has changed, run
// tests/page/run target/release/bridgeclip --images docs/images

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';

const [program, demo, shots, images] = process.argv.slice(2);
const AXE = readFileSync(new URL('./node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const PHONE = { width: 360, height: 760, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const PATIENCE_MS = 20_000;

const photos = readdirSync(join(demo, 'photos')).filter((name) => /\.jpe?g$/i.test(name)).sort()
  .map((name) => join(demo, 'photos', name));

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

// Starts a device in a folder of its own, with some photos on its card. `web` is the settings section of its page.
async function device(web, count) {
  const dir = mkdtempSync(join(tmpdir(), 'page-'));
  const port = await freePort();
  mkdirSync(join(dir, 'camera'));
  writeFileSync(join(dir, 'config.toml'), `[device]\nsite = "kita"\nid = "unit-1"\ndata_dir = "data"\n[package]\n` +
    `dir = "${demo}/package"\n[intake]\nfolders = ["camera"]\n[web]\n${await web(port)}\n`);
  for (const photo of photos.slice(0, count)) copyFileSync(photo, join(dir, 'camera', photo.split('/').pop()));
  const daemon = spawn(program, ['run', '--config', join(dir, 'config.toml')], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}/`;
  await until('the device', async () => (await fetch(url).catch(() => null))?.ok);
  const cli = (...args) => execFileSync(program, [...args, '--config', join(dir, 'config.toml')], { encoding: 'utf8' });
  const end = () => { daemon.kill('SIGTERM'); rmSync(dir, { recursive: true, force: true }); };
  const status = async () => JSON.parse(cli('status', '--json'));
  await until('its photos', async () => (await status()).captures === count);
  return { url, cli, end, status, dir };
}

async function until(what, isSo) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end;) {
    if (await isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what}: not within ${PATIENCE_MS / 1000} s`);
}

// Opens a page that fails the test if it loads anything from elsewhere or reports an error.
async function open(browser, url, troubles, refusals) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.setViewport(PHONE);
  await page.setBypassCSP(true); // allows axe to be injected; other tests cover the policy itself
  const requests = [];
  page.on('request', (request) => {
    requests.push(request);
    if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url())) troubles.push(`asks for ${request.url()}`);
  });
  page.on('pageerror', (error) => troubles.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !refusals.test(message.text()) && !/ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_REFUSED/.test(message.text())) troubles.push(`console: ${message.text()}`);
  });
  page.setDefaultTimeout(PATIENCE_MS);
  await page.goto(url, { waitUntil: 'load' });
  return { page, requests, close: () => context.close() };
}

async function accessible(page, where) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help} (${nodes.map((node) => node.target).join(', ')})`);
  assert.deepEqual(found, [], `accessibility of ${where}`);
}

const byText = (selector, text) => `::-p-xpath(//${selector}[contains(normalize-space(.), ${JSON.stringify(text)})])`;

// Taps like a finger: waits until the target can be seen, scrolls it to the middle of the screen, away from the bars, and taps it.
async function tap(page, selector) {
  const target = await page.waitForSelector(selector, { visible: true });
  await target.evaluate((element) => element.scrollIntoView({ block: 'center' }));
  await target.click();
}

const text = (page, selector) => page.$eval(selector, (element) => element.textContent);

async function fitsAPhone(page, where) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${where} is ${wide} px wider than the screen`);
  const small = await page.$$eval('button, nav a, select, .take', (targets) => targets
    .filter((target) => target.offsetParent !== null && target.getBoundingClientRect().height < 44)
    .map((target) => target.outerHTML.slice(0, 80)));
  assert.deepEqual(small, [], `targets of ${where} that a glove misses`);
}

const tests = {
  async 'photos are listed, the page is light and asks for nothing from elsewhere'({ page, requests, shoot }) {
    await page.waitForSelector('[data-capture="4"] img');
    assert.equal((await page.$$('[data-capture]')).length, 4);
    await fitsAPhone(page, 'the list');
    await accessible(page, 'the list');
    await shoot('photos');
    let bytes = 0;
    for (const request of requests.filter((request) => !/thumbnail|events/.test(request.url()))) {
      const response = request.response();
      bytes += (await response.buffer()).length + JSON.stringify(response.headers()).length;
    }
    console.log(`  first load: ${(bytes / 1000).toFixed(1)} KB in ${requests.length} requests, thumbnails apart`);
    assert.ok(bytes <= 150_000, `${bytes} bytes`);
  },

  async 'a photo that is taken shows its verdict within two seconds'({ page, shoot }) {
    await page.goto(`${page.url().split('#')[0]}#photos`);
    const input = await page.waitForSelector('.take input');
    const begin = Date.now();
    await input.uploadFile(photos[10]);
    await page.waitForFunction(() => location.hash === '#capture/5');
    await page.waitForSelector('main dl');
    const seconds = (Date.now() - begin) / 1000;
    console.log(`  from the file to the verdict: ${seconds.toFixed(2)} s`);
    assert.ok((await text(page, 'main dl')).includes('Soundness'));
    assert.equal((await page.$$('ul.evidence li')).length, 10, 'ten neighbours');
    await page.waitForFunction(() => document.querySelector('figure img')?.complete);
    await fitsAPhone(page, 'the photo');
    await accessible(page, 'the photo');
    await shoot('capture');
  },

  async 'a file that is no photo is refused in words'({ page, dir }) {
    const broken = join(dir, 'broken.jpg');
    writeFileSync(broken, 'no photo');
    await page.goto(`${page.url().split('#')[0]}#photos`);
    await (await page.waitForSelector('.take input')).uploadFile(broken);
    await page.waitForSelector(byText('p', 'could not be judged'));
  },

  async 'a verdict is accepted with one touch and corrected with a form'({ page, shoot, cli }) {
    await page.goto(`${page.url().split('#')[0]}#capture/5`);
    await page.waitForSelector(byText('button', 'Accept'));
    await tap(page, byText('button', 'Accept'));
    await page.waitForSelector(byText('p', 'Enter your name'));
    await page.type('label.field input[autocomplete="name"]', 'A. Sato');
    await tap(page, byText('button', 'Accept'));
    await page.waitForSelector(byText('p', 'Accepted by an inspector: A. Sato'));
    await tap(page, byText('button', 'Correct'));
    await tap(page, 'input[name="soundness"][value="IV"]');
    await tap(page, 'input[name="measure"][value="E1"]');
    await accessible(page, 'the correction');
    await shoot('correction');
    await tap(page, byText('button', 'Keep the correction'));
    await page.waitForSelector(byText('p', 'Corrected by an inspector: A. Sato'));
    await page.waitForSelector(byText('span', 'An engineer should see this photo first'));
    const row = cli('export', '--format', 'jsonl').trim().split('\n').map(JSON.parse).find((line) => line.capture === 5);
    assert.deepEqual([row.verdict.soundness[0].label, row.inspection.by], ['IV', 'A. Sato']);
    assert.ok(row.supersedes, 'its event takes the place of the first');
  },

  async 'a member is named, and the coverage shows it'({ page, shoot }) {
    const field = (key) => `form input[name="${key}"]`;
    await page.waitForSelector(field('bridge'));
    for (const [key, value] of [['bridge', 'B-12'], ['span', '3'], ['member', 'G2']]) await page.type(field(key), value);
    await tap(page, byText('form[.//input[@name="member"]]//button', 'Keep'));
    await page.waitForSelector(byText('dd', 'B-12 / 3 / G2'));
    await tap(page, 'nav a[href="#coverage"]');
    await page.waitForSelector(byText('h3', 'B-12 / 3 / G2'));
    await fitsAPhone(page, 'the coverage');
    await accessible(page, 'the coverage');
    await tap(page, byText('summary', 'One answer for the member'));
    await page.waitForSelector(byText('dt', 'Photos that carry the rating'));
    await fitsAPhone(page, 'the answer for a member');
    await accessible(page, 'the answer for a member');
    await shoot('coverage');
    await tap(page, byText('h3/a', 'B-12 / 3 / G2'));
    await page.waitForSelector('[data-capture="5"]');
    assert.equal((await page.$$('[data-capture]')).length, 1, 'its photos alone');
    await page.goBack();
  },

  async 'photos are found by words and by a photo'({ page, shoot }) {
    await tap(page, 'nav a[href="#search"]');
    await page.waitForSelector('input[type="search"]');
    await page.type('input[type="search"]', 'Cracking is observed in the pier.');
    await page.keyboard.press('Enter');
    await page.waitForSelector('main ul.cards a.card');
    await page.select('select', 'reference');
    await tap(page, byText('main//button', 'Search'));
    await page.waitForSelector('main ul.cards div.card');
    await shoot('search');
    await page.select('select', 'captures');
    await (await page.$('.take input')).uploadFile(photos[0]);
    await page.waitForFunction(() => document.querySelector('main ul.cards a.card')?.textContent.includes('1.000'));
    await fitsAPhone(page, 'the search');
    await accessible(page, 'the search');
  },

  async 'the track is drawn, and its points lead to the photos'({ page, shoot }) {
    await tap(page, 'nav a[href="#map"]');
    await page.waitForSelector('svg.map circle');
    assert.equal((await page.$$('svg.map circle')).length, 5);
    await accessible(page, 'the map');
    await shoot('map');
  },

  async 'files are taken away'({ page, url }) {
    await tap(page, 'nav a[href="#coverage"]');
    const links = await page.waitForSelector('a[href*="format=gpkg"]') && await page.$$eval('a[download]', (links) => links.map((link) => link.href));
    for (const link of links) {
      const response = await fetch(link);
      assert.ok(response.ok && response.headers.get('content-disposition').includes('bridgeclip-'), link);
      assert.ok((await response.arrayBuffer()).byteLength > 500, link);
    }
    assert.equal(links.length, 5);
  },

  async 'the next photos are tagged, and the page speaks Japanese, dark and in high contrast'({ page, shoot, cli, url }) {
    await tap(page, 'nav a[href="#device"]');
    await page.waitForSelector('form input[name="bridge"]');
    await page.type('form input[name="bridge"]', 'B-13');
    await tap(page, byText('form//button', 'Keep'));
    // The page may still say "Kept." of the tag before.
    await until('the tag', async () => cli('tag').includes('B-13'));
    await tap(page, byText('button', 'Code for a viewer'));
    await page.waitForFunction(() => /^[0-9]{3} [0-9]{3}$/.test(document.querySelector('main p.grade')?.textContent));
    const metered = byText('label', 'The link costs money');
    await tap(page, metered);
    await until('the setting', async () => (await (await fetch(`${url}api/v1/settings`)).json()).metered);
    await tap(page, metered);
    await accessible(page, 'the device');
    await shoot('device');
    await page.select('select:has(option[value="ja"])', 'ja');
    await page.waitForSelector(byText('h2', '機器'));
    await page.select('select:has(option[value="dark"])', 'dark');
    await accessible(page, 'the device in Japanese and dark');
    await shoot('device-ja-dark');
    await page.select('select:has(option[value="dark"])', 'contrast');
    await tap(page, 'nav a[href="#photos"]');
    await page.waitForSelector('[data-capture="5"]');
    await fitsAPhone(page, 'the list in Japanese');
    await accessible(page, 'the list in Japanese and high contrast');
    await shoot('photos-ja-contrast');
    assert.equal(await page.evaluate(() => localStorage.getItem('language')), 'ja');
    await page.evaluate(() => { localStorage.clear(); });
    await page.reload();
    await page.waitForSelector(byText('nav//a', 'Search'));
  },

  async 'a new photo on the card appears by itself'({ page, dir }) {
    await tap(page, 'nav a[href="#photos"]');
    await page.waitForSelector('[data-capture="5"]');
    copyFileSync(photos[12], join(dir, 'camera', 'new.jpg'));
    await page.waitForSelector('[data-capture="6"]');
    assert.equal(await page.$eval('ul.cards li', (first) => first.dataset.capture), '6', 'on top');
  },

  async 'the keyboard is enough'({ page }) {
    await page.reload();
    await page.waitForSelector('[data-capture="6"]');
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute('href') ?? document.activeElement?.type);
    const seen = [];
    await page.evaluate(() => document.activeElement?.blur());
    for (let count = 0; count < 14; count += 1) {
      await page.keyboard.press('Tab');
      seen.push(await focused());
    }
    for (const expected of ['#photos', 'file', 'checkbox', '#capture/6']) assert.ok(seen.includes(expected), `${expected} in ${seen}`);
  },
};

async function whole(browser, troubles) {
  const own = await device(async (port) => `listen_here = "127.0.0.1:${port}"\nlisten = "0.0.0.0:${await freePort()}"`, 4);
  const { page, requests, close } = await open(browser, own.url, troubles, /404/); // a thumbnail may have been evicted
  const shoot = (name) => page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
  let failed = 0;
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test({ page, requests, shoot, ...own });
      console.log(`ok     ${name}`);
    } catch (error) {
      failed += 1;
      await shoot(`failed-${failed}`).catch(() => {});
      console.log(`FAILED ${name}\n  ${error.stack.split('\n').slice(0, 12).join('\n  ')}`);
    }
  }
  await close();
  own.end();
  return failed;
}

// Opens the page on a phone in the device's network.
async function stranger(browser, troubles) {
  const own = await device((port) => `listen = "0.0.0.0:${port}"`, 1);
  const { page, close } = await open(browser, own.url, troubles, /40[13]/); // a stranger, and a wrong code
  await page.waitForSelector('input[name="code"]');
  await accessible(page, 'the way in');
  await page.screenshot({ path: join(shots, 'come-in.png') });
  await page.type('input[name="code"]', '000000');
  await page.type('input[name="name"]', 'B. Tanaka');
  await tap(page, byText('form//button', 'Enter'));
  await page.waitForSelector(byText('p', 'not a code that the device shows'));
  const code = own.cli('pair').trim();
  await page.$eval('input[name="code"]', (input) => { input.value = ''; });
  await page.type('input[name="code"]', code);
  await tap(page, byText('form//button', 'Enter'));
  await page.waitForSelector('[data-capture="1"]');
  await tap(page, '[data-capture="1"] a');
  await page.waitForSelector(byText('button', 'Accept'));
  await tap(page, byText('button', 'Accept'));
  await page.waitForSelector(byText('p', 'Accepted by an inspector: B. Tanaka'));
  await tap(page, 'nav a[href="#coverage"]');
  await page.waitForSelector('a[href*="format=gpkg"]');
  await tap(page, 'nav a[href="#device"]');
  await page.waitForSelector(byText('li', 'B. Tanaka (inspector)'));
  assert.equal(await page.$(byText('button', 'Code for an inspector')), null, 'codes are made at the device');
  await fitsAPhone(page, 'the device with a visitor');
  await accessible(page, 'the device with a visitor');
  await Promise.all([page.waitForNavigation(), tap(page, byText('button', 'Leave'))]);
  await page.waitForSelector('input[name="code"]');
  await page.type('input[name="code"]', own.cli('pair', '--role', 'viewer').trim());
  await page.type('input[name="name"]', 'C. Abe');
  await tap(page, byText('form//button', 'Enter'));
  await tap(page, 'nav a[href="#coverage"]');
  await page.waitForSelector(byText('h2', 'Coverage'));
  assert.equal(await page.$('a[href*="format=gpkg"]'), null, 'viewers take nothing away');
  own.cli('pair', '--revoke', own.cli('pair', '--list').split(' ')[0]);
  await page.waitForSelector('input[name="code"]');
  await page.waitForSelector('input[name="code"]');
  await close();
  own.end();
  console.log('ok     a visitor enters a code, judges under their name, leaves, and is sent away as a viewer');
}

// Takes the pictures of the README: the list on a tablet, and one photo with its evidence.
async function picture(browser, troubles) {
  const own = await device((port) => `listen_here = "127.0.0.1:${port}"`, 10);
  const { page, close } = await open(browser, own.url, troubles, /404/);
  const shoot = async (name, width, height) => {
    await page.setViewport({ width, height, deviceScaleFactor: 1 });
    await page.evaluate(() => globalThis.scrollTo(0, 0));
    await page.waitForFunction(() => [...document.images].every((image) => image.complete && image.naturalWidth > 0));
    await page.screenshot({ path: join(shots, `${name}.jpg`), type: 'jpeg', quality: 85 });
  };
  await page.waitForSelector('[data-capture="10"] img');
  await shoot('page', 640, 1400);
  const rows = own.cli('export', '--format', 'jsonl').trim().split('\n').map((line) => JSON.parse(line));
  const grave = rows.find((row) => row.verdict.soundness[0].label === 'IV') ?? rows[0];
  await page.goto(`${own.url}#capture/${grave.capture}`);
  await page.waitForSelector('ul.evidence li');
  await shoot('verdict', 480, 1960);
  await close();
  own.end();
}

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--lang=en'], headless: true,
});
const troubles = [];
let failed = 0;
try {
  if (images) {
    await picture(browser, troubles);
  } else {
    failed += await whole(browser, troubles);
    await stranger(browser, troubles);
  }
} catch (error) {
  failed += 1;
  console.log(`FAILED ${error.stack}`);
}
await browser.close();
for (const trouble of troubles) console.log(`FAILED ${trouble}`);
process.exit(failed + troubles.length > 0 ? 1 : 0);
