// A few calls of every kind: does it answer, and rightly?

import { ALL_KINDS, common, each, gracefulStop, settings, setup, thresholds } from './lib.js';

const own = settings('smoke');

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

export { setup };
export default each;
