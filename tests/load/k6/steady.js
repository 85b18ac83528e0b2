// The usual mix of calls at a steady rate: is p99 low, and is no call refused?

import { openLoop } from './lib.js';

export { mixed as default, setup } from './lib.js';
export const options = openLoop('steady');
