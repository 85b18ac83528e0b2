// A steady rate, then many times as much, then the steady rate again. Calls may be refused in the
// spike, but none may fail, and latency must recover afterwards.

import { arriving, common, gracefulStop, settings, thresholds } from './lib.js';

const own = settings('spike');
const HIGHEST = 10;
const eighth = own.seconds / 8;
const calm = { ...own, seconds: 2 * eighth, connections: Math.ceil(own.connections / 4) };
const recovered = {};
for (const part of ['before', 'after']) {
  recovered[`refused_calls{scenario:${part}}`] = ['count==0'];
  recovered[`grpc_req_duration{scenario:${part}}`] = [`p(99)<${own.maxP99}`];
}
const { grpc_req_duration: _, refused_calls: __, ...unhurt } = thresholds(own);

export const options = {
  ...common,
  scenarios: {
    before: arriving(calm),
    spike: {
      executor: 'ramping-arrival-rate',
      startTime: `${2 * eighth}s`,
      startRate: own.rate,
      timeUnit: '1s',
      stages: [
        { target: HIGHEST * own.rate, duration: `${eighth}s` },
        { target: HIGHEST * own.rate, duration: `${2 * eighth}s` },
        { target: own.rate, duration: `${eighth}s` },
      ],
      preAllocatedVUs: own.connections,
      maxVUs: own.connections,
      gracefulStop,
    },
    after: arriving(calm, 6 * eighth),
  },
  thresholds: { ...unhurt, ...recovered },
};

export { mixed as default, setup } from './lib.js';
