// The usual mix at a modest rate for a long time: does anything leak, slow down or restart?

import { openLoop } from './lib.js';

export { mixed as default, setup } from './lib.js';
export const options = openLoop('soak');
