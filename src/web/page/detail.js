// One photo: what it shows, why the device thinks so, and what the inspector says.

import * as api from './api.js';
import { el, facts, put, say } from './dom.js';
import { sketch } from './map.js';
import { accepted, card } from './photos.js';
import { allCategories, categoryName, className, doubts, named, percent, place, reasons, shortName, t, when } from './words.js';

export async function show(root, { role, name, onHint }, id) {
  const [capture, earlier, track] = await Promise.all([
    api.get(`captures/${id}`), api.get(`captures/${id}/earlier`), api.get('track')]);
  const { verdict, inspection, image } = capture;
  const again = () => show(root, { role, name, onHint: () => {} }, id);
  root.replaceChildren();
  put(root,
    el('h2', {}, `${t('photo')} ${image.file ?? id}`),
    picture(capture),
    verdict.review_urgent && el('p', {}, el('span', { class: 'flag' }, t('review_first'))),
    el('ul', {}, reasons(verdict).map((reason) => el('li', {}, reason))),
    verdictOf(verdict),
    draftOf(verdict),
    !verdict.by_inspector
      && el('p', { class: 'small' }, t(verdict.confidence_calibrated ? 'confidence_calibrated' : 'confidence_uncalibrated')),
    doubts(verdict).length > 0 && el('p', { class: 'doubt' }, t('look_again')),
    el('ul', {}, doubts(verdict).map((doubt) => el('li', { class: 'doubt' }, doubt))),
    inspection && el('p', { class: 'word' },
      `${t(accepted(inspection) ? 'accepted' : 'corrected')} ${inspection.by}, ${when(inspection.at)}`),
    inspection && !accepted(inspection) && el('p', { class: 'small' }, `${t('it_was')} ${named(inspection.device)}`),
    history(capture.history ?? []),
    role === 'inspector' ? judging(capture, name, again) : '',
    el('h3', {}, t('evidence')),
    evidence(verdict.neighbours ?? []),
    el('h3', {}, t('earlier_photos')),
    earlier.captures.length === 0 ? el('p', {}, t('no_earlier_photos')) : el('ul', { class: 'cards' },
      earlier.captures.map((found) => el('li', {}, card(found.capture, found.similarity)))),
    el('h3', {}, t('about_photo')),
    about(capture),
    capture.position ? sketch(track.points, capture.capture) : '',
    role === 'inspector' ? retagging(capture, again) : '');
  onHint((hint) => { if (hint.type === 'changed' && hint.captures.includes(id)) say(t('changed_meanwhile')); });
}

function picture(capture) {
  const source = capture.has_original ? 'original' : 'thumbnail';
  // The image's size is set before it loads, so that nothing moves under a finger.
  const [width, height] = capture.image.pixels;
  const image = el('img', { src: `/api/v1/captures/${capture.capture}/${source}`, alt: t('photo'), width, height });
  image.addEventListener('error', () => image.replaceWith(el('p', {}, t('no_picture'))));
  return el('figure', {}, image);
}

// Lists the classes of a verdict, or of a member's answer, with what cannot be excluded.
export function verdictOf(verdict) {
  const answer = (category) => [
    el('ul', {}, (verdict[category.id] ?? []).map((found) =>
      el('li', {}, className(category.id, found.label)
        + (found.confidence === undefined ? '' : ` (${percent(found.confidence)})`)))),
    notExcluded(verdict, category)];
  return facts(allCategories().map((category) =>
    [categoryName(category), (verdict[category.id] ?? []).length ? answer(category) : t('no_answer')]));
}

// Shows the draft of a finding, marked as one, with the photos that each sentence rests on.
export function draftOf({ draft }) {
  if (!draft) return '';
  const named = [...new Set(draft.clauses.flatMap((clause) => clause.references))].join(', ');
  return el('div', { class: 'draft' }, el('p', {}, el('b', {}, t('draft_finding')), ' ', draft[document.documentElement.lang] ?? draft.en),
    named && el('p', { class: 'small' }, `${t('draft_from')}: ${named}`));
}

// Names the classes that were not answered but cannot be excluded.
function notExcluded(verdict, category) {
  const answered = (verdict[category.id] ?? []).map((found) => found.label);
  const others = (verdict.not_excluded?.[category.id] ?? []).filter((label) => !answered.includes(label));
  const names = others.map((label) => shortName(category.id, label)).join(', ');
  return others.length > 0 && el('p', { class: 'small' }, `${t('not_excluded')} ${names}`);
}

// Lists who said what, the latest first. Judgements that were taken back stay in the list.
function history(entries) {
  if (entries.length < 2) return '';
  const line = (entry) => el('li', { class: 'small' },
    `${when(entry.at)} · ${entry.by} · ${t(`act_${entry.act}`)} ${named(entry.labels)}`);
  return el('details', { class: 'history' }, el('summary', {}, t('history')), el('ul', {}, [...entries].reverse().map(line)));
}

const evidence = (neighbours) => el('ul', { class: 'evidence' }, neighbours.map((photo) => el('li', {},
  el('p', { class: 'grade' }, photo.similarity.toFixed(2)),
  el('div', {}, el('p', {}, named(photo.labels)), el('p', { class: 'small' }, photo.caption)))));

function about(capture) {
  const { taken, position, image, tag, drone, package: model } = capture;
  const camera = [image.camera?.make, image.camera?.model].filter(Boolean).join(' ');
  return facts([
    [t('taken_at'), `${when(taken)} (${moment(taken)})`],
    [t('position'), position ? whereabouts(position) : t('position_unknown')],
    [t('altitude'), position?.altitude_m !== undefined ? `${position.altitude_m.toFixed(1)} m` : drone?.relative_altitude_m],
    [t('member'), place(tag) || t('no_member')],
    [t('camera'), camera],
    [t('file'), image.file],
    [t('size'), `${image.pixels[0]} × ${image.pixels[1]}`],
    [t('model'), model?.name],
  ]);
}

// What a moment is worth, in words.
function moment(taken) {
  const notes = [t(`time_${taken.quality}`), taken.basis && t(`basis_${taken.basis}`),
    taken.error_s !== undefined && `${t('right_within')} ${taken.error_s.toFixed(1)} s`,
    taken.conflict && `${t('contradicted')} ${t(`basis_${taken.conflict.basis}`)} (${taken.conflict.difference_s.toFixed(0)} s)`];
  return notes.filter(Boolean).join(', ');
}

const metres = (distance) => (distance < 10 ? `${distance.toFixed(1)} m` : `${Math.round(distance)} m`);

export function whereabouts(position) {
  const notes = [t(`position_${position.source}`), position.quality && t(`fix_${position.quality}`),
    position.hdop !== undefined && `HDOP ${position.hdop.toFixed(1)}`,
    position.error_m !== undefined && `${t('right_within')} ${metres(position.error_m)}`,
    position.age_s !== undefined && `${t('fix_age')} ${Math.round(position.age_s)} s`,
    position.conflict && `${t('contradicted')} ${t(`position_${position.conflict.source}`)} (${metres(position.conflict.distance_m)})`,
  ].filter(Boolean);
  return `${position.latitude_deg.toFixed(5)}, ${position.longitude_deg.toFixed(5)} (${notes.join(', ')})`;
}

// Accepts with one touch; corrects with a form that starts from the verdict shown.
function judging(capture, name, again) {
  const who = name ? null : el('label', { class: 'field' }, t('your_name'),
    el('input', { type: 'text', maxlength: 64, autocomplete: 'name', value: localStorage.getItem('name') ?? '' }));
  const trouble = el('p', { class: 'trouble', role: 'alert' });
  const form = el('form', { class: 'hidden' });
  async function give(saying) {
    const given = who?.querySelector('input').value.trim();
    if (who && !given) {
      trouble.textContent = t('name_needed');
      who.querySelector('input').focus();
      return;
    }
    if (given) localStorage.setItem('name', given);
    try {
      await api.send('POST', `captures/${capture.capture}/inspection`,
        { sequence: capture.sequence, ...saying, ...(given && { name: given }) });
      say(t(saying.undo ? 'word_undone' : 'word_kept'));
      await again();
    } catch (error) {
      trouble.textContent = error.message;
    }
  }
  form.append(...allCategories().map((category) => choices(category, capture.verdict)),
    el('button', { class: 'main wide', type: 'submit' }, t('keep_correction')));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const chosen = new FormData(form);
    give({ labels: Object.fromEntries(allCategories().map((category) => [category.id, chosen.getAll(category.id)])) });
  });
  const correct = el('button', { type: 'button', 'aria-expanded': 'false', onclick: () => {
    const hidden = form.classList.toggle('hidden');
    correct.setAttribute('aria-expanded', String(!hidden));
    if (!hidden) form.querySelector('input').focus();
  } }, t('correct'));
  return el('section', { 'aria-label': t('your_word') }, el('h3', {}, t('your_word')), who,
    el('div', { class: 'row' },
      el('button', { class: 'main', type: 'button', onclick: () => give({}) }, t('accept')), correct,
      capture.inspection && el('button', { type: 'button', onclick: () => give({ undo: true }) }, t('undo'))),
    trouble, form);
}

function choices(category, verdict) {
  const shown = new Set((verdict[category.id] ?? []).map((found) => found.label));
  const choice = (found) => el('label', {}, el('input', {
    type: category.multi ? 'checkbox' : 'radio', name: category.id, value: found.id, checked: shown.has(found.id),
    required: !category.multi }), className(category.id, found.id));
  return el('fieldset', {}, el('legend', {}, categoryName(category)),
    el('div', { class: 'choices' }, category.classes.map(choice)));
}

function retagging(capture, again) {
  const field = (key, label) => el('label', { class: 'field' }, label,
    el('input', { type: 'text', name: key, maxlength: 64, value: capture.tag?.[key] ?? '' }));
  const trouble = el('p', { class: 'trouble', role: 'alert' });
  const form = el('form', {}, el('h3', {}, t('where_it_is')), field('bridge', t('bridge')), field('span', t('span')),
    field('member', t('member')), el('button', { type: 'submit' }, t('keep')), trouble);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const tag = Object.fromEntries([...new FormData(form)].filter(([, value]) => value.trim()));
    try {
      await api.send('PUT', `captures/${capture.capture}/tag`, { tag });
      say(t('kept'));
      await again();
    } catch (error) {
      trouble.textContent = error.message;
    }
  });
  return form;
}
