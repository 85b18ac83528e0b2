// The usual mix of calls at a steady rate: is the tail short, and nothing refused?

import { openLoop } from './lib.js';

export { mixed as default, setup } from './lib.js';
export const options = openLoop('steady');
