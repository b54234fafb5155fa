// A stage over the network: it counts the words of texts.
//
//   node count_words.js URL [LEASE [TOKENFILE]]
//
// Values of the queue texts are {"id": …, "text": …}; what comes of each goes to the queue
// counts. Run as many as you like, and kill them: nothing is lost, nothing counted twice.
'use strict';

const { work, Permanent } = require('./weir_worker.js');

let stopped = false;
process.on('SIGTERM', () => { stopped = true; });

async function handle(item, emit) {
  if (item.text === undefined) throw new Permanent('the item has no text');
  emit('counts', { id: item.id, words: item.text.split(/\s+/).filter(Boolean).length });
}

const [url, lease, tokenFile] = process.argv.slice(2);
work(url, 'texts', handle, { tokenFile, lease: Number(lease || 15), stop: () => stopped }).catch((err) => {
  console.error(err.message);
  process.exitCode = 1;
});
