// A few calls of every kind: are the answers right?

import { ALL_KINDS, common, gracefulStop, settings, thresholds } from './lib.js';

const own = settings('smoke');

export { each as default, setup } from './lib.js';
export const options = {
  ...common,
  scenarios: {
    smoke: {
      executor: 'per-vu-iterations',
      vus: own.connections,
      iterations: 5,
      maxDuration: `${own.seconds}s`,
      gracefulStop,
    },
  },
  thresholds: thresholds(own, ALL_KINDS, 'count>0'),
};
