// The page's frame: the visitor, the current view, and hints from the device.

import * as api from './api.js';
import { calmly, el, say } from './dom.js';
import { load as loadWords, t } from './words.js';
import * as coverage from './coverage.js';
import * as detail from './detail.js';
import * as device from './device.js';
import * as map from './map.js';
import * as photos from './photos.js';
import * as search from './search.js';

const VIEWS = { photos, search, coverage, map, device, capture: detail };

const main = document.getElementById('main');
let me = {};
let hearers = [];

async function route() {
  const [path, query] = location.hash.slice(1).split('?');
  const [name, id] = path.split('/');
  const view = VIEWS[name] ?? photos;
  for (const link of document.querySelectorAll('nav a')) {
    const isCurrent = link.hash === `#${name || 'photos'}` || (view === detail && link.hash === '#photos');
    if (isCurrent) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  hearers = [];
  // Each view has its own element. A view that is still loading when another is opened fills an element that is no
  // longer shown.
  const place = el('div');
  main.replaceChildren(place);
  document.body.classList.remove('outside');
  window.scrollTo(0, 0);
  const context = { role: me.role, name: me.name, isHere: me.is_here, letsIn: me.lets_in, mayExport: me.may_export, query: new URLSearchParams(query), onHint: (hear) => hearers.push(hear), again: route, leave };
  try {
    await view.show(place, context, Number(id));
    if (document.activeElement === document.body) main.focus({ preventScroll: true });
  } catch (error) {
    if (error.status === 401) return enter();
    place.replaceChildren(el('p', { class: 'trouble', role: 'alert' }, error.message || t('no_device')));
  }
}

// Shows the pairing form, for a visitor from the network.
function enter() {
  const field = (name, label, more) => el('label', { class: 'field' }, label, el('input', { type: 'text', name, required: true, ...more }));
  const trouble = el('p', { class: 'trouble', role: 'alert' });
  const form = el('form', {}, el('h2', {}, t('come_in')), el('p', {}, t('come_in_how')),
    field('code', t('code'), { inputmode: 'numeric', autocomplete: 'one-time-code', pattern: '[0-9 ]{6,7}' }),
    field('name', t('your_name'), { maxlength: 64, autocomplete: 'name' }),
    el('button', { class: 'main wide', type: 'submit' }, t('enter')), trouble);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const { code, name } = Object.fromEntries(new FormData(form));
    try {
      await api.send('POST', 'session', { code: code.replaceAll(' ', ''), name: name.trim() });
      await start();
    } catch (error) {
      trouble.textContent = error.message;
    }
  });
  main.replaceChildren(form);
  document.body.classList.add('outside');
  form.querySelector('input').focus();
}

async function leave() {
  await api.send('DELETE', 'session', {});
  location.replace('/');
}

async function showLink() {
  const place = document.getElementById('link');
  try {
    const status = await api.get('status');
    document.getElementById('device').textContent = status.device;
    const waiting = status.queue.depth > 0 ? ` · ${t('queue_waiting')} ${status.queue.depth}` : '';
    place.textContent = `${t(`link_${status.link}`)}${waiting}`;
    place.className = status.link === 'refused' || status.full ? 'trouble' : '';
  } catch (error) {
    if (error.status === 401) return;
    place.textContent = t('no_device');
    place.className = 'trouble';
  }
}

// Checks whether the visitor is still known. One who was sent away sees the pairing form instead of errors.
async function isStillKnown() {
  try {
    me = await api.get('session');
  } catch {
    return true;
  }
  if (!me.role) enter();
  return Boolean(me.role);
}

const lookAtLink = calmly(showLink, 1000);
async function hear(hint) {
  if (hint.type === 'again' && !(await isStillKnown())) return false;
  lookAtLink();
  if (hint.type === 'failed') say(`${t('not_judged')} ${hint.file}: ${hint.reason}`);
  hearers.forEach((hearer) => hearer(hint));
  return true;
}

async function start() {
  me = await api.get('session');
  if (!me.role) return enter();
  await showLink();
  api.listen(hear);
  await route();
}

device.setTheme(localStorage.getItem('theme') ?? '');
await loadWords();
document.querySelector('.skip').addEventListener('click', (event) => { event.preventDefault(); main.focus(); });
window.addEventListener('hashchange', () => { if (me.role) route(); });
await start().catch((error) => { main.replaceChildren(el('p', { class: 'trouble', role: 'alert' }, error.message || t('no_device'))); });
