// Search for photos by words or by a photo.

import * as api from './api.js';
import { el, put } from './dom.js';
import { card } from './photos.js';
import { allCategories, categoryName, className, named, t } from './words.js';

const TOP = 24;

export async function show(root) {
  const text = el('input', { type: 'search', name: 'text', 'aria-label': t('search_words'), placeholder: t('search_example') });
  const where = el('select', { 'aria-label': t('search_where') },
    el('option', { value: 'captures' }, t('own_photos')), el('option', { value: 'reference' }, t('labelled_photos')));
  const condition = el('select', { 'aria-label': t('only_with') }, el('option', { value: '' }, t('any_label')),
    allCategories().map((category) => el('optgroup', { label: categoryName(category) }, category.classes.map((found) =>
      el('option', { value: `${category.id}=${found.id}` }, className(category.id, found.id))))));
  const photo = el('input', { type: 'file', accept: 'image/*', 'aria-label': t('search_photo') });
  const found = el('ul', { class: 'cards' });
  const state = el('p', { role: 'status' });
  const form = el('form', { role: 'search' }, el('div', { class: 'row' }, text, el('button', { class: 'main', type: 'submit' }, t('search'))),
    el('div', { class: 'row' }, where, condition),
    el('div', { class: 'take' }, photo, el('span', { class: 'button', 'aria-hidden': 'true' }, t('search_photo'))));
  put(root, el('h2', {}, t('search')), form, state, found);

  async function search(ask) {
    state.textContent = t('searching');
    found.replaceChildren();
    const query = new URLSearchParams({ in: where.value, top: TOP });
    if (condition.value) query.set('where', condition.value);
    try {
      const answer = await ask(query);
      state.textContent = answer.found.length === 0 ? t('nothing_found') : `${t('photos')}: ${answer.found.length}`;
      found.append(...answer.found.map((hit) => el('li', {}, hit.capture ? card(hit.capture, hit.similarity) : labelled(hit))));
    } catch (error) {
      state.textContent = error.message;
    }
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (!text.value.trim()) return text.focus();
    search((query) => { query.set('text', text.value); return api.get(`search?${query}`); });
  });
  photo.addEventListener('change', () => {
    if (photo.files[0]) search((query) => api.searchPhoto(photo.files[0], query));
    photo.value = '';
  });
}

// Shows a photo of the reference, whose picture is not on the device.
function labelled(photo) {
  return el('div', { class: 'card labelled' }, el('p', { class: 'grade' }, photo.similarity.toFixed(2)),
    el('div', {}, el('p', {}, named(photo.labels)), el('p', { class: 'small' }, `${photo.caption} (${photo.source})`)));
}
