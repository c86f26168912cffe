// The device: its condition, the tag of the next photos, and its visitors.

import * as api from './api.js';
import { calmly, el, facts, put, say } from './dom.js';
import { whereabouts } from './detail.js';
import { lang, setLanguage, t } from './words.js';

export async function show(root, context) {
  const { role, letsIn, onHint } = context;
  const state = el('div');
  const load = async () => { const status = await api.get('status'); state.replaceChildren(); put(state, about(status, role)); };
  await load();
  put(root, el('h2', {}, t('this_device')), state,
    role === 'inspector' ? await tagging() : '',
    role === 'inspector' ? await linkSettings() : '',
    letsIn ? pairing() : '',
    role === 'inspector' ? await visitors(onHint) : '',
    appearance(context));
  const again = calmly(load, 1000);
  onHint((hint) => { if (hint.type === 'queue' || hint.type === 'again') again(); });
}

const retry = () => api.send('POST', 'queue/retry', {}).catch((error) => say(error.message));

function about(status, role) {
  const { queue, losses } = status;
  const lost = Object.entries(losses).filter(([, count]) => count > 0);
  return [
    status.full ? el('p', { class: 'trouble', role: 'alert' }, `${t('device_full')} ${status.full}`) : '',
    (status.closed_doors ?? []).map(({ listen, reason }) => el('p', { class: 'trouble' }, `${t('door_closed')} ${listen}: ${reason}`)),
    ...(status.held ?? []).map((part) => el('p', { class: 'trouble', role: 'alert' }, `${t('broker_refuses')} ${part.what} – ${part.reason}`)),
    facts([
      [t('device'), status.device],
      [t('link'), t(`link_${status.link}`)],
      [t('queue_waiting'), `${queue.depth}${queue.urgent ? ` (${t('urgent_photos')} ${queue.urgent})` : ''}`],
      [t('queue_set_aside'), queue.set_aside || null],
      [t('photos'), status.captures],
      [t('failed_files'), status.failed],
      [t('position'), status.position ? whereabouts(status.position) : t('position_unknown')],
      [t('receiver'), receiver(status.receiver)],
      [t('disk_free'), status.disk_free_bytes === undefined ? null : `${(status.disk_free_bytes / 1e9).toFixed(1)} GB`],
      [t('temperature'), status.temperature_celsius === undefined ? null : `${Math.round(status.temperature_celsius)} °C`],
      [t('model'), status.package],
      [t('made_with'), `BridgeCLIP ${status.version}`],
    ]),
    queue.set_aside > 0 && role === 'inspector' ? el('button', { type: 'button', onclick: retry }, t('retry_refused')) : '',
    lost.length > 0 ? el('h3', {}, t('losses')) : '',
    facts(lost.map(([key, count]) => [t(`lost_${key}`), count])),
  ];
}

// The receiver's line, with what is missing on it.
function receiver(line) {
  return line && [line.source, ...(line.missing ?? [])].join(' – ');
}

// Settings of the link.
async function linkSettings() {
  const { metered } = await api.get('settings');
  const box = el('input', { type: 'checkbox', checked: metered });
  box.addEventListener('change', async () => {
    try {
      box.checked = (await api.send('PATCH', 'settings', { metered: box.checked })).metered;
      say(t('kept'));
    } catch (error) {
      box.checked = !box.checked;
      say(error.message);
    }
  });
  return el('section', { class: 'choices' }, el('h3', {}, t('link')), el('label', {}, box, t('metered')));
}

// The tag of the photos that follow.
async function tagging() {
  const tag = await api.get('tag');
  const field = (key, label) => el('label', { class: 'field' }, label,
    el('input', { type: 'text', name: key, maxlength: 64, value: tag[key] ?? '' }));
  const trouble = el('p', { class: 'trouble', role: 'alert' });
  const form = el('form', {}, el('h3', {}, t('next_photos')), field('bridge', t('bridge')), field('span', t('span')),
    field('member', t('member')), el('button', { class: 'main', type: 'submit' }, t('keep')), trouble);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    try {
      await api.send('PUT', 'tag', Object.fromEntries([...new FormData(form)].filter(([, value]) => value.trim())));
      trouble.textContent = '';
      say(t('kept'));
    } catch (error) {
      trouble.textContent = error.message;
    }
  });
  return form;
}

function pairing() {
  const code = el('p', { class: 'grade', role: 'status' });
  const make = (role) => async () => {
    const made = await api.send('POST', 'pairing', { role });
    code.textContent = `${made.code.slice(0, 3)} ${made.code.slice(3)}`;
  };
  return el('section', {}, el('h3', {}, t('let_in')), el('p', {}, t('let_in_how')), el('div', { class: 'row' },
    el('button', { type: 'button', onclick: make('inspector') }, t('code_inspector')),
    el('button', { type: 'button', onclick: make('viewer') }, t('code_viewer'))), code);
}

// Visitors who were admitted, each with a button to send them away.
async function visitors(onHint) {
  const list = el('ul');
  const load = async () => {
    const { visitors: all } = await api.get('visitors');
    list.replaceChildren(...all.map((visitor) => one(visitor, load)));
    section.hidden = all.length === 0;
  };
  const section = el('section', {}, el('h3', {}, t('visitors')), list);
  await load();
  onHint((hint) => { if (hint.type === 'again') load().catch(() => {}); });
  return section;
}

function one({ id, name, role, seen_s: seen, address }, load) {
  const sendAway = () => api.send('DELETE', `visitors/${id}`).then(load).catch((error) => say(error.message));
  const what = t(role === 'inspector' ? 'role_inspector' : 'role_viewer');
  const when = `${t('last_seen')} ${Math.floor(seen / 60)} ${t('minutes_ago')}${address ? ` · ${address}` : ''}`;
  return el('li', { class: 'row' }, el('span', {}, el('bdi', {}, name), ` (${what}) · ${when}`),
    el('button', { type: 'button', 'aria-label': `${t('send_away')}: ${name}`, onclick: sendAway }, t('send_away')));
}

function appearance({ isHere, again, leave }) {
  const language = el('select', { onchange: async () => { await setLanguage(language.value); again(); } },
    el('option', { value: 'en', lang: 'en', selected: lang() === 'en' }, 'English'),
    el('option', { value: 'ja', lang: 'ja', selected: lang() === 'ja' }, '日本語'));
  const chosen = document.documentElement.dataset.theme ?? '';
  const theme = el('select', { onchange: () => setTheme(theme.value) },
    ['', 'light', 'dark', 'contrast'].map((value) =>
      el('option', { value, selected: value === chosen }, t(`theme_${value || 'system'}`))));
  return el('section', {}, el('h3', {}, t('appearance')),
    el('label', { class: 'field' }, t('language'), language), el('label', { class: 'field' }, t('colours'), theme),
    isHere ? '' : el('button', { type: 'button', onclick: leave }, t('leave')));
}

export function setTheme(value) {
  if (value) document.documentElement.dataset.theme = value;
  else delete document.documentElement.dataset.theme;
  localStorage.setItem('theme', value);
}
