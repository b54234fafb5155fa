'use strict';
// Commits one order to the store at a URL, and says with which code it was refused.
const { Store, Refused } = require('../node/weir_worker.js');

(async () => {
  const store = new Store(process.argv[2]);
  await store.open();
  try {
    await store.commit([{ do: 'enqueue', name: 'orders', item: { text: 'two apples' } }]);
    console.log('done');
  } catch (err) {
    if (!(err instanceof Refused)) throw err;
    console.log(err.code);
  } finally {
    await store.close();
  }
})();
