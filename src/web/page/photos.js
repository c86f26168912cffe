// The list of photos, the newest first, and taking a new one.

import * as api from './api.js';
import { calmly, el, put, say } from './dom.js';
import { classesOf, doubts, place, t, when } from './words.js';

// Number of photos per page of the list.
const LIMIT = 24;

export function card(capture, similarity) {
  const { verdict, inspection } = capture;
  const urgent = verdict.review_urgent;
  const picture = el('img', { src: `/api/v1/captures/${capture.capture}/thumbnail`, alt: '', loading: 'lazy', width: 120, height: 120 });
  picture.addEventListener('error', () => picture.replaceWith(el('span', { class: 'nothing' })));
  return el('a', { class: urgent ? 'card urgent' : 'card', href: `#capture/${capture.capture}` }, picture, el('div', {},
    el('p', { class: 'grade' }, `${classesOf(verdict, 'soundness')} · ${classesOf(verdict, 'measure')}`),
    el('p', {}, `${classesOf(verdict, 'damage_type')} – ${classesOf(verdict, 'damage_location')}`),
    urgent && el('p', {}, el('span', { class: 'flag' }, t('see_first'))),
    inspection && el('p', { class: 'word' }, `${t(accepted(inspection) ? 'accepted' : 'corrected')} ${inspection.by}`),
    !inspection && doubts(verdict).slice(0, 1).map((doubt) => el('p', { class: 'doubt' }, doubt)),
    el('p', { class: 'small' }, [when(capture.taken), place(capture.tag), similarity && similarity.toFixed(3)].filter(Boolean).join(' · '))));
}

// Returns whether the inspector accepted the device's own answer.
export const accepted = (inspection) => JSON.stringify(inspection.device) === JSON.stringify(inspection.labels);

export async function show(root, { role, onHint, query: wanted }) {
  const list = el('ul', { class: 'cards' });
  const more = el('button', { class: 'wide hidden', type: 'button', onclick: () => load() }, t('more_photos'));
  const urgent = el('input', { type: 'checkbox', onchange: () => restart() });
  const waiting = el('p', { role: 'status' });
  put(root,
    el('h2', wanted.size ? {} : { class: 'hidden' }, [...wanted.values()].join(' / ') || t('all_photos')),
    wanted.size > 0 && el('p', {}, el('a', { href: '#photos' }, t('show_all'))),
    role === 'inspector' ? takePhoto(waiting, onHint) : '',
    waiting,
    el('div', { class: 'choices' }, el('label', {}, urgent, t('only_urgent'))),
    list, more);
  let before;

  async function page(from) {
    const query = new URLSearchParams(wanted);
    query.set('limit', LIMIT);
    if (from) query.set('before', from);
    if (urgent.checked) query.set('urgent', 'true');
    return api.get(`captures?${query}`);
  }

  async function load() {
    // A page of a filtered list can be empty long before the list ends.
    let found;
    do {
      found = await page(before);
      before = found.next ?? undefined;
    } while (found.captures.length === 0 && before);
    list.append(...found.captures.map((capture) => el('li', { 'data-capture': capture.capture }, card(capture))));
    more.classList.toggle('hidden', !before);
    if (list.children.length === 0) list.append(el('li', {}, t('no_photos_yet')));
  }

  function restart() {
    before = undefined;
    list.replaceChildren();
    return load();
  }

  // Puts new captures on top, and replaces changed ones in place.
  async function refresh() {
    const { captures } = await page();
    if (list.children.length > 0 && !list.firstElementChild.dataset.capture) list.replaceChildren();
    for (const capture of captures.reverse()) {
      const item = el('li', { 'data-capture': capture.capture }, card(capture));
      const present = list.querySelector(`[data-capture="${capture.capture}"]`);
      if (present) present.replaceWith(item);
      else list.prepend(item);
    }
  }

  const again = calmly(refresh, 1000);
  onHint((hint) => { if (hint.type !== 'queue' && hint.type !== 'silent') again(); });
  await restart();
}

// Takes a photo with the phone's camera, or from a file. Its verdict opens as soon as it arrives.
function takePhoto(waiting, onHint) {
  const input = el('input', { type: 'file', accept: 'image/*', capture: 'environment', 'aria-label': t('take_photo') });
  const awaited = new Set();
  input.addEventListener('change', async () => {
    for (const photo of input.files) {
      waiting.textContent = t('sending_photo');
      try {
        const received = await api.upload(photo);
        if (received.capture) {
          say(t('known_already'));
          location.hash = `#capture/${received.capture}`;
        } else {
          awaited.add(received.file);
          waiting.textContent = t('judging_photo');
        }
      } catch (error) {
        waiting.textContent = `${t('not_taken')} ${error.message}`;
      }
    }
    input.value = '';
  });
  onHint((hint) => {
    if (!awaited.delete(hint.file)) return;
    waiting.textContent = hint.type === 'failed' ? `${t('not_judged')} ${hint.reason}` : '';
    if (hint.type === 'captured') location.hash = `#capture/${hint.capture}`;
  });
  return el('div', { class: 'take' }, input, el('span', { class: 'button main wide', 'aria-hidden': 'true' }, t('take_photo')));
}
