// A steady rate while `python -m tests.load.k6` moves a label to another version and back. No call may
// fail or be refused, and each version must have answered.

import { openLoop } from './lib.js';

const versions = (__ENV.VERSIONS || '').split(',').filter(Boolean);

export { mixed as default, setup } from './lib.js';
export const options = openLoop(
  'publish_and_roll_back',
  Object.fromEntries(versions.map((version) => [`answers{version:${version}}`, ['count>0']])),
);
