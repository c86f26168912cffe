// Members, the damage that their photos show, and what has no photo yet.

import * as api from './api.js';
import { el, put } from './dom.js';
import { className, place, t, when } from './words.js';

export async function show(root, { onHint }) {
  const body = el('tbody');
  const table = el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': t('coverage') }, el('table', {},
    el('thead', {}, el('tr', {}, ['member', 'photos', 'worst_soundness', 'damage_seen', 'last_photo'].map((key) =>
      el('th', { scope: 'col' }, t(key))))), body));
  put(root, el('h2', {}, t('coverage')), table, exports());

  async function load() {
    const { members } = await api.get('coverage');
    body.replaceChildren(...members.map(row));
    if (members.length === 0) body.append(el('tr', {}, el('td', { colspan: 5 }, t('no_photos_yet'))));
  }
  onHint((hint) => { if (['captured', 'changed', 'again'].includes(hint.type)) load().catch(() => {}); });
  await load();
}

function row(member) {
  const damage = Object.entries(member.damage).map(([label, count]) => `${className('damage_type', label)} ${count}`);
  return el('tr', {},
    el('th', { scope: 'row' }, place(member) || t('no_member')),
    el('td', {}, member.photos === 0 ? el('span', { class: 'trouble' }, t('no_photo_yet')) : member.photos,
      member.urgent > 0 && el('p', {}, el('span', { class: 'flag' }, `${t('see_first')} ${member.urgent}`))),
    el('td', {}, member.worst_soundness ? className('soundness', member.worst_soundness) : ''),
    el('td', {}, damage.join(', ')),
    el('td', {}, member.last ? when(member.last) : ''));
}

function exports() {
  const link = (format, text) => el('a', { class: 'button', href: `/api/v1/export?format=${format}`, download: '' }, text);
  return el('section', {}, el('h3', {}, t('take_away')), el('div', { class: 'row' },
    link(`html&lang=${document.documentElement.lang}`, t('sheet_title')), link('csv&bom=true', 'CSV'),
    link('geojson', 'GeoJSON'), link('gpkg', 'GeoPackage'), link('jsonl', 'JSON Lines')));
}
