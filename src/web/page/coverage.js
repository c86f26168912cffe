// Members, the damage that their photos show, and the members without a photo.

import * as api from './api.js';
import { draftOf, verdictOf } from './detail.js';
import { calmly, el, facts, put } from './dom.js';
import { className, place, shortName, t, when } from './words.js';

export async function show(root, { onHint, mayExport }) {
  const list = el('ul', { class: 'cards' });
  put(root, el('h2', {}, t('coverage')), list, mayExport ? exports() : '');

  // Members whose answers are unfolded, by their query; they stay so when the list is drawn again.
  const unfolded = new Set();
  async function load() {
    const { members } = await api.get('coverage');
    list.replaceChildren(...members.map((member) => el('li', {}, card(member, unfolded))));
    if (members.length === 0) list.append(el('li', {}, t('no_photos_yet')));
  }
  // The request takes seconds on a device with many photos.
  const again = calmly(load, 10_000);
  onHint((hint) => { if (['captured', 'changed', 'again'].includes(hint.type)) again(); });
  await load();
}

function card(member, unfolded) {
  const damage = Object.entries(member.damage).map(([label, count]) => `${className('damage_type', label)} (${count})`);
  const name = place(member);
  const query = new URLSearchParams(['bridge', 'span', 'member'].filter((key) => member[key]).map((key) => [key, member[key]]));
  const heading = el('h3', {}, name && member.photos > 0 ? el('a', { href: `#photos?${query}` }, name) : name || t('no_member'));
  if (member.photos === 0) return el('section', { class: 'member' }, heading, el('p', { class: 'trouble' }, t('no_photo_yet')));
  return el('section', { class: member.urgent > 0 ? 'member urgent' : 'member' }, heading,
    member.urgent > 0 && el('p', {}, el('span', { class: 'flag' }, `${t('see_first')} ${member.urgent}`)),
    facts([
      [t('damage_seen'), damage.join(', ')],
      member.rating && [t('member_rating'), className('soundness', member.rating)],
      [t('worst_soundness'), member.worst_soundness && className('soundness', member.worst_soundness)],
      [t('photos'), member.photos],
      [t('last_photo'), when(member.last)],
    ].filter(Boolean)),
    member.member && joined(query.toString(), unfolded));
}

// Unfolds to the one answer that all photos of the member give together. It is computed only when somebody asks.
function joined(query, unfolded) {
  const body = el('div');
  const details = el('details', { open: unfolded.has(query) }, el('summary', {}, t('member_answer')), body);
  details.addEventListener('toggle', async () => {
    if (!details.open) {
      unfolded.delete(query);
      return;
    }
    unfolded.add(query);
    try {
      const { members } = await api.get(`members?${query}`);
      body.replaceChildren(...members.map(answer));
    } catch (error) {
      body.replaceChildren(el('p', { class: 'trouble', role: 'alert' }, error.message));
    }
  });
  return details;
}

function answer(member) {
  const links = (captures) => captures.map((capture, index) =>
    [index > 0 && ', ', el('a', { href: `#capture/${capture}` }, String(capture))]);
  const decisive = member.photos.filter((photo) => photo.decisive).map((photo) => photo.capture);
  const single = member.single_damage.map((label) => shortName('damage_type', label)).join(', ');
  return el('div', {}, verdictOf(member), draftOf(member), facts([
    [t('member_single'), single],
    [t('member_carried'), member.carried_by.length > 0 && links(member.carried_by)],
    [t('member_decisive'), decisive.length > 0 && links(decisive)],
    [t('member_views'), member.views.toFixed(1)],
  ].filter(([, value]) => value)), el('p', { class: 'small' }, t('member_note')));
}

function exports() {
  const link = (format, text) => el('a', { class: 'button', href: `/api/v1/export?format=${format}`, download: '' }, text);
  return el('section', {}, el('h3', {}, t('take_away')), el('div', { class: 'row' },
    link(`html&lang=${document.documentElement.lang}`, t('sheet_title')), link('csv&bom=true', 'CSV'),
    link('geojson', 'GeoJSON'), link('gpkg', 'GeoPackage'), link('jsonl', 'JSON Lines')));
}
