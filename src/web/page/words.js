// Texts in the reader's language.

import { file } from './api.js';

let words = {};
let categories = [];
let language = 'en';

export async function load() {
  const kept = localStorage.getItem('language');
  language = kept ?? (navigator.language.startsWith('ja') ? 'ja' : 'en');
  [words, categories] = await Promise.all([file(`words/${language}`), file('classes.json')]);
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll('[data-text]')) element.textContent = t(element.dataset.text);
  for (const element of document.querySelectorAll('[data-label]')) element.setAttribute('aria-label', t(element.dataset.label));
}

export const lang = () => language;

export function setLanguage(next) {
  localStorage.setItem('language', next);
  return load();
}

// Returns the text of a key, or the key itself if it is missing.
export const t = (key) => words[key] ?? key;

export const allCategories = () => categories;
export const categoryName = (category) => category[language];

const classOf = (categoryId, id) =>
  categories.find((category) => category.id === categoryId)?.classes.find((found) => found.id === id);

// Returns the name of a class, with the meaning of its code.
export const className = (categoryId, id) => classOf(categoryId, id)?.[language] ?? id;

// Returns the short name of a class, for narrow places.
export const shortName = (categoryId, id) => (language === 'ja' ? classOf(categoryId, id)?.ja : undefined) ?? id;

// Returns the short names of a verdict's classes in one category.
export function classesOf(verdict, categoryId) {
  const classes = verdict[categoryId] ?? [];
  return classes.length === 0 ? t('no_answer') : classes.map((found) => shortName(categoryId, found.label)).join(', ');
}

// Returns the labels of all categories on one line, in short.
export const named = (labels) => categories.map((category) =>
  (labels[category.id] ?? []).map((label) => shortName(category.id, label)).join(', ')).filter(Boolean).join(' · ');

export function when(time) {
  const at = new Date(typeof time === 'string' ? time : time.at);
  return at.toLocaleString(language, { dateStyle: 'medium', timeStyle: 'short' });
}

export const percent = (share) => `${Math.round(share * 100)} %`;

// Returns full sentences on why somebody should see the photo first.
export const reasons = (verdict) => [
  ...(verdict.urgency?.signs ?? []).map((sign) => t(`similar_${sign}`)),
];
export const doubts = (verdict) => (verdict.second_look ?? []).map((reason) => t(reason));

export function place(tag) {
  if (!tag) return '';
  return [tag.bridge, tag.span, tag.member].filter(Boolean).join(' / ');
}
