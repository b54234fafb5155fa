'use strict';
const { serve, Permanent, RetryAfter } = require('../node/weir_worker.js');

serve(async (item, emit) => {
  console.log('handling', item.do); // must not harm the protocol
  switch (item.do) {
    case 'echo':
      emit('out', item.value);
      emit('out', { again: item.value });
      emit('size', String(item.value).length);
      break;
    case 'permanent':
      throw new Permanent('never', 'no_text');
    case 'later':
      throw new RetryAfter(90, 'soon');
    case 'fail':
      emit('out', 'lost');
      throw new Error('bad luck');
    case 'unencodable':
      emit('out', () => {});
      break;
    case 'die':
      process.exit(3);
  }
});
