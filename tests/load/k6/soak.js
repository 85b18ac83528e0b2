// The usual mix at a modest rate for long: does anything leak, slow down or restart?

import { arriving, common, mixed, openLoopThresholds, settings, setup } from './lib.js';

const own = settings('soak');

export const options = {
  ...common,
  scenarios: { soak: arriving(own) },
  thresholds: openLoopThresholds(own),
};

export { setup };
export default mixed;
