// A steady rate while a label is moved to another version and back, which `python -m tests.load.k6`
// does: no call fails or is refused, and each of the versions has answered.

import { openLoop } from './lib.js';

const versions = (__ENV.VERSIONS || '').split(',').filter(Boolean);

export { mixed as default, setup } from './lib.js';
export const options = openLoop(
  'publish_and_roll_back',
  Object.fromEntries(versions.map((version) => [`answers{version:${version}}`, ['count>0']])),
);
