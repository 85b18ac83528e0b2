// The usual mix of calls at a steady rate: is the tail short, and nothing refused?

import { arriving, common, mixed, openLoopThresholds, settings, setup } from './lib.js';

const own = settings('steady');

export const options = {
  ...common,
  scenarios: { steady: arriving(own) },
  thresholds: openLoopThresholds(own),
};

export { setup };
export default mixed;
