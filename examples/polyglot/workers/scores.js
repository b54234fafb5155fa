// Scores how easily a text reads, and finds the words that it is about.
'use strict';

const { serve, Permanent } = require('./weir_worker.js');

const stop = new Set((
  'a about after again all almost also although an and any anybody are as at be because been before but by can could ' +
  'day did do does down each even every few first for found from had has have he her him his how if in into is it its ' +
  'last less long made many more most must never no not of often on once one only or other others out over own says ' +
  'second she so some somebody still than that the their them then there they this those to too two under until up ' +
  'very was were what when where which while who will with without would year years you your'
).split(' '));

// syllables counts groups of vowels, less a silent e.
function syllables(word) {
  const groups = word.replace(/(?:[^laeiouy]es|[^aeiouyt]ed|[^l]e)$/, '').match(/[aeiouy]+/g);
  return groups ? groups.length : 1;
}

serve((item, emit) => {
  if (typeof item.text !== 'string') throw new Permanent('the item has no text', 'no_text');
  const words = item.text.toLowerCase().match(/\p{L}+/gu) || [];
  const sentences = (item.text.match(/[^.!?\n]*\p{L}[^.!?\n]*/gu) || []).length;
  const counts = new Map();
  for (const w of words) {
    if (w.length > 2 && !stop.has(w)) counts.set(w, (counts.get(w) || 0) + 1);
  }
  const keywords = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 5).map(([w]) => w);
  // Flesch reading ease: 100 is very easy, below 30 is very hard.
  const ease = words.length === 0 ? 0 :
    206.835 - 1.015 * (words.length / sentences) - 84.6 * (words.reduce((n, w) => n + syllables(w), 0) / words.length);
  emit('scores', { words: words.length, sentences, ease: Math.round(ease * 10) / 10, keywords });
}, 'scores');
