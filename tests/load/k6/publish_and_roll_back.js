// A steady rate while a label is moved to another version and back, which `python -m tests.load.k6`
// does: no call fails or is refused, and each of the versions has answered.

import { arriving, common, mixed, openLoopThresholds, settings, setup } from './lib.js';

const own = settings('publish_and_roll_back');
const versions = {};
for (const version of (__ENV.VERSIONS || '').split(',').filter(Boolean)) {
  versions[`answers{version:${version}}`] = ['count>0'];
}

export const options = {
  ...common,
  scenarios: { publish_and_roll_back: arriving(own) },
  thresholds: { ...openLoopThresholds(own), ...versions },
};

export { setup };
export default mixed;
